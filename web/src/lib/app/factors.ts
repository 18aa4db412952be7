// A person's ways of signing in. What changes them is confirmed by one that is there already; see docs/protocol.md section 3.

import { get, post } from '../api/client';
import type { Ceremony, Changed, Factors, PasswordCeremony } from '../api/types';
import { createPasskey, type PasskeyAnswer } from '../device/passkey';
import { hex, utf8 } from '../seal/bytes';
import { random, sha256 } from '../seal/crypto';
import { confirming } from './confirmed';
import { session } from './session.svelte';

type Adding = 'add_passkey' | 'set_password' | 'make_recovery_codes';
export type Change = { type: Adding; nonce: string } | { type: 'remove_passkey'; id: string } | { type: 'remove_password' };

export const factors = (): Promise<Factors> => get<Factors>('/api/v1/factors');
export const adding = (type: Adding): Change => ({ type, nonce: hex(random(32)) });

export async function change(change: Change): Promise<Changed> {
  const { org, person } = session.me!;
  const subject = async () => [hex(await sha256(utf8(JSON.stringify({ org, person, change }))))];
  return confirming(() => post<Changed>('/api/v1/factors', { change }), subject);
}

/** With a token from a change, or from a recovery code. */
export async function addPasskey(token: string, name: string): Promise<PasskeyAnswer> {
  const { ceremony, options } = await post<Ceremony>('/api/v1/factors/passkey/begin', { token });
  const answer = await createPasskey(options);
  await post('/api/v1/factors/passkey', { token, name, passkey: { ceremony, credential: answer.credential } });
  return answer;
}

export const beginPassword = (token: string, login: string, password: string): Promise<PasswordCeremony> => post<PasswordCeremony>('/api/v1/factors/password/begin', { token, login, password });
export const finishPassword = (token: string, ceremony: string, code: string): Promise<void> => post('/api/v1/factors/password', { token, ceremony, code });

/** Where a passkey is made for another origin: the token travels in the fragment, which browsers do not send. */
export const passkeyLink = (origin: string, token: string): string => `${origin}/passkey#${new URLSearchParams({ token })}`;

export function readPasskeyLink(fragment: string): string | null {
  const token = new URLSearchParams(fragment.replace(/^#/, '')).get('token');
  return token !== null && /^[0-9a-f]{64}$/.test(token) ? token : null;
}
