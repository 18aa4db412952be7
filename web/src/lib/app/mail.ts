// Where a person is told by e-mail. The server wants a new address confirmed by the person, so that nobody who has but the session sets one.

import { put } from '../api/client';
import { hex, utf8 } from '../seal/bytes';
import { sha256 } from '../seal/crypto';
import { confirming } from './confirmed';
import { language } from './language.svelte';
import { session } from './session.svelte';

export const MAIL_PATH = '/api/v1/mail';

export function orderMail(address: string): Promise<void> {
  const { org, person } = session.me!;
  const subject = async () => [hex(await sha256(utf8(JSON.stringify({ org, person, mail: address }))))];
  return confirming(() => put(MAIL_PATH, { address, language: language.current }), subject);
}
