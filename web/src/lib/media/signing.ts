// Signatures that a camera puts into its own stream (docs/format.md section 5.3): found and named, and not checked. What they are worth is for
// the programs of their makers to say, on the film as it was kept.

import { hex, view } from '../seal/bytes';
import type { Codec } from './boxes';

/** ITU-T H.264 and H.265, annex D. */
const USER_DATA_UNREGISTERED = 5;
const UUID_BYTES = 16;
const NAMES = new Map([
  ['5369676e656420566964656f2e2e2e30', 'Axis Signed Video'],
  ['005bc93f2d715e95ada4796f90877a6f', 'ONVIF Media Signing'],
]);

/** Those of one length-prefixed access unit. Takes any bytes: what is torn carries none from there on. */
export function cameraSignatures(codec: Codec, accessUnit: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0; at + 4 <= accessUnit.length; ) {
    const end = at + 4 + view(accessUnit).getUint32(at);
    if (end > accessUnit.length) break;
    const messages = supplemental(codec, accessUnit.subarray(at + 4, end));
    if (messages) found.push(...named(messages));
    at = end;
  }
  return found;
}

/** What stands after the header of a NAL unit with SEI messages. */
function supplemental(codec: Codec, unit: Uint8Array): Uint8Array | null {
  const first = unit[0] ?? 0;
  if (codec === 'avc1') return (first & 31) === 6 ? unit.subarray(1) : null;
  const kind = (first >> 1) & 63;
  return codec === 'hvc1' && (kind === 39 || kind === 40) ? unit.subarray(2) : null;
}

/** Messages one after the other (section 7.3.2.3.1 of H.264, 7.3.5 of H.265). */
function named(coded: Uint8Array): string[] {
  // `00 00 03` stands for `00 00` (7.4.1).
  const bytes = coded.filter((byte, i) => !(byte === 3 && i >= 2 && coded[i - 1] === 0 && coded[i - 2] === 0));
  const found: string[] = [];
  let at = 0;
  /** A number as 255s and what is left; null where the bytes end. */
  const number = (): number | null => {
    let sum = 0;
    while (at < bytes.length) {
      const byte = bytes[at++]!;
      sum += byte;
      if (byte !== 255) return sum;
    }
    return null;
  };
  for (;;) {
    const [kind, size] = [number(), number()];
    if (kind === null || size === null) return found;
    const name = kind === USER_DATA_UNREGISTERED && size >= UUID_BYTES ? NAMES.get(hex(bytes.subarray(at, at + UUID_BYTES))) : undefined;
    if (name) found.push(name);
    at += size;
  }
}
