// What takes as many administrators as the roster demands: ordered at once, or proposed to the others.

import { type Action, signAction } from '../seal/action';
import { postSigned } from './confirmed';
import { type Organisation, Proposed } from './organisation.svelte';

export const PROPOSAL_LIFE_MS = 71 * 60 * 60 * 1000;

export async function order(organisation: Organisation, path: string, previous: string, action: Action): Promise<void> {
  if (!organisation.needsOthers) {
    await postSigned(path, { envelope: await signAction(organisation.org, previous, action, Date.now(), organisation.signer) });
    return;
  }
  const envelope = await signAction(organisation.org, previous, action, Date.now(), organisation.signer, PROPOSAL_LIFE_MS);
  await postSigned('/api/v1/proposals', { envelope, reason: '' });
  throw new Proposed(0);
}
