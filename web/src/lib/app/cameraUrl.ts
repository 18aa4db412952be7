// The address of a camera as people paste it. User name and password are split off at once, so that they never stand in a URL.

export interface SplitUrl {
  url: string;
  username: string | null;
  password: string | null;
}

export function splitCameraUrl(text: string): SplitUrl {
  const trimmed = text.trim();
  const match = /^(rtsps?):\/\/([^/?#]*)(.*)$/i.exec(trimmed);
  if (!match) throw new Error('The address of a camera begins with rtsp:// or rtsps://, for example rtsp://192.168.1.20/stream1.');
  const [, scheme, authority, rest] = match as unknown as [string, string, string, string];
  // The last @ divides: passwords that people paste hold unescaped ones.
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  if (host === '' || /\s/.test(trimmed) || trimmed.length > 2048) throw new Error('The address names no host. It looks like rtsp://192.168.1.20/stream1.');
  const url = `${scheme.toLowerCase()}://${host}${rest}`;
  if (at < 0) return { url, username: null, password: null };
  const [username, ...password] = authority.slice(0, at).split(':');
  return { url, username: decode(username!), password: password.length > 0 ? decode(password.join(':')) : null };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
