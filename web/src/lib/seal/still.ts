// Still pictures beside notices (docs/format.md section 9.1): found by an id and opened by a key, both of which a notice's secret gives.

import { type Bytes, fromBase64, hex, refuse, utf8 } from './bytes';
import { aesKey, aesOpen, hkdfKey, hkdfOf } from './crypto';

export const STILL_SECRET_BYTES = 32;
const TAG_BYTES = 16;
export const STILL_SEALED_BYTES_MAX = 256 * 1024 + TAG_BYTES;
const LABEL = 'lenskeep still v1';
/** A secret seals one picture and nothing else. */
const NONCE = new Uint8Array(12);

/** What the picture is of. It opens as nothing else. */
export interface StillPlace {
  org: string;
  gateway: string;
  camera: string;
  event: string;
}

export class StillSecret {
  private constructor(
    /** What the server is asked for. */
    readonly id: string,
    private readonly key: CryptoKey,
  ) {}

  static async of(secret: string): Promise<StillSecret> {
    const root = await hkdfKey(fromBase64(secret));
    const derive = (use: string) => hkdfOf(root, new Uint8Array(), utf8(`${LABEL} ${use}`));
    return new StillSecret(hex(await derive('id')), await aesKey(await derive('key')));
  }

  /** A JPEG: its gateway has looked at it, and left nothing in it but the picture. */
  async open(sealed: Bytes, { org, gateway, camera, event }: StillPlace): Promise<Bytes> {
    if (sealed.length > STILL_SEALED_BYTES_MAX) refuse('a picture that is too long');
    const associated = utf8([LABEL, org, gateway, camera, event].join('|'));
    const picture = await aesOpen(this.key, NONCE, associated, sealed).catch(() => refuse('the picture does not open as that of this event'));
    if (picture[0] !== 0xff || picture[1] !== 0xd8 || picture[2] !== 0xff) refuse('what was opened is no picture');
    return picture;
  }
}
