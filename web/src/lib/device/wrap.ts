// Seals and opens the two seeds of a device key at rest. Runs in the Worker only.
// The wrapping key comes from the passkey's PRF or from a passphrase through Argon2id; it cannot be exported and is not kept.

import { argon2idAsync } from '@noble/hashes/argon2.js';
import { type Bytes, concat, refuse, utf8 } from '../seal/bytes';
import { aesKey, aesOpen, aesSeal, hkdfOf, labelled, random } from '../seal/crypto';
import type { Device } from '../seal/statements';
import type { StoredDevice, Wrap } from './store';

/** 64 MiB and 3 passes: the second choice of RFC 9106, section 4, for one lane, as there are no threads here. */
const MEMORY_KIB = 64 * 1024;
const PASSES = 3;
const MEMORY_KIB_MAX = 1024 * 1024;

export interface Seeds {
  kem: Bytes;
  sign: Bytes;
}

/** What unlocks: the passkey's PRF output, imported as an HKDF key by the page, or a passphrase. */
export type Opener = { kind: 'passkey'; credential: string; prf: CryptoKey } | { kind: 'passphrase'; passphrase: string };

export async function wrapSeeds(seeds: Seeds, device: Device, opener: Opener): Promise<Pick<StoredDevice, 'wrap' | 'nonce' | 'sealed'>> {
  const salt = random(32);
  const wrap: Wrap =
    opener.kind === 'passkey'
      ? { kind: 'passkey', credential: opener.credential, salt }
      : { kind: 'passphrase', salt, memory_kib: MEMORY_KIB, passes: PASSES };
  const nonce = random(12);
  const plain = concat(seeds.kem, seeds.sign);
  const sealed = await aesSeal(await wrappingKey(wrap, opener), nonce, associated(device), plain);
  plain.fill(0);
  return { wrap, nonce, sealed };
}

export async function unwrapSeeds(stored: StoredDevice, opener: Opener): Promise<Seeds> {
  const key = await wrappingKey(stored.wrap, opener);
  try {
    const plain = await aesOpen(key, stored.nonce, associated(stored.device), stored.sealed);
    const seeds = { kem: plain.slice(0, 32), sign: plain.slice(32, 64) };
    plain.fill(0);
    return seeds;
  } catch {
    throw new Error(opener.kind === 'passkey' ? 'This passkey does not open the device key of this browser. Use the one you made here.' : 'That is not the passphrase of this device.');
  }
}

async function wrappingKey(wrap: Wrap, opener: Opener): Promise<CryptoKey> {
  if (wrap.kind === 'passkey' && opener.kind === 'passkey') {
    return aesKey(await hkdfOf(opener.prf, wrap.salt, utf8('lenskeep device wrap v1')));
  }
  if (wrap.kind === 'passphrase' && opener.kind === 'passphrase') {
    if (wrap.memory_kib > MEMORY_KIB_MAX) refuse('the stored key asks for more memory than a browser has');
    const passphrase = utf8(opener.passphrase.normalize('NFKC'));
    const raw = await argon2idAsync(passphrase, wrap.salt, { m: wrap.memory_kib, t: wrap.passes, p: 1, dkLen: 32, asyncTick: 50 });
    const key = await aesKey(raw);
    raw.fill(0);
    passphrase.fill(0);
    return key;
  }
  return refuse('this device key is unlocked in another way');
}

function associated(device: Device): Bytes {
  return labelled('lenskeep device key v1', utf8(JSON.stringify([device.id, device.kem, device.sign])));
}
