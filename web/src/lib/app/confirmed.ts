// What the server wants confirmed by the person before it acts: by the passkey, or by a code where there is no passkey.
// The person is asked only then, once for all steps of one act.

import { ApiError, explain, get, post } from '../api/client';
import type { Ceremony, Me } from '../api/types';
import { usePasskey } from '../device/passkey';
import { fromBase64, hex } from '../seal/bytes';
import { sha256 } from '../seal/crypto';
import type { Envelope } from '../seal/dsse';
import { asked } from './asked.svelte';

/** Posts a signed envelope. `alongside` is what the same act will post next. */
export async function postSigned<T>(path: string, body: { envelope: Envelope; reason?: string }, alongside: readonly Envelope[] = []): Promise<T> {
  const envelopes = [body.envelope, ...alongside];
  const subjects = () => Promise.all(envelopes.map(async ({ payload }) => hex(await sha256(fromBase64(payload)))));
  return confirming(() => post<T>(path, body), subjects);
}

/** Acts, and if that must be confirmed, has these subjects confirmed and acts again. */
export async function confirming<T>(act: () => Promise<T>, subjects: () => Promise<string[]>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'verification_needed')) throw error;
  }
  await confirm(await subjects());
  return act();
}

async function confirm(subjects: string[]): Promise<void> {
  const { verified_by } = await get<Me>('/api/v1/me');
  if (verified_by === 'code') return confirmByCode(subjects);
  const { ceremony, options } = await post<Ceremony>('/api/v1/verifications/begin', { subjects });
  const { credential } = await usePasskey(options);
  await post('/api/v1/verifications', { ceremony, credential });
}

async function confirmByCode(subjects: string[]): Promise<void> {
  for (let problem: string | null = null; ; ) {
    const code = await asked.code(problem);
    try {
      return await post('/api/v1/verifications/code', { subjects, code });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'code_refused')) throw error;
      problem = explain(error);
    }
  }
}
