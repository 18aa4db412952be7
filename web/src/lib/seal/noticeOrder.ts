// Orders of notices (docs/format.md section 9): what this device wants to be told, signed by it and sealed to one gateway. The key of the
// notices goes with it, and no further.

import { base64, type Bytes, fromBase64, refuse } from './bytes';
import { aesKey, random, type Signer } from './crypto';
import { type Envelope, sign } from './dsse';
import { hpkeSeal } from './hpke';
import { associated, type Channel } from './notice';
import { CAMERAS_MAX, LIFE_MS_MAX, QUIET_MAX, type Wishes } from './noticeLimits';
import { writeCanonical } from './shape';
import type { Gateway } from './statements';

const PADDING = 4096;
const LABEL = 'lenskeep notice order v1';

export interface PlacedOrder {
  envelope: Envelope;
  /** Opens what comes of it, and does not leave this browser. */
  key: CryptoKey;
}

/** With a key of its own: who has the one of an earlier order reads nothing of this one. */
export async function placeOrder(org: string, gateway: Gateway, wishes: Wishes, now: number, signer: Signer): Promise<PlacedOrder> {
  const raw = random(32);
  const channel = { org, gateway: gateway.id, device: signer.keyid };
  const envelope = await signOrder(channel, gateway.kem, wishes, raw, now, signer);
  const key = await aesKey(raw);
  raw.fill(0);
  return { envelope, key };
}

export async function signOrder(channel: Channel, kem: string, wishes: Wishes, raw: Bytes, now: number, signer: Signer): Promise<Envelope> {
  const plain = writeWishes(wishes, raw);
  const { enc, ciphertext } = await hpkeSeal(fromBase64(kem), LABEL, associated(LABEL, channel), plain);
  plain.fill(0);
  const { org, gateway, device } = channel;
  return sign('notice-order.v1+json', { org, gateway, device, issued_at: now, expires_at: now + LIFE_MS_MAX, sealed: { enc: base64(enc), ciphertext: base64(ciphertext) } }, signer);
}

/** What is sealed: its length is a multiple of 4 096, so that it says nothing of what is wanted. */
export function writeWishes({ rules, quiet, pause_ms, pictures }: Wishes, raw: Bytes): Bytes {
  const cameras = rules.reduce((sum, rule) => sum + (rule.cameras?.length ?? 0), 0);
  if (cameras > CAMERAS_MAX) refuse(`notifications of at most ${CAMERAS_MAX} cameras can be chosen one by one: choose all`);
  const text = writeCanonical({
    key: base64(raw),
    rules: rules.map(({ cameras, kinds }) => ({ cameras, kinds })),
    quiet: quiet.slice(0, QUIET_MAX).map(({ from, to }) => ({ from, to })),
    pause_ms,
    ...(pictures ? { pictures } : {}),
  });
  const padded = new Uint8Array(Math.ceil(text.length / PADDING) * PADDING);
  padded.set(text);
  text.fill(0);
  return padded;
}
