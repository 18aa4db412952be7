// Whether the history is still the one that this browser saw before: the server's checkpoint must continue the highest one remembered.

import { get } from '../api/client';
import type { Consistency, LogHead } from '../api/types';
import { loadLogMemory, saveLogMemory } from '../device/store';
import { fromBase64 } from '../seal/bytes';
import { type Checkpoint, isConsistent, openCheckpoint, readWitnessKey, witnessedAt } from '../seal/tlog';
import type { Gateway, State, Witness } from '../seal/statements';

export type Integrity =
  | { kind: 'good'; size: number; before: number | null; gateways: Witnesses }
  /** The log is a second behind; an empty one has nothing to check. */
  | { kind: 'waiting' }
  | { kind: 'bad'; reason: string };

/** How many gateways have signed this history, and up to where: what shows that all see the same. */
export interface Witnesses {
  signed: number;
  of: number;
  newest: { size: number; at: number } | null;
}

/** A witness outside that the roster names, and what the server shows of it. */
export interface Outside {
  name: string;
  signed: Signed | null;
  /** Why what is shown counts for nothing, where something is. */
  wrong: string | null;
  objects: boolean;
  asked: boolean;
  /** Why it could not be asked, as the server says. */
  trouble: string | null;
}

/** One that the server asks of its own accord, by a key as it says. */
export interface Offered {
  key: string;
  witness: Witness;
}

export interface Looked {
  /** The log's key. */
  key: string;
  integrity: Integrity;
  outside: Outside[];
  offered: Offered[];
}

interface Signed {
  checkpoint: Checkpoint;
  at: number;
}

/** Gateways are held to the present log, so many of them; more would only repeat it. */
const GATEWAYS_MAX = 8;
/** How far the clock of a witness may be ahead of this computer's. */
const AHEAD_MS = 10 * 60_000;

export async function checkHistory(org: string, state: State): Promise<Looked> {
  const head = await get<LogHead>('/api/v1/history/checkpoint');
  const outside = await Promise.all(state.witnesses.map((witness) => look(witness, head)));
  const offered = await Promise.all(head.outside.filter(({ name }) => !state.witnesses.some((witness) => witness.name === name)).map(({ name, key }) => offer(name, key)));
  return { key: head.key, integrity: await judge(org, state.gateways, outside, head), outside, offered: offered.filter((found) => found !== null) };
}

/** Nothing that the server shows of one witness keeps another from being looked at. */
async function look({ name, key }: Witness, head: LogHead): Promise<Outside> {
  const told = head.outside.find((asked) => asked.name === name);
  const found = { name, signed: null, wrong: null, objects: told?.conflict != null, asked: told !== undefined, trouble: told?.trouble ?? null };
  if (!told?.note) return found;
  try {
    const checkpoint = await openCheckpoint(told.note, head.key);
    const at = await witnessedAt(told.note, { name, key: fromBase64(key) });
    if (at === null) return { ...found, wrong: 'The server shows a signature that is not by the key in your roster' };
    if (at > Date.now() + AHEAD_MS) return { ...found, wrong: 'Its signature is dated in the future' };
    return { ...found, signed: { checkpoint, at } };
  } catch {
    return { ...found, wrong: 'The server shows something of it that is no checkpoint of this log' };
  }
}

async function offer(name: string, key: string): Promise<Offered | null> {
  const witness = await readWitnessKey(key).catch(() => null);
  return witness?.name === name ? { key, witness } : null;
}

async function judge(org: string, gateways: readonly Gateway[], outside: readonly Outside[], head: LogHead): Promise<Integrity> {
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
  const called = (id: string): string => `The gateway “${gateways.find((gateway) => gateway.id === id)?.name ?? id}”`;
  const gateway = head.witnesses.find(({ gateway, conflict }) => conflict !== null && gateways.some(({ id }) => id === gateway));
  const objecting = gateway ? called(gateway.gateway) : outside.find(({ objects }) => objects)?.name;
  if (objecting !== undefined) return { kind: 'bad', reason: `${gateway ? objecting : `The witness ${objecting}`} has seen another history, and signs this one no more.` };
  const cosigned = await cosignedBy(gateways, head);
  const held = [
    ...cosigned.slice(0, GATEWAYS_MAX).map(({ gateway, checkpoint }) => ({ who: called(gateway), checkpoint })),
    ...outside.flatMap(({ name, signed }) => (signed ? [{ who: `The witness ${name}`, checkpoint: signed.checkpoint }] : [])),
  ];
  for (const { who, checkpoint } of held) {
    if (checkpoint.size > next.size || !(await follows(checkpoint, next, head))) return { kind: 'bad', reason: `${who} signed another history than the one shown here: different people are shown different ones, or it was rewritten.` };
  }
  await saveLogMemory({ key: head.key, size: next.size, root: next.root });
  const newest = cosigned.reduce<(typeof cosigned)[0] | null>((best, signed) => (best && best.at >= signed.at ? best : signed), null);
  return { kind: 'good', size: next.size, before: seen?.size ?? null, gateways: { signed: cosigned.length, of: gateways.length, newest: newest && { size: newest.checkpoint.size, at: newest.at } } };
}

/** Signatures of gateways that the roster knows; what the server says of others counts for nothing. */
async function cosignedBy(gateways: readonly Gateway[], head: LogHead): Promise<(Signed & { gateway: string })[]> {
  const found = [];
  for (const { id, sign } of gateways) {
    const note = head.witnesses.find(({ gateway }) => gateway === id)?.note;
    if (!note) continue;
    const checkpoint = await openCheckpoint(note, head.key).catch(() => null);
    const at = checkpoint && (await witnessedAt(note, { name: id, key: fromBase64(sign) }));
    if (checkpoint && at !== null) found.push({ gateway: id, checkpoint, at });
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
