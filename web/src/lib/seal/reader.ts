// Reads a recording by byte ranges, or whole: header, tail, then chunks from a key frame on.
// It asks a `source` for bytes and believes none of them before the gateway's signature or the chunk's tag held.

import { type Bytes, concat, equal, fromHex, hex, refuse } from './bytes';
import { type Chunk, CHUNK_HEAD_BYTES, chunkLeaf, CHUNKS_MAX, openChunk, readChunk, readChunkHead } from './chunk';
import { checkHeader, headLength, PREFIX_BYTES, type ReadHeader, readHeader, type RecordingKeys } from './header';
import { MerkleTree } from './merkle';
import { type KeyFrame, readTail, readTrailer, RECORDING_BYTES_MAX, type Tail, TRAILER_BYTES } from './tail';

export interface Source {
  size: number;
  /** The bytes from `from` up to, not including, `to`. */
  range(from: number, to: number): Promise<Uint8Array>;
  /** The same in pieces as they arrive; ends early if the consumer stops. */
  stream(from: number, to: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** First guess at what holds prefix, header and signature, so that most recordings need one request for it. */
const HEAD_GUESS = 4096;
const TAIL_GUESS = 4096;

export class Recording {
  private constructor(
    readonly source: Source,
    readonly read: ReadHeader,
    /** `null` for a file that was cut off. */
    readonly tail: Tail | null,
    /** Where the chunks end. */
    readonly end: number,
  ) {}

  /** `gatewayOf` names the gateways of the roster; an unknown one refuses the recording. */
  static async open(source: Source, gatewayOf: (id: string) => { id: string; sign: string }): Promise<Recording> {
    if (source.size > RECORDING_BYTES_MAX || source.size < PREFIX_BYTES) refuse(`a recording of ${source.size} bytes`);
    const [first, last] = await Promise.all([
      exactly(source, 0, Math.min(HEAD_GUESS, source.size)),
      exactly(source, Math.max(0, source.size - TAIL_GUESS), source.size),
    ]);
    const length = headLength(first);
    const head = first.length >= length ? first : await exactly(source, 0, Math.min(length, source.size));
    const read = await readHeader(head);
    const gateway = gatewayOf(read.header.gateway);
    await checkHeader(read, gateway);
    const trailer = source.size >= TRAILER_BYTES + length ? readTrailer(last.subarray(-TRAILER_BYTES), source.size) : null;
    if (!trailer) return new Recording(source, read, null, source.size);
    if (trailer.index < length) refuse('the trailer points into the header');
    const lastFrom = source.size - last.length;
    const tailBytes =
      trailer.index >= lastFrom ? last.subarray(trailer.index - lastFrom, -TRAILER_BYTES) : await exactly(source, trailer.index, source.size - TRAILER_BYTES);
    return new Recording(source, read, await readTail(tailBytes, trailer, read, gateway.sign), trailer.index);
  }

  get id(): string {
    return hex(this.read.hash);
  }

  /** The key frame at or before a time in the video track's ticks; the beginning of the file where there is none. */
  keyFrameBefore(ticks: number): KeyFrame {
    let found: KeyFrame = { offset: this.read.length, chunk: 0, time: 0 };
    for (const entry of this.tail?.index ?? []) {
      if (entry.time > ticks) break;
      found = entry;
    }
    return found;
  }

  /** All of them in order; where none is listed, the beginning of the file. */
  get keyFrames(): readonly KeyFrame[] {
    return this.tail?.index.length ? this.tail.index : [{ offset: this.read.length, chunk: 0, time: 0 }];
  }

  /** Sealed chunks in file order, up to an offset at which one begins. A file that was cut off ends at its last whole chunk. */
  async *chunks(from: KeyFrame, signal?: AbortSignal, to = this.end): AsyncGenerator<Chunk> {
    let number = from.chunk;
    let rest: Uint8Array = new Uint8Array();
    for await (const piece of this.source.stream(from.offset, to, signal)) {
      rest = rest.length === 0 ? piece : concat(rest, piece);
      let at = 0;
      while (rest.length - at >= CHUNK_HEAD_BYTES) {
        const head = readChunkHead(rest.subarray(at));
        // The rest of a file without trailer may be an index that was half written.
        if (head.track > 7) return;
        const end = at + CHUNK_HEAD_BYTES + head.length;
        if (end > rest.length) break;
        if (number >= CHUNKS_MAX) refuse('too many chunks');
        yield readChunk(number, rest.slice(at, end));
        number += 1;
        at = end;
      }
      rest = rest.subarray(at);
    }
    if (rest.length > 0 && this.tail !== null) refuse('the chunks end before the index begins');
  }

  /** Opens every chunk and compares counts and Merkle root with the signed footer. */
  async verify(keys: RecordingKeys): Promise<void> {
    const tree = new MerkleTree();
    const found = { chunks: 0, bytes: 0, key_frames: 0 };
    for await (const chunk of this.chunks({ offset: this.read.length, chunk: 0, time: 0 })) {
      await openChunk(this.read, keys, chunk);
      await tree.push(await chunkLeaf(chunk.bytes));
      found.chunks += 1;
      found.bytes += chunk.bytes.length;
      if (chunk.keyFrame && this.read.header.tracks.find(({ id }) => id === chunk.track)?.kind === 'video') found.key_frames += 1;
    }
    if (this.tail === null) return;
    const { footer } = this.tail;
    if (found.chunks !== footer.chunks || found.bytes !== footer.bytes || found.key_frames !== footer.key_frames) refuse('the footer counts other chunks than the file has');
    if (!equal(await tree.root(), fromHex(footer.root))) refuse('the chunks are not those that the gateway signed');
  }
}

/** A whole recording that is already in memory. */
export function memorySource(bytes: Bytes): Source {
  return {
    size: bytes.length,
    range: async (from, to) => bytes.subarray(from, to),
    async *stream(from, to) {
      yield bytes.subarray(from, to);
    },
  };
}

async function exactly(source: Source, from: number, to: number): Promise<Uint8Array> {
  const bytes = await source.range(from, to);
  return bytes.length === to - from ? bytes : refuse(`asked for ${to - from} bytes of the recording and got ${bytes.length}`);
}
