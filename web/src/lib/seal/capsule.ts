// Capsules (docs/format.md section 10): footage for somebody without an account, sealed anew under a key that stands behind the `#` of a
// link and that no server is ever sent.

import { base64url, type Bytes, fromBase64url, hex, refuse, u32, utf8 } from './bytes';
import { aesKey, aesOpen, aesSeal, hkdfKey, hkdfOf, random } from './crypto';
import { int, list, literal, name, nullable, object, type Of, pattern, readCanonical, text } from './shape';

export const PIECE_BYTES = 2 ** 20;
const TAG_BYTES = 16;
export const PIECE_SEALED_BYTES_MAX = PIECE_BYTES + TAG_BYTES;
export const CAPSULE_BYTES_MAX = 2 ** 30;
export const FILES_MAX = 64;
export const PIECES_MAX = 2 ** 10;
export const DESCRIPTION_BYTES_MAX = 64 * 1024;
const DESCRIPTION_PADDING = 4096;
const NOTE_CHARS_MAX = 500;
const LABEL = 'lenskeep capsule v1';

const fileShape = object({ kind: literal('film', 'proof'), name, camera: name, from: int, to: int, bytes: int });
const descriptionShape = object({ note: nullable(text(NOTE_CHARS_MAX)), zone: pattern(/^[A-Za-z0-9_+:/-]{1,64}$/, 'a time zone'), files: list(fileShape, FILES_MAX, 1) });
export type CapsuleFile = Of<typeof fileShape>;
export type Description = Of<typeof descriptionShape>;

export interface Piece {
  file: number;
  number: number;
}

export const DESCRIPTION: Piece = { file: 0, number: 0 };

export const newShareId = (): string => `shr_${hex(random(16))}`;
export const isShareId = (id: string): boolean => /^shr_[0-9a-f]{32}$/.test(id);
export const newCapsuleKey = (): string => base64url(random(32));

export class Capsule {
  private constructor(
    private readonly share: string,
    /** What the server is shown, in hex. */
    readonly access: string,
    private readonly key: CryptoKey,
  ) {}

  /** `link` is what stands behind the `#`. */
  static async of(share: string, link: string): Promise<Capsule> {
    if (!/^[A-Za-z0-9_-]{43}$/.test(link)) refuse('the part of the link behind # is not whole: it has 43 letters, digits, - and _');
    const secret = fromBase64url(link);
    const root = await hkdfKey(secret);
    secret.fill(0);
    const derive = (use: string) => hkdfOf(root, utf8(share), utf8(`${LABEL} ${use}`));
    const content = await derive('content');
    const key = await aesKey(content);
    content.fill(0);
    return new Capsule(share, hex(await derive('access')), key);
  }

  /** Exactly once for a piece: content that changes needs another key. */
  seal(piece: Piece, plain: Bytes): Promise<Bytes> {
    return aesSeal(this.key, nonce(piece), this.associated, plain);
  }

  async open(piece: Piece, sealed: Bytes): Promise<Bytes> {
    return aesOpen(this.key, nonce(piece), this.associated, sealed).catch(() => refuse('a piece of the footage does not open: it was altered on the way, or the link is of something else'));
  }

  async sealDescription(description: Description): Promise<Bytes> {
    const plain = utf8(JSON.stringify(descriptionShape(description, 'the description')));
    const padded = new Uint8Array(Math.ceil(plain.length / DESCRIPTION_PADDING) * DESCRIPTION_PADDING);
    padded.set(plain);
    if (padded.length > DESCRIPTION_BYTES_MAX) refuse(`a description has at most ${DESCRIPTION_BYTES_MAX} bytes`);
    return this.seal(DESCRIPTION, padded);
  }

  async openDescription(sealed: Bytes): Promise<Description> {
    return readDescription(await this.open(DESCRIPTION, sealed));
  }

  private get associated(): Bytes {
    return utf8(`${LABEL}|${this.share}`);
  }
}

export function readDescription(padded: Bytes): Description {
  if (padded.length > DESCRIPTION_BYTES_MAX) refuse('the description is too long');
  let length = padded.length;
  while (length > 0 && padded[length - 1] === 0) length -= 1;
  const description = readCanonical(descriptionShape, padded.slice(0, length), 'the description', DESCRIPTION_BYTES_MAX);
  const bytes = description.files.reduce((sum, file) => sum + file.bytes, 0);
  const isBounded = bytes <= CAPSULE_BYTES_MAX && description.files.every((file) => file.bytes > 0 && file.from <= file.to);
  return isBounded ? description : refuse('the description says more than it may');
}

/** How many pieces a file has. */
export const piecesOf = ({ bytes }: CapsuleFile): number => Math.ceil(bytes / PIECE_BYTES);

/** Every piece has its own, and a capsule's key seals nothing else. */
function nonce({ file, number }: Piece): Bytes {
  const bytes = new Uint8Array(12);
  bytes.set(u32(file), 0);
  bytes.set(u32(number), 8);
  return bytes;
}
