// The primitives of docs/format.md section 1, each in the one form in which the format uses it.
// Ed25519, AES-GCM, SHA-256, HMAC and HKDF are the browser's own; HPKE is in hpke.ts. Keys enter as CryptoKeys that cannot be exported.

import { type Bytes, concat, fromBase64url, refuse, utf8 } from './bytes';

export async function sha256(...parts: readonly Uint8Array[]): Promise<Bytes> {
  const data = parts.length === 1 ? (parts[0] as Bytes) : concat(...parts);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', data));
}

export function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

export async function hkdf(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length = 32): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', ikm as Bytes, 'HKDF', false, ['deriveBits']);
  return hkdfOf(key, salt, info, length);
}

export async function hkdfOf(key: CryptoKey, salt: Uint8Array, info: Uint8Array, length = 32): Promise<Bytes> {
  const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: salt as Bytes, info: info as Bytes }, key, length * 8);
  return new Uint8Array(bits);
}

/** For several keys that come from one. */
export async function hkdfKey(ikm: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', ikm as Bytes, 'HKDF', false, ['deriveKey', 'deriveBits']);
}

export async function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  const imported = await crypto.subtle.importKey('raw', key as Bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, concat(...parts)));
}

export async function aesKey(raw: Uint8Array): Promise<CryptoKey> {
  if (raw.length !== 32) refuse('an AES-256 key has 32 bytes');
  return crypto.subtle.importKey('raw', raw as Bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

export async function aesSeal(key: CryptoKey, nonce: Bytes, associated: Bytes, plain: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce, additionalData: associated }, key, plain as Bytes));
}

export async function aesOpen(key: CryptoKey, nonce: Bytes, associated: Bytes, sealed: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce, additionalData: associated }, key, sealed as Bytes));
}

export interface Signer {
  keyid: string;
  sign(data: Bytes): Promise<Bytes>;
}

// RFC 8410, section 7: the fixed PKCS #8 prefix of an Ed25519 seed.
const PKCS8_ED25519 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

export async function signer(keyid: string, seed: Uint8Array): Promise<Signer> {
  const key = await importSeed(seed, false);
  return { keyid, sign: async (data) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, data)) };
}

export async function signPublicKey(seed: Uint8Array): Promise<Bytes> {
  const { x } = await crypto.subtle.exportKey('jwk', await importSeed(seed, true));
  return fromBase64url(x ?? refuse('the browser does not export Ed25519 public keys'));
}

async function importSeed(seed: Uint8Array, extractable: boolean): Promise<CryptoKey> {
  if (seed.length !== 32) refuse('an Ed25519 seed has 32 bytes');
  const document = concat(PKCS8_ED25519, seed);
  try {
    return await crypto.subtle.importKey('pkcs8', document, 'Ed25519', extractable, ['sign']);
  } finally {
    document.fill(0);
  }
}

export async function verifies(publicKey: Uint8Array, signature: Uint8Array, data: Bytes): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    const key = await crypto.subtle.importKey('raw', publicKey as Bytes, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', key, signature as Bytes, data);
  } catch {
    return false; // Not a point of the curve.
  }
}

/** docs/format.md section 4: AES-GCM does not commit to its key, so the gateway does. */
export async function keyCommitment(key: Uint8Array): Promise<Bytes> {
  return sha256(labelled('lenskeep key commitment v1', key));
}

/** `label | 0x00 | bytes`: how the format separates what a hash is for from what it is over. */
export function labelled(label: string, ...bytes: readonly Uint8Array[]): Bytes {
  return concat(utf8(label), Uint8Array.of(0), ...bytes);
}
