// Whether the history is still the one that this browser saw before: the server's checkpoint must continue the highest one remembered.

import { get } from '../api/client';
import type { Consistency, LogHead } from '../api/types';
import { loadLogMemory, saveLogMemory } from '../device/store';
import { fromBase64 } from '../seal/bytes';
import { type Checkpoint, isConsistent, openCheckpoint, witnessedAt } from '../seal/tlog';
import type { Gateway } from '../seal/statements';

export type Integrity =
  | { kind: 'good'; size: number; before: number | null; witnesses: Witnesses }
  /** The log is a second behind; an empty one has nothing to check. */
  | { kind: 'waiting' }
  | { kind: 'bad'; reason: string };

/** Which gateways have signed this history, and up to where: what shows that all see the same. */
export interface Witnesses {
  signed: number;
  of: number;
  newest: { size: number; at: number } | null;
}

/** Each is held to the present log; more would only repeat it. */
const WITNESSES_MAX = 8;

export async function checkHistory(org: string, gateways: readonly Gateway[]): Promise<Integrity> {
  const head = await get<LogHead>('/api/v1/history/checkpoint');
  if (head.fault !== null) return { kind: 'bad', reason: `The server itself says that its log does not fit its database: ${head.fault}.` };
  const seen = await loadLogMemory();
  if (head.note === '') return seen ? { kind: 'bad', reason: 'The log is gone. This browser has seen it before.' } : { kind: 'waiting' };
  if (!head.key.startsWith(`lenskeep/${org}+`)) return { kind: 'bad', reason: 'The server shows the log of another organisation.' };
  if (seen && seen.key !== head.key) return { kind: 'bad', reason: 'The log is signed with another key than before.' };
  const next = await openCheckpoint(head.note, head.key);
  if (seen) {
    if (next.size < seen.size) return { kind: 'bad', reason: `The log has ${next.size} entries, and had ${seen.size} when this browser saw it: its end was cut off.` };
    if (!(await follows(seen, next, head))) return { kind: 'bad', reason: `The first ${seen.size} entries are not those that this browser saw: the history was rewritten.` };
  }
  const name = (id: string): string => gateways.find((gateway) => gateway.id === id)?.name ?? id;
  const objecting = head.witnesses.find(({ gateway, conflict }) => conflict !== null && gateways.some(({ id }) => id === gateway));
  if (objecting) return { kind: 'bad', reason: `The gateway “${name(objecting.gateway)}” has seen another history, and signs this one no more.` };
  const cosigned = await cosignedBy(gateways, head);
  for (const { gateway, checkpoint } of cosigned.slice(0, WITNESSES_MAX)) {
    if (checkpoint.size > next.size || !(await follows(checkpoint, next, head))) return { kind: 'bad', reason: `The gateway “${name(gateway)}” signed another history than the one shown here: different people are shown different ones, or it was rewritten.` };
  }
  await saveLogMemory({ key: head.key, size: next.size, root: next.root });
  const newest = cosigned.reduce<(typeof cosigned)[0] | null>((best, signed) => (best && best.at >= signed.at ? best : signed), null);
  return { kind: 'good', size: next.size, before: seen?.size ?? null, witnesses: { signed: cosigned.length, of: gateways.length, newest: newest && { size: newest.checkpoint.size, at: newest.at } } };
}

/** Signatures of gateways that the roster knows; what the server says of others counts for nothing. */
async function cosignedBy(gateways: readonly Gateway[], head: LogHead): Promise<{ gateway: string; checkpoint: Checkpoint; at: number }[]> {
  const found = [];
  for (const { id, sign } of gateways) {
    const note = head.witnesses.find(({ gateway }) => gateway === id)?.note;
    if (!note) continue;
    const checkpoint = await openCheckpoint(note, head.key);
    const at = await witnessedAt(note, { name: id, key: fromBase64(sign) });
    if (at !== null) found.push({ gateway: id, checkpoint, at });
  }
  return found.sort((a, b) => b.checkpoint.size - a.checkpoint.size);
}

async function follows(seen: { size: number; root: string }, next: { size: number; root: string }, head: LogHead): Promise<boolean> {
  if (seen.size === next.size) return seen.root === next.root;
  // The log may have grown since: the proof must then lead to the newer checkpoint, which the next look takes up.
  const { note, proof } = await get<Consistency>(`/api/v1/history/consistency?old=${seen.size}`);
  const proven = note === head.note ? next : await openCheckpoint(note, head.key);
  if (!(await isConsistent(seen, proven, proof))) return false;
  if (note === head.note) return true;
  const between = await get<Consistency>(`/api/v1/history/consistency?old=${next.size}`);
  return isConsistent(next, await openCheckpoint(between.note, head.key), between.proof);
}
