// Writes excerpts (docs/format.md section 5.1): some neighbouring chunks of a recording, each shown with its own key or withheld, with what
// proves their place to whoever knows the gateway's public key. Shows no chunk but those that it was handed with a key.

import { type Bytes, concat, equal, fromHex, join, refuse, u32 } from './bytes';
import { type Chunk, CHUNK_HEAD_BYTES } from './chunk';
import { sha256 } from './crypto';
import { leafHash, rangeProof, rootOf } from './merkle';
import type { Recording } from './reader';

const MAGIC = Uint8Array.of(0x4c, 0x4b, 0x43, 0x4c, 0x49, 0x50, 0, 2);
const RECORDING_MAGIC = Uint8Array.of(0x4c, 0x4b, 0x52, 0x45, 0x43, 0, 0, 3);
const WITHHELD = Uint8Array.of(0);
const SHOWN = Uint8Array.of(1);

interface Part {
  head: Bytes;
  sha256: Bytes;
  /** Null for what is withheld. */
  shown: { key: Bytes; sealed: Bytes } | null;
}

/** Takes every chunk of one recording in order, and then writes the excerpt of those that are shown. */
export class ExcerptWriter {
  private readonly parts: Part[] = [];

  /** `key` opens this chunk, and shows it; null withholds it. */
  async push(chunk: Chunk, key: Bytes | null): Promise<void> {
    if (chunk.number !== this.parts.length) refuse('an excerpt needs every chunk of its recording');
    const sealed = chunk.bytes.subarray(CHUNK_HEAD_BYTES);
    this.parts.push({ head: chunk.bytes.slice(0, CHUNK_HEAD_BYTES), sha256: await sha256(sealed), shown: key && { key, sealed } });
  }

  /** What is shown, and no more around it than its ends need: sound that is left out must not make the ends of a recording unproven, so
   * `isSource` says which tracks count there. Null if nothing is shown, or if the gateway has not signed the end of the recording. */
  async finish(recording: Recording, isSource: (track: number) => boolean): Promise<Bytes | null> {
    const shown = this.parts.flatMap((part, number) => (part.shown ? [number] : []));
    if (!recording.tail || shown.length === 0) return null;
    const [first, last] = [shown[0]!, shown.at(-1)!];
    const counts = ({ head }: Part) => isSource(head[4]!);
    const begin = this.parts.slice(0, first).some(counts) ? first : 0;
    return this.write(recording, begin, this.parts.slice(last + 1).some(counts) ? last + 1 : this.parts.length);
  }

  /** The chunks from `first` up to, not including, `end`. */
  async write({ tail, read }: Recording, first: number, end: number): Promise<Bytes> {
    if (!tail) return refuse('the gateway has not signed the end of this recording');
    const leaves = await Promise.all(this.parts.map(({ head, sha256: hash }) => leafHash(concat(head, hash))));
    if (leaves.length !== tail.footer.chunks || !equal(await rootOf(leaves), fromHex(tail.footer.root))) refuse('the chunks are not those that the gateway signed');
    const proof = await rangeProof(leaves, first, end);
    const signedHeader = [RECORDING_MAGIC, u32(read.json.length), read.json, read.signature];
    const signedFooter = [u32(tail.json.length), tail.json, tail.signature];
    const numbers = [first, end - first, proof.length].map(u32);
    const parts = this.parts.slice(first, end).flatMap(({ shown, head, sha256: hash }) => (shown ? [SHOWN, shown.key, head, shown.sealed] : [WITHHELD, head, hash]));
    return join([MAGIC, ...signedHeader, ...signedFooter, ...numbers, ...proof, ...parts]);
  }
}
