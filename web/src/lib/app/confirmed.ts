// What a device has signed and the server wants confirmed by the passkey: the person is asked only then, once for all steps of one act.

import { ApiError, post } from '../api/client';
import type { Ceremony } from '../api/types';
import { usePasskey } from '../device/passkey';
import { fromBase64, hex } from '../seal/bytes';
import { sha256 } from '../seal/crypto';
import type { Envelope } from '../seal/dsse';

/** Posts a signed envelope. `alongside` is what the same act will post next. */
export async function postSigned<T>(path: string, body: { envelope: Envelope; reason?: string }, alongside: readonly Envelope[] = []): Promise<T> {
  try {
    return await post<T>(path, body);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'verification_needed')) throw error;
  }
  await confirm([body.envelope, ...alongside]);
  return post<T>(path, body);
}

async function confirm(envelopes: readonly Envelope[]): Promise<void> {
  const subjects = await Promise.all(envelopes.map(async ({ payload }) => hex(await sha256(fromBase64(payload)))));
  const { ceremony, options } = await post<Ceremony>('/api/v1/verifications/begin', { subjects });
  const { credential } = await usePasskey(options);
  await post('/api/v1/verifications', { ceremony, credential });
}
