// The app on a person's telephone that shows six digits (RFC 6238), for tests that type them.

import { createHmac } from 'node:crypto';

const STEP_MS = 30_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function seedOf(secret) {
  const bits = [...secret].map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
}

function codeOf(seed, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', seed).update(counter).digest();
  const offset = digest.at(-1) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Gives codes that were not given before; waits where the next one would come too early. */
export function authenticator(secret) {
  const seed = seedOf(secret);
  let last = 0;
  return async () => {
    const now = () => Math.floor(Date.now() / STEP_MS);
    const step = Math.max(last + 1, now());
    // The server takes the code of the next half minute too, for clocks that are ahead.
    while (step > now() + 1) await new Promise((resolve) => setTimeout(resolve, 250));
    last = step;
    return codeOf(seed, step);
  };
}
