// HPKE, RFC 9180 base mode: X-Wing, HKDF-SHA256, AES-256-GCM. One message for each encapsulated key, as the format has it.

import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import { type Bytes, FormatError, refuse, utf8 } from './bytes';
import { KEM_ENC_BYTES, KEM_PUBLIC_BYTES } from './limits';

// Made at each use and not when the module loads, so that bundles which only read leave it out.
const makeSuite = () => new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

export async function kemPublicKey(seed: Uint8Array): Promise<Bytes> {
  const pair = await derive(seed);
  return new Uint8Array(await makeSuite().kem.serializePublicKey(pair.publicKey));
}

export async function hpkeSeal(publicKey: Uint8Array, info: string, associated: string, plain: Uint8Array): Promise<{ enc: Bytes; ciphertext: Bytes }> {
  if (publicKey.length !== KEM_PUBLIC_BYTES) refuse(`a KEM public key has ${KEM_PUBLIC_BYTES} bytes`);
  const suite = makeSuite();
  const recipientPublicKey = await suite.kem.deserializePublicKey(exact(publicKey));
  const sender = await suite.createSenderContext({ recipientPublicKey, info: exact(utf8(info)) });
  const ciphertext = await sender.seal(exact(plain), exact(utf8(associated)));
  return { enc: new Uint8Array(sender.enc), ciphertext: new Uint8Array(ciphertext) };
}

export async function hpkeOpen(seed: Uint8Array, info: string, associated: string, enc: Uint8Array, ciphertext: Uint8Array): Promise<Bytes> {
  if (enc.length !== KEM_ENC_BYTES) refuse(`an encapsulated key has ${KEM_ENC_BYTES} bytes`);
  const pair = await derive(seed);
  const suite = makeSuite();
  try {
    const recipient = await suite.createRecipientContext({ recipientKey: pair.privateKey, enc: exact(enc), info: exact(utf8(info)) });
    return new Uint8Array(await recipient.open(exact(ciphertext), exact(utf8(associated))));
  } catch {
    throw new FormatError('the message does not open with this key');
  }
}

async function derive(seed: Uint8Array): Promise<CryptoKeyPair> {
  if (seed.length !== 32) refuse('a KEM seed has 32 bytes');
  return new XWing().generateKeyPairDerand(seed.slice());
}

function exact(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
