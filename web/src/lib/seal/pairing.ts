// Adding a device by a link (docs/protocol.md section 1.1). What the link carries proves whose keys the new device brings; a code that
// both screens show proves it again, to people, if somebody else saw the link: its author holds back a nonce until the keys are there.

import { type Bytes, equal, fromHex, hex, refuse, utf8 } from './bytes';
import { hkdf, hmac, labelled, random, sha256 } from './crypto';
import { hash, writeCanonical } from './shape';
import type { Device } from './statements';

const CODES = 1_000_000n;

export interface Pairing {
  secret: Bytes;
  /** Hash of the nonce, in hex. */
  commitment: string;
}

export async function newPairing(): Promise<{ pairing: Pairing; nonce: string }> {
  const nonce = hex(random(32));
  return { pairing: { secret: random(16), commitment: await commitmentTo(nonce) }, nonce };
}

export const writePairing = ({ secret, commitment }: Pairing): string => hex(secret) + commitment;

export function readPairing(text: string): Pairing | null {
  return /^[0-9a-f]{96}$/.test(text) ? { secret: fromHex(text.slice(0, 32)), commitment: text.slice(32) } : null;
}

/** By which the link's author finds the request. */
export const pairingLookup = async ({ secret }: Pairing): Promise<string> => hex(await hkdf(secret, new Uint8Array(), utf8('lenskeep pairing lookup v1')));

/** What the new device sends beside its keys. */
export async function pairingProof(pairing: Pairing, anchor: string, device: Device): Promise<{ lookup: string; mac: string }> {
  return { lookup: await pairingLookup(pairing), mac: hex(await macOf(pairing, anchor, device)) };
}

/** Throws if somebody who does not know the link put other keys in place of the device's. */
export async function checkPairingMac(pairing: Pairing, anchor: string, device: Device, mac: string): Promise<void> {
  if (!equal(await macOf(pairing, anchor, device), fromHex(hash(mac, 'the proof')))) {
    refuse('the keys of this device are not those that came with your link. Somebody may be passing off others: turn it away');
  }
}

/** What both screens show. `nonce` is what the link's author answered, and must be what the link promised. */
export async function pairingCode(commitment: string, nonce: string, anchor: string, device: Device): Promise<string> {
  if ((await commitmentTo(hash(nonce, 'the answer'))) !== commitment) refuse('the answer is not of whoever made this link. Somebody may be in between: stop, and make a new link');
  const digest = await hmac(fromHex(nonce), labelled('lenskeep pairing code v1', fromHex(anchor), writeCanonical(device)));
  const digits = String(new DataView(digest.buffer).getBigUint64(0) % CODES).padStart(6, '0');
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}

async function macOf({ secret }: Pairing, anchor: string, device: Device): Promise<Bytes> {
  const key = await hkdf(secret, new Uint8Array(), utf8('lenskeep pairing mac v1'));
  return hmac(key, labelled('device', fromHex(anchor), writeCanonical(device)));
}

const commitmentTo = async (nonce: string): Promise<string> => hex(await sha256(labelled('lenskeep pairing commitment v1', fromHex(nonce))));
