// The signed header of a recording (docs/format.md section 5): the first thing of a file and of a live stream.
// Refuses a header that the roster's gateway did not sign or whose key commitments are not those of the keys at hand.

import { type Bytes, equal, fromBase64, fromHex, hex, refuse, utf8, view } from './bytes';
import { hkdf, hkdfKey, keyCommitment, labelled, sha256, verifies } from './crypto';
import { signedBytes } from './dsse';
import type { EpochKeys } from './grants';
import { b64, bool, hash, id, int, literal, nullable, object, type Of, pattern, readCanonical, sorted, text } from './shape';

export const HEADER_BYTES_MAX = 65_536;
/** Of a checkpoint in a header. */
export const CHECKPOINT_BYTES_MAX = 8192;
export const PREFIX_BYTES = 12;
const SIGNATURE_BYTES = 64;
const MAGIC = Uint8Array.of(0x4c, 0x4b, 0x52, 0x45, 0x43, 0, 0, 3);

const trackShape = object({
  id: int,
  kind: literal('video', 'audio', 'events'),
  codec: pattern(/^[A-Za-z0-9.]{1,64}$/, 'a codec'),
  timescale: int,
  description: nullable(b64(1, 32_768)),
  width: int,
  height: int,
  sample_rate: int,
  channels: int,
});

const headerShape = object({
  algorithm: literal('A256GCM'),
  org: id('org_'),
  camera: id('cam_'),
  rendition: literal('main', 'sub', 'events'),
  gateway: id('gw_'),
  epoch: id('ep_'),
  commitment_video: hash,
  commitment_audio: hash,
  salt: b64(32),
  roster_head: hash,
  checkpoint: nullable(text(CHECKPOINT_BYTES_MAX)),
  started_at: int,
  clock: literal('synchronised', 'unknown'),
  starts_with_key_frame: bool,
  tracks: sorted(trackShape, (track) => String(track.id), 8),
});

export type Track = Of<typeof trackShape>;
export type Header = Of<typeof headerShape>;

export interface ReadHeader {
  header: Header;
  /** Of the header JSON: the id of the recording. */
  hash: Bytes;
  json: Bytes;
  signature: Bytes;
  /** Bytes of prefix, header and signature: where the first chunk begins. */
  length: number;
}

/** How many bytes prefix, header and signature have, from the first 12. */
export function headLength(prefix: Uint8Array): number {
  if (prefix.length < PREFIX_BYTES || !equal(prefix.subarray(0, 8), MAGIC)) refuse('this is not a Lenskeep recording of version 3');
  const length = view(prefix).getUint32(8);
  if (length === 0 || length > HEADER_BYTES_MAX) refuse(`a header of ${length} bytes`);
  return PREFIX_BYTES + length + SIGNATURE_BYTES;
}

/** Reads prefix, header and signature. Nothing is believed yet: `checkHeader` does that. */
export async function readHeader(bytes: Uint8Array): Promise<ReadHeader> {
  const length = headLength(bytes);
  if (bytes.length < length) refuse('the recording ends inside its header');
  const json = bytes.slice(PREFIX_BYTES, length - SIGNATURE_BYTES) as Bytes;
  const header = readCanonical(headerShape, json, 'the header', HEADER_BYTES_MAX);
  if (utf8(header.checkpoint ?? '').length > CHECKPOINT_BYTES_MAX) refuse(`a checkpoint of more than ${CHECKPOINT_BYTES_MAX} bytes`);
  for (const track of header.tracks) {
    if (track.id > 7 || track.timescale === 0 || track.timescale > 0xffff_ffff) refuse(`track ${track.id} has an impossible id or timescale`);
    if ((track.kind === 'events') !== (header.rendition === 'events')) refuse('events have recordings of their own');
  }
  return { header, json, hash: await sha256(json), signature: bytes.slice(length - SIGNATURE_BYTES, length) as Bytes, length };
}

export async function checkHeader(read: ReadHeader, gateway: { id: string; sign: string }): Promise<void> {
  if (read.header.gateway !== gateway.id) refuse('the recording belongs to another gateway');
  const data = signedBytes('recording-header.v1+json', read.json);
  if (!(await verifies(fromBase64(gateway.sign), read.signature, data))) refuse('the gateway did not sign this header');
}

/** Of each kind of track, what the keys of its chunks come from. */
export interface RecordingKeys {
  video: CryptoKey;
  audio: CryptoKey | null;
}

/** Derives the keys of one recording, after checking that the epoch keys are the ones the header commits to. */
export async function recordingKeys(read: ReadHeader, keys: EpochKeys): Promise<RecordingKeys> {
  const { commitment_video, commitment_audio } = read.header;
  return {
    video: await derive(read, keys.video, commitment_video),
    audio: keys.audio && (await derive(read, keys.audio, commitment_audio)),
  };
}

async function derive({ header, hash }: ReadHeader, key: Bytes, commitment: string): Promise<CryptoKey> {
  if (!equal(await keyCommitment(key), fromHex(commitment))) refuse('the recording was sealed with another key than the one that was granted');
  return hkdfKey(await hkdf(key, fromBase64(header.salt), labelled('lenskeep recording v3', hash)));
}

export const recordingId = (read: ReadHeader): string => hex(read.hash);
