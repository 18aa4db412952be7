// Recordings as a gateway seals them, made here by the words of docs/format.md.

import { base64, type Bytes, concat, hex, u32, utf8 } from '../../src/lib/seal/bytes';
import { aesKey, aesSeal, hkdf, keyCommitment, labelled, random, sha256, signer, signPublicKey } from '../../src/lib/seal/crypto';
import { signedBytes } from '../../src/lib/seal/dsse';
import { MerkleTree } from '../../src/lib/seal/merkle';
import { writeCanonical } from '../../src/lib/seal/shape';
import type { Gateway } from '../../src/lib/seal/statements';

export const id = (prefix: string, byte = 'a1'): string => `${prefix}_${byte.repeat(16)}`;
export const STARTED_AT = 1_763_836_800_000;
/** Of the one gateway of these tests. */
const seed = random(32);

export interface Made {
  gateway: Gateway;
  id: string;
  file: Bytes;
  /** Prefix, header and signature. */
  head: Bytes;
  chunks: Bytes[];
}

interface Wanted {
  keys: { video: Bytes; audio: Bytes };
  camera?: string;
  rendition?: 'main' | 'sub';
  startedAt?: number;
  /** avcC in base64. */
  description?: string | null;
  /** How many of its 20 chunks the file has. */
  kept?: number;
}

/** Twenty chunks of 40 ms: every fourth one sound, and every eighth a key frame. */
export async function makeRecording({ keys, camera = id('cam'), rendition = 'main', startedAt = STARTED_AT, description = null, kept = 20 }: Wanted): Promise<Made> {
  const gateway = { id: id('gw'), name: 'Site', kem: '', sign: base64(await signPublicKey(seed)) };
  const site = await signer(gateway.id, seed);
  const track = { width: 0, height: 0, sample_rate: 0, channels: 0 };
  const salt = random(32);
  const header = writeCanonical({
    algorithm: 'A256GCM', org: id('org'), camera, rendition, gateway: gateway.id, epoch: id('ep'),
    commitment_video: hex(await keyCommitment(keys.video)), commitment_audio: hex(await keyCommitment(keys.audio)),
    salt: base64(salt), roster_head: '0'.repeat(64), checkpoint: null, started_at: startedAt, clock: 'synchronised', starts_with_key_frame: true,
    tracks: [
      { id: 0, kind: 'video', codec: 'avc1.64001f', timescale: 1000, description, ...track },
      { id: 1, kind: 'audio', codec: 'ulaw', timescale: 8000, description: null, ...track },
    ],
  });
  const hash = await sha256(header);
  const head = concat(Uint8Array.of(0x4c, 0x4b, 0x52, 0x45, 0x43, 0, 0, 3), u32(header.length), header, await site.sign(signedBytes('recording-header.v1+json', header)));
  const chunks: Bytes[] = [];
  const entries: Bytes[] = [];
  const tree = new MerkleTree();
  let offset = head.length;
  for (let n = 0; n < 20; n += 1) {
    const isVideo = n % 4 !== 3;
    const isKey = n % 8 === 0;
    const secret = await hkdf(isVideo ? keys.video : keys.audio, salt, labelled('lenskeep recording v3', hash));
    const key = await aesKey(await hkdf(secret, new Uint8Array(0), labelled('lenskeep chunk v1', u32(n))));
    const plain = isVideo ? concat(u32(0), u32(4), utf8('nal!')) : concat(Uint8Array.of(0, 3), utf8('abc'));
    const chunkHead = concat(u32(plain.length + 16), Uint8Array.of(isVideo ? 0 : 1, isKey ? 1 : 0, 0, 0), u32(n * 40 * (isVideo ? 1 : 8)));
    const chunk = concat(chunkHead, await aesSeal(key, concat(new Uint8Array(8), u32(n)), concat(hash, u32(n), chunkHead), plain));
    if (isKey) entries.push(concat(u32(offset), u32(n), u32(n * 40)));
    chunks.push(chunk);
    await tree.push(concat(chunkHead, await sha256(chunk.subarray(chunkHead.length))));
    offset += chunk.length;
  }
  const index = concat(...entries);
  const footer = writeCanonical({
    header: hex(hash), chunks: chunks.length, bytes: offset - head.length, duration_ms: 800, key_frames: entries.length,
    index: hex(await sha256(index)), root: hex(await tree.root()), previous_root: null, ended: 'closed',
  });
  const signedFooter = concat(footer, await site.sign(signedBytes('recording-footer.v1+json', footer)));
  const indexPart = concat(u32(index.length), Uint8Array.of(0xff, 0, 0, 0), u32(0), index);
  const footerPart = concat(u32(signedFooter.length), Uint8Array.of(0xfe, 0, 0, 0), u32(0), signedFooter);
  const there = chunks.slice(0, kept);
  const end = there.reduce((sum, { length }) => sum + length, head.length);
  return { gateway, id: hex(hash), file: concat(head, ...there, indexPart, footerPart, u32(end), u32(end + indexPart.length), utf8('LKRECEND')), head, chunks };
}
