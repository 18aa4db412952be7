// Sealed chunks (docs/format.md section 5): their 12 bytes of framing, opening them, and what is inside.
// A chunk opens only at its own number in its own recording; a moved, renumbered or altered one is refused.

import { type Bytes, concat, refuse, u32, view } from './bytes';
import { aesOpen, hkdfOf, labelled, sha256 } from './crypto';
import type { ReadHeader, RecordingKeys, Track } from './header';

export const CHUNK_HEAD_BYTES = 12;
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
export const CHUNKS_MAX = 262_144;
const TAG_BYTES = 16;
export const INDEX_TRACK = 0xff;
export const FOOTER_TRACK = 0xfe;
const FRAMES_MAX = 4096;

export interface ChunkHead {
  length: number;
  track: number;
  keyFrame: boolean;
  discontinuity: boolean;
  time: number;
}

export interface Chunk extends ChunkHead {
  number: number;
  /** The 12 bytes and the ciphertext, as they are hashed. */
  bytes: Bytes;
}

/** Reads the 12 bytes before a ciphertext. For the index and the footer it says so by the track number. */
export function readChunkHead(bytes: Uint8Array): ChunkHead {
  if (bytes.length < CHUNK_HEAD_BYTES) refuse('the chunk ends inside its head');
  const data = view(bytes);
  const head = { length: data.getUint32(0), track: data.getUint8(4), time: data.getUint32(8) };
  const flags = data.getUint8(5);
  if (data.getUint16(6) !== 0) refuse('bytes of a chunk that must be zero are not');
  if (head.track === INDEX_TRACK || head.track === FOOTER_TRACK) {
    if (flags !== 0 || head.time !== 0) refuse('bytes of the index or footer that must be zero are not');
    if (head.length > CHUNK_BYTES_MAX) refuse('the index or footer is too long');
  } else {
    if (head.track > 7) refuse(`track ${head.track} does not exist`);
    if (flags > 3) refuse('a chunk has unknown flags');
    if (head.length < TAG_BYTES || head.length > CHUNK_BYTES_MAX) refuse(`a chunk of ${head.length} bytes`);
  }
  return { ...head, keyFrame: (flags & 1) !== 0, discontinuity: (flags & 2) !== 0 };
}

export function readChunk(number: number, bytes: Uint8Array): Chunk {
  if (number >= CHUNKS_MAX) refuse(`a recording has at most ${CHUNKS_MAX} chunks`);
  const head = readChunkHead(bytes);
  if (bytes.length !== CHUNK_HEAD_BYTES + head.length || head.track > 7) refuse('the length of a chunk is not the one it states');
  return { ...head, number, bytes: bytes as Bytes };
}

/** Opens one chunk, or throws: `null` means that this device was not given the key of that track's kind. */
export async function openChunk(read: ReadHeader, keys: RecordingKeys, chunk: Chunk): Promise<Bytes | null> {
  const key = secretOf(read, keys, chunk);
  if (key === null) return null;
  const number = u32(chunk.number);
  const nonce = concat(new Uint8Array(8), number);
  const associated = concat(read.hash, number, chunk.bytes.subarray(0, CHUNK_HEAD_BYTES));
  try {
    return await aesOpen(await chunkKey(key, number), nonce, associated, chunk.bytes.subarray(CHUNK_HEAD_BYTES));
  } catch {
    return refuse(`chunk ${chunk.number} does not open: it was altered or belongs to another recording`);
  }
}

/** A chunk's own key in the clear, to show that chunk and no other to somebody else. */
export async function shownKey(read: ReadHeader, keys: RecordingKeys, chunk: Chunk): Promise<Bytes> {
  const secret = secretOf(read, keys, chunk) ?? refuse('this device was not given the key of the sound');
  return hkdfOf(secret, new Uint8Array(0), chunkInfo(u32(chunk.number)));
}

function secretOf(read: ReadHeader, keys: RecordingKeys, chunk: Chunk): CryptoKey | null {
  // Whoever may watch may read what the camera said.
  return trackOf(read, chunk.track).kind === 'audio' ? keys.audio : keys.video;
}

/** A chunk's leaf in the Merkle tree: its head, and the hash of what was sealed. */
export async function chunkLeaf(bytes: Bytes): Promise<Bytes> {
  return concat(bytes.subarray(0, CHUNK_HEAD_BYTES), await sha256(bytes.subarray(CHUNK_HEAD_BYTES)));
}

/** Each chunk has a key of its own, so that a part of a recording can be shown without the rest. */
async function chunkKey(secret: CryptoKey, number: Bytes): Promise<CryptoKey> {
  return crypto.subtle.deriveKey({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: chunkInfo(number) }, secret, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
}

const chunkInfo = (number: Bytes): Bytes => labelled('lenskeep chunk v1', number);

export function trackOf(read: ReadHeader, id: number): Track {
  return read.header.tracks.find((track) => track.id === id) ?? refuse(`the header describes no track ${id}`);
}

export interface AccessUnit {
  /** Ticks to add to the chunk's time. */
  presentationDelta: number;
  nalUnits: Bytes;
}

export function readAccessUnit(plain: Bytes): AccessUnit {
  if (plain.length < 5) refuse('an empty access unit');
  return { presentationDelta: view(plain).getInt32(0), nalUnits: plain.subarray(4) };
}

export function readAudioFrames(plain: Bytes): Bytes[] {
  const frames: Bytes[] = [];
  for (let at = 0; at < plain.length; ) {
    if (at + 2 > plain.length || frames.length >= FRAMES_MAX) refuse('the audio frames do not fit their chunk');
    const length = view(plain).getUint16(at);
    if (at + 2 + length > plain.length) refuse('the audio frames do not fit their chunk');
    frames.push(plain.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return frames;
}
