// The recovery device: 24 English words (BIP 39, 256 bits of entropy) from which both of its seeds are derived.
// The words are shown once and never stored. Whoever has them can, after 72 hours without a veto, become administrator.

import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { base64, type Bytes, hex, utf8 } from '../seal/bytes';
import { hkdf, random, signer, signPublicKey } from '../seal/crypto';
import { kemPublicKey } from '../seal/hpke';
import type { Recovery } from '../seal/statements';
import type { Seeds } from './wrap';

export async function newRecovery(): Promise<{ words: string[]; recovery: Recovery }> {
  const entropy = random(32);
  const words = entropyToMnemonic(entropy, wordlist).split(' ');
  const seeds = await seedsOf(entropy);
  const recovery = { id: `dev_${hex(random(16))}`, kem: base64(await kemPublicKey(seeds.kem)), sign: base64(await signPublicKey(seeds.sign)) };
  for (const secret of [entropy, seeds.kem, seeds.sign]) secret.fill(0);
  return { words, recovery };
}

export async function seedsFromWords(words: string): Promise<Seeds> {
  let entropy: Uint8Array;
  try {
    entropy = mnemonicToEntropy(words.trim().toLowerCase().split(/\s+/).join(' '), wordlist);
  } catch {
    throw new Error('These are not the 24 words of a recovery sheet. Compare them with the paper, word by word.');
  }
  return seedsOf(entropy);
}

export async function recoveryKey(words: string): Promise<string> {
  return base64(await signPublicKey((await seedsFromWords(words)).sign));
}

/** The seed that opens what was sealed to the sheet. */
export async function kemFromWords(words: string): Promise<Bytes> {
  const { kem, sign } = await seedsFromWords(words);
  sign.fill(0);
  return kem;
}

export async function signByRecovery(words: string, data: Bytes): Promise<Bytes> {
  const seeds = await seedsFromWords(words);
  const signature = await (await signer('recovery', seeds.sign)).sign(data);
  for (const secret of [seeds.kem, seeds.sign]) secret.fill(0);
  return signature;
}

export async function seedsOf(entropy: Uint8Array): Promise<Seeds> {
  const none = new Uint8Array();
  return {
    kem: await hkdf(entropy, none, utf8('lenskeep recovery kem v1')),
    sign: await hkdf(entropy, none, utf8('lenskeep recovery sign v1')),
  };
}
