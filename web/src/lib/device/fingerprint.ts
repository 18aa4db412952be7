// Fingerprints that two people read to each other: 80 bits in five groups.
// A device's is over both of its public keys, so a server that swaps either of them shows another one.

import { fromBase64, hex } from '../seal/bytes';
import { sha256 } from '../seal/crypto';

export async function deviceFingerprint(device: { kem: string; sign: string }): Promise<string> {
  return groups(hex(await sha256(fromBase64(device.kem), fromBase64(device.sign))));
}

export function anchorFingerprint(anchor: string): string {
  return groups(anchor);
}

function groups(digest: string): string {
  return digest.slice(0, 20).match(/.{4}/g)!.join(' ');
}
