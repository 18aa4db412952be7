// Enrolment of a gateway (docs/protocol.md section 1). The secret of the code never leaves the administrator's device except
// by the administrator's hand; the cloud learns a look-up value derived from it.

import { base32, type Bytes, concat, equal, fromHex, hex, refuse, utf8 } from './bytes';
import { hkdf, hmac, labelled, random } from './crypto';
import { type Gateway, offeredGateway } from './statements';
import { hash, loose, writeCanonical } from './shape';

export interface Enrolment {
  secret: Bytes;
  lookup: string;
}

export async function enrolmentOf(secret: Bytes): Promise<Enrolment> {
  if (secret.length !== 16) refuse('an enrolment secret has 16 bytes');
  return { secret, lookup: hex(await hkdf(secret, new Uint8Array(), utf8('lenskeep enrolment lookup v1'))) };
}

export async function newEnrolment(caSha256: string, anchor: string): Promise<Enrolment & { code: string }> {
  const enrolment = await enrolmentOf(random(16));
  return { ...enrolment, code: enrolmentCode(enrolment.secret, caSha256, anchor) };
}

const answerShape = loose({ gateway: offeredGateway, mac: hash });

/** The gateway that came with the code. Throws if somebody without the secret put another one in its place. */
export async function readEnrolling(value: unknown, { secret }: Enrolment): Promise<Gateway> {
  const { gateway, mac } = answerShape(value, 'enrolment');
  const expected = await hmac(await macKey(secret), labelled('gateway', writeCanonical(gateway)));
  if (!equal(expected, fromHex(mac))) refuse('the gateway that answered does not know the enrolment code. Somebody may be passing off another one: stop, and make a new code');
  return gateway;
}

/** What proves to the gateway that this roster is the right one. `statement` is the hash of the add_gateway statement. */
export async function acceptMac({ secret }: Enrolment, anchor: string, statement: string): Promise<string> {
  return hex(await hmac(await macKey(secret), labelled('accept', fromHex(anchor), fromHex(statement))));
}

export function enrolmentCode(secret: Uint8Array, caSha256: string, anchor: string): string {
  return `LK1-${base32(concat(secret, fromHex(hash(caSha256, 'the cloud certificate')), fromHex(anchor)))}`;
}

async function macKey(secret: Bytes): Promise<Bytes> {
  return hkdf(secret, new Uint8Array(), utf8('lenskeep enrolment mac v1'));
}
