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

/** Where most cameras have their ONVIF device service: at the same host, as encrypted as the pictures. */
export function guessedOnvifUrl(cameraUrl: string): string {
  const { protocol, hostname } = new URL(cameraUrl.replace(/^rtsp/, 'http'));
  return `${protocol}//${hostname}/onvif/device_service`;
}

export function checkedOnvifUrl(text: string): string {
  const trimmed = text.trim();
  const url = /^https?:\/\//i.test(trimmed) && URL.canParse(trimmed) ? new URL(trimmed) : null;
  if (!url || url.username !== '' || url.password !== '' || trimmed.length > 2048) {
    throw new Error('The address of a camera’s events begins with http:// or https:// and has no password in it, for example http://192.168.1.20/onvif/device_service.');
  }
  return url.href;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
