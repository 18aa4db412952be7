// Whether the history is still the one that this browser saw before: the server's checkpoint must continue the highest one remembered.

import { get } from '../api/client';
import type { Consistency, LogHead } from '../api/types';
import { loadLogMemory, saveLogMemory } from '../device/store';
import { isConsistent, openCheckpoint } from '../seal/tlog';

export type Integrity =
  | { kind: 'good'; size: number; before: number | null }
  /** The log is a second behind; an empty one has nothing to check. */
  | { kind: 'waiting' }
  | { kind: 'bad'; reason: string };

export async function checkHistory(org: string): Promise<Integrity> {
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
  await saveLogMemory({ key: head.key, size: next.size, root: next.root });
  return { kind: 'good', size: next.size, before: seen?.size ?? null };
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
