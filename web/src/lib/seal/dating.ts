// Datings (docs/format.md section 5.2): what the history shows of the time of a recording. One that does not hold would have its part of a
// proof refused, so each step is checked before it is written.

import { type Bytes, concat, fromHex, refuse, u32, utf8 } from './bytes';
import { hash, int, list, loose, nullable, object, type Of, text } from './shape';
import { isIncluded, openCheckpoint } from './tlog';

const MAGIC = Uint8Array.of(0x4c, 0x4b, 0x44, 0x41, 0x54, 0x45, 0, 1);
const BYTES_MAX = 262_144;
const proof = list(hash, 64);
const long = text(BYTES_MAX);

/** In the order in which it is written. */
const datingShape = object({
  log: text(1000),
  before: nullable(object({ seq: int, leaf: long, proof })),
  stored: nullable(object({ index: int, count: int, path: proof, seq: int, leaf: long, checkpoints: list(object({ note: text(16 * 1024), proof }), 8) })),
});
export type Dating = Of<typeof datingShape>;

const entryShape = loose({ time: int, api: loose({ operation: text(200) }), resources: list(loose({ uid: text(1000) }), 1000), unmapped: loose({ org: text(200), seq: int }) });

/** The recording that is dated, as its gateway signed it. */
export interface Dated {
  org: string;
  id: string;
  root: string;
  checkpoint: string | null;
}

/** Refuses what is false; `key` is that of the history's log. */
export async function readDating(value: unknown, of: Dated, key: string): Promise<Dating> {
  const dating = datingShape(value, 'the dating');
  if (dating.log !== key || !key.startsWith(`lenskeep/${of.org}+`)) refuse('the dating is by another log than the one that is known');
  const { before, stored } = dating;
  const head = of.checkpoint === null ? null : await openCheckpoint(of.checkpoint, key);
  if (before) {
    if (!head || !(await isIncluded(utf8(before.leaf), before.seq, head, before.proof))) refuse('the entry is not before the checkpoint of the header');
    readEntry(before.leaf, before.seq, of.org);
  }
  if (stored) {
    const { api, resources } = readEntry(stored.leaf, stored.seq, of.org);
    const [, root] = /^recordings\/([0-9a-f]{64})\/\d+$/.exec(resources[0]?.uid ?? '') ?? [];
    if (api.operation !== 'store_recordings' || resources.length !== 1 || root === undefined || resources[0]!.uid !== `recordings/${root}/${stored.count}`) refuse('the entry names no batch of recordings');
    const leaf = concat(fromHex(of.id), fromHex(of.root));
    if (!(await isIncluded(leaf, stored.index, { size: stored.count, root }, stored.path))) refuse('the recording is not in the batch that the entry names');
    if (stored.checkpoints.length === 0) refuse('no checkpoint shows the entry');
    for (const { note, proof: path } of stored.checkpoints) {
      if (!(await isIncluded(utf8(stored.leaf), stored.seq, await openCheckpoint(note, key), path))) refuse('the entry is not in a checkpoint');
    }
  }
  return dating;
}

export function writeDating(dating: Dating): Bytes {
  const json = utf8(JSON.stringify(dating));
  if (json.length > BYTES_MAX) refuse('the dating is too long');
  return concat(MAGIC, u32(json.length), json);
}

function readEntry(leaf: string, seq: number, org: string): Of<typeof entryShape> {
  let value: unknown;
  try {
    value = JSON.parse(leaf);
  } catch {
    return refuse('the entry of the history is not JSON');
  }
  const entry = entryShape(value, 'the entry');
  return entry.unmapped.org === org && entry.unmapped.seq === seq ? entry : refuse('the entry is of another place or organisation');
}
