// The local way (docs/format.md section 8): this device and a gateway prove themselves to each other without the cloud.
// Both signatures are about the certificate that the gateway shows in TLS, as each end sees it.

import { fromBase64, refuse } from './bytes';
import type { Signer } from './crypto';
import { type Envelope, openSignedBy, sign } from './dsse';
import type { Head } from './roster';
import { hash, id, int, object } from './shape';

const gatewayShape = object({ org: id('org_'), gateway: id('gw_'), certificate: hash, device_challenge: hash, gateway_challenge: hash, roster_seq: int, roster_head: hash });
const loginShape = object({ org: id('org_'), gateway: id('gw_'), device: id('dev_'), certificate: hash, gateway_challenge: hash });

export interface KnownGateway {
  id: string;
  name: string;
  sign: string;
}

/** Whom the answer is of, and what lets this device in there. Refuses all but a gateway of the roster that answers this very question. */
export async function answerTo(
  envelope: Envelope,
  expected: { org: string; gateways: readonly KnownGateway[]; challenge: string; certificate: string },
  signer: Signer,
): Promise<{ gateway: KnownGateway; head: Head; login: Envelope }> {
  const keyid = envelope.signatures[0]!.keyid;
  const gateway = expected.gateways.find((known) => known.id === keyid) ?? refuse('what answers there is no gateway of your organisation');
  const { document: claim } = await openSignedBy(envelope, 'local-gateway.v1+json', gatewayShape, gateway.id, fromBase64(gateway.sign));
  if (claim.org !== expected.org || claim.gateway !== gateway.id) refuse('what answers there is of another organisation');
  if (claim.device_challenge !== expected.challenge) refuse('the gateway’s answer is an old one: somebody repeats it');
  if (claim.certificate !== expected.certificate) refuse('the gateway signs for another connection: somebody is in between');
  const document = { org: claim.org, gateway: claim.gateway, device: signer.keyid, certificate: claim.certificate, gateway_challenge: claim.gateway_challenge };
  const head = { seq: claim.roster_seq, hash: claim.roster_head };
  return { gateway, head, login: await sign('local-login.v1+json', loginShape(document, 'the login'), signer) };
}
