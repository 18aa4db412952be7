// Opening the past to a device: signed once, then this browser seals the keys that it has, or the recovery sheet, to the other device, a page
// at a time.
// What was interrupted goes on where it stands, for a day.

import { get, post } from '../api/client';
import type { PastEpoch } from '../api/types';
import { signAction } from '../seal/action';
import type { Envelope } from '../seal/dsse';
import type { Device, State } from '../seal/statements';
import { postSigned } from './confirmed';
import { call } from './keeper';
import type { Organisation } from './organisation.svelte';

/** As the server counts (docs/protocol.md). */
const PAGE = 24;
const REQUEST_BYTES = 400_000;

/** Cameras that the roster lets a person open now, and whether to hear them. */
export function opens({ access, cameras }: State, person: string): { cameras: string[]; audio: boolean } {
  const entry = access.find((entry) => entry.person === person && (entry.until === null || entry.until > Date.now()));
  if (!entry) return { cameras: [], audio: false };
  const { scope, audio } = entry;
  const open = cameras.filter(({ id, groups }) => scope.kind === 'all' || (scope.kind === 'cameras' ? scope.cameras.includes(id) : groups.some((group) => scope.groups.includes(group))));
  return { cameras: open.map(({ id }) => id), audio };
}

/** What `words` of the recovery sheet open, or else this browser. `told` hears how many epochs were looked at. Answers how many were opened. */
export async function openPast(organisation: Organisation, to: Device, words: string | null, told: (epochs: number) => void): Promise<number> {
  await organisation.refresh();
  const { recovery } = organisation.state;
  if (words !== null && (await call('recoveryKey', words)) !== recovery.sign) throw new Error('These are the words of another organisation’s sheet.');
  const sheet = words === null ? null : { words, device: recovery.id };
  const from = 0;
  const action = { type: 'open_past' as const, device: to.id, from };
  const envelope = await signAction(organisation.org, organisation.headHash, action, Date.now(), organisation.signer);
  await postSigned('/api/v1/past-openings', { envelope });
  const rights = opens(organisation.state, to.person);
  let [after, looked, opened] = ['', 0, 0];
  for (;;) {
    const query = new URLSearchParams({ by: organisation.device, ...(sheet && { sheet: 'true' }), ...(after && { after }) });
    const { epochs: page } = await get<{ epochs: PastEpoch[] }>(`/api/v1/past-openings/${to.id}/epochs?${query}`);
    const grants = await call('handOn', { page, to, ...rights, from, head: organisation.headHash, sheet });
    for (const some of requests(grants)) await post(`/api/v1/past-openings/${to.id}/grants`, { grants: some });
    opened += grants.length;
    looked += page.length;
    told(looked);
    if (page.length < PAGE) return opened;
    after = page.at(-1)!.epoch;
  }
}

/** No request is longer than the server takes. */
function requests(grants: readonly Envelope[]): Envelope[][] {
  const all: Envelope[][] = [];
  let bytes = Infinity;
  for (const grant of grants) {
    bytes += grant.payload.length;
    if (bytes > REQUEST_BYTES) [bytes] = [grant.payload.length, all.push([])];
    all.at(-1)!.push(grant);
  }
  return all;
}
