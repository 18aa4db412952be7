// Whether the history is still the one that this browser saw before: the server's checkpoint must continue the highest one remembered.

import { get } from '../api/client';
import type { Consistency, LogHead } from '../api/types';
import { loadLogMemory, saveLogMemory } from '../device/store';
import { fromBase64 } from '../seal/bytes';
import { type Checkpoint, isConsistent, openCheckpoint, witnessedAt } from '../seal/tlog';
import type { State } from '../seal/statements';

export type Integrity =
  | { kind: 'good'; size: number; before: number | null; gateways: Witnesses; outside: Witnesses }
  /** The log is a second behind; an empty one has nothing to check. */
  | { kind: 'waiting' }
  | { kind: 'bad'; reason: string };

/** How many of them have signed this history, and up to where: what shows that all see the same. */
export interface Witnesses {
  signed: number;
  of: number;
  newest: { size: number; at: number } | null;
}

/** One whose signature counts, because the roster names it. */
interface Witness {
  /** As it is called for people. */
  called: string;
  name: string;
  key: string;
  /** What the server says that it has signed. */
  told: { note: string; conflict?: string | null } | undefined;
}

interface Cosigned {
  called: string;
  checkpoint: Checkpoint;
  at: number;
}

/** Gateways are held to the present log, so many of them; more would only repeat it. */
const GATEWAYS_MAX = 8;

/** The head of the log, and what it is worth. */
export async function checkHistory(org: string, state: State): Promise<{ head: LogHead; integrity: Integrity }> {
  const head = await get<LogHead>('/api/v1/history/checkpoint');
  return { head, integrity: await judge(org, state, head) };
}

async function judge(org: string, state: State, head: LogHead): Promise<Integrity> {
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
  const gateways = state.gateways.map(({ id, name, sign }): Witness => ({ called: `The gateway “${name}”`, name: id, key: sign, told: head.witnesses.find(({ gateway }) => gateway === id) }));
  const outside = state.witnesses.map(({ name, key }): Witness => ({ called: `The witness ${name}`, name, key, told: head.outside.find((asked) => asked.name === name) }));
  const objecting = [...gateways, ...outside].find(({ told }) => told?.conflict != null);
  if (objecting) return { kind: 'bad', reason: `${objecting.called} has seen another history, and signs this one no more.` };
  const [byGateways, byOthers] = [await cosignedBy(gateways, head), await cosignedBy(outside, head)];
  for (const { called, checkpoint } of [...byGateways.slice(0, GATEWAYS_MAX), ...byOthers]) {
    if (checkpoint.size > next.size || !(await follows(checkpoint, next, head))) return { kind: 'bad', reason: `${called} signed another history than the one shown here: different people are shown different ones, or it was rewritten.` };
  }
  await saveLogMemory({ key: head.key, size: next.size, root: next.root });
  return { kind: 'good', size: next.size, before: seen?.size ?? null, gateways: summary(byGateways, gateways), outside: summary(byOthers, outside) };
}

function summary(cosigned: readonly Cosigned[], all: readonly Witness[]): Witnesses {
  const newest = cosigned.reduce<Cosigned | null>((best, signed) => (best && best.at >= signed.at ? best : signed), null);
  return { signed: cosigned.length, of: all.length, newest: newest && { size: newest.checkpoint.size, at: newest.at } };
}

/** Their signatures, by the keys of the roster; the longest first. */
async function cosignedBy(witnesses: readonly Witness[], head: LogHead): Promise<Cosigned[]> {
  const found = [];
  for (const { called, name, key, told } of witnesses) {
    if (!told?.note) continue;
    const checkpoint = await openCheckpoint(told.note, head.key);
    const at = await witnessedAt(told.note, { name, key: fromBase64(key) });
    if (at !== null) found.push({ called, checkpoint, at });
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
