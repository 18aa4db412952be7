// Links that let somebody in: `/join#token=…&anchor=…&pairing=…` for a newcomer, `/device#org=…&person=…&token=…&anchor=…&pairing=…` for another device.
// The anchor comes by the administrator's hand, so the new browser pins the right organisation whatever the server says.

import { type Pairing, readPairing } from '../seal/pairing';

export interface Invited {
  anchor: string;
  /** Null in a link that an older server's page made. */
  pairing: Pairing | null;
}

export const invitationLink = (origin: string, invitation: { token: string; anchor: string; pairing: string }): string => `${origin}/join#${new URLSearchParams(invitation)}`;

export function readInvitation(fragment: string): (Invited & { token: string }) | null {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''));
  const token = parameters.get('token');
  const invited = invitedBy(parameters);
  return token && token.length <= 512 && invited ? { token, ...invited } : null;
}

export interface DeviceLink extends Invited {
  org: string;
  person: string;
  /** Lets one device of this person ask to be let in. */
  token: string;
}

export function readDeviceLink(fragment: string): DeviceLink | null {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''));
  const [org, person, token] = ['org', 'person', 'token'].map((name) => parameters.get(name) ?? '');
  const invited = invitedBy(parameters);
  const whole = /^org_[0-9a-f]{32}$/.test(org!) && /^usr_[0-9a-f]{32}$/.test(person!) && isHash(token!);
  return invited?.pairing && whole ? { org: org!, person: person!, token: token!, ...invited } : null;
}

function invitedBy(parameters: URLSearchParams): Invited | null {
  const anchor = parameters.get('anchor');
  return isHash(anchor) ? { anchor, pairing: readPairing(parameters.get('pairing') ?? '') } : null;
}

const isHash = (text: string | null): text is string => /^[0-9a-f]{64}$/.test(text ?? '');
