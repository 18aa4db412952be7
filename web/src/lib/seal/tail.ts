// Index, footer and trailer of a recording that was closed (docs/format.md section 5).
// The index may come from anybody, so it only says where to look: what is found there must still open.

import { type Bytes, equal, fromBase64, fromHex, hex, refuse, view } from './bytes';
import { CHUNK_HEAD_BYTES, FOOTER_TRACK, INDEX_TRACK, readChunkHead } from './chunk';
import { sha256, verifies } from './crypto';
import { signedBytes } from './dsse';
import type { ReadHeader } from './header';
import { hash, int, literal, nullable, object, type Of, readCanonical } from './shape';

export const TRAILER_BYTES = 16;
export const RECORDING_BYTES_MAX = 64 * 1024 * 1024;
const INDEX_ENTRIES_MAX = 65_536;
const ENTRY_BYTES = 12;
const FOOTER_BYTES_MAX = 4096;
const END = Uint8Array.of(0x4c, 0x4b, 0x52, 0x45, 0x43, 0x45, 0x4e, 0x44);

export interface KeyFrame {
  offset: number;
  chunk: number;
  time: number;
}

const footerShape = object({
  header: hash,
  chunks: int,
  bytes: int,
  duration_ms: int,
  key_frames: int,
  index: hash,
  root: hash,
  previous_root: nullable(hash),
  ended: literal('closed', 'parameters', 'epoch', 'lost', 'stopped'),
});

export type Footer = Of<typeof footerShape>;

export interface Tail {
  index: KeyFrame[];
  footer: Footer;
  /** The footer as the gateway signed it, to be shown to others. */
  json: Bytes;
  signature: Bytes;
}

export interface Trailer {
  index: number;
  footer: number;
}

/** `null` for a file that was cut off. */
export function readTrailer(bytes: Uint8Array, size: number): Trailer | null {
  if (bytes.length !== TRAILER_BYTES || !equal(bytes.subarray(8), END)) return null;
  const trailer = { index: view(bytes).getUint32(0), footer: view(bytes).getUint32(4) };
  const fits = trailer.index + CHUNK_HEAD_BYTES <= trailer.footer && trailer.footer + CHUNK_HEAD_BYTES <= size - TRAILER_BYTES;
  return fits ? trailer : refuse('the trailer points outside the recording');
}

/** Reads index and footer from the bytes between the index's offset and the trailer. */
export async function readTail(bytes: Uint8Array, trailer: Trailer, read: ReadHeader, gatewaySign: string): Promise<Tail> {
  const footerAt = trailer.footer - trailer.index;
  const entries = part(bytes.subarray(0, footerAt), INDEX_TRACK, INDEX_ENTRIES_MAX * ENTRY_BYTES, 'index');
  const signed = part(bytes.subarray(footerAt), FOOTER_TRACK, FOOTER_BYTES_MAX + 64, 'footer');
  const json = signed.slice(0, signed.length - 64) as Bytes;
  const footer = readCanonical(footerShape, json, 'the footer', FOOTER_BYTES_MAX);
  const signature = signed.slice(-64) as Bytes;
  if (!(await verifies(fromBase64(gatewaySign), signature, signedBytes('recording-footer.v1+json', json)))) refuse('the gateway did not sign this footer');
  if (footer.header !== hex(read.hash)) refuse('the footer belongs to another recording');
  if (!equal(await sha256(entries), fromHex(footer.index))) refuse('the index is not the one that the gateway signed');
  return { index: readIndex(entries, read.length, trailer.index), footer, json, signature };
}

function readIndex(entries: Bytes, from: number, to: number): KeyFrame[] {
  if (entries.length % ENTRY_BYTES !== 0) refuse('the index ends inside an entry');
  const index: KeyFrame[] = [];
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const data = view(entries);
    const entry = { offset: data.getUint32(at), chunk: data.getUint32(at + 4), time: data.getUint32(at + 8) };
    const before = index.at(-1);
    if (entry.offset < from || entry.offset >= to || (before && (entry.offset <= before.offset || entry.chunk <= before.chunk || entry.time < before.time))) {
      refuse('the index points outside the recording, or is not in order');
    }
    index.push(entry);
  }
  return index;
}

function part(bytes: Uint8Array, track: number, bytesMax: number, what: string): Bytes {
  const head = readChunkHead(bytes);
  if (head.track !== track || head.length !== bytes.length - CHUNK_HEAD_BYTES || head.length > bytesMax || (track === FOOTER_TRACK && head.length <= 64)) {
    refuse(`the ${what} is not where the trailer says`);
  }
  return bytes.slice(CHUNK_HEAD_BYTES) as Bytes;
}
