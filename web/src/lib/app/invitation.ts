// An invitation's link: `/join#token=…&anchor=…`. The anchor comes by the administrator's hand, so the new browser pins the right
// organisation whatever the server says.

export interface Invitation {
  token: string;
  anchor: string;
}

export const invitationLink = (origin: string, { token, anchor }: Invitation): string => `${origin}/join#${new URLSearchParams({ token, anchor })}`;

export function readInvitation(fragment: string): Invitation | null {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''));
  const token = parameters.get('token');
  const anchor = parameters.get('anchor');
  if (!token || token.length > 512 || !anchor || !/^[0-9a-f]{64}$/.test(anchor)) return null;
  return { token, anchor };
}
