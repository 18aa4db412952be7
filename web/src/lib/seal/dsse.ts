// The signed envelope of docs/format.md section 1.2 (DSSE v1).
// It says which of the offered keys signed; who may sign what is decided by the callers. A payload is only ever read after that.

import { type Bytes, base64, concat, fromBase64, refuse, utf8 } from './bytes';
import { type Signer, sha256, verifies } from './crypto';
import { b64, list, loose, type Of, nodeId, pattern, type Shape, readCanonical, writeCanonical } from './shape';

export const PAYLOAD_BYTES_MAX = 256 * 1024;
const TYPE = 'application/vnd.lenskeep.';

export type PayloadType =
  | 'roster.v1+json'
  | 'command.v1+json'
  | 'command-result.v1+json'
  | 'epoch-grant.v1+json'
  | 'past-grant.v1+json'
  | 'recording-header.v1+json'
  | 'recording-footer.v1+json'
  | 'device-login.v1+json'
  | 'action.v1+json'
  | 'local-gateway.v1+json'
  | 'local-login.v1+json'
  | 'hour.v1+json'
  | 'notice-order.v1+json'
  | 'ptz-session.v1+json'
  | 'ptz-order.v1+json'
  | 'bookmark.v1+json'
  | 'lock-result.v1+json';

export const envelopeShape = loose({
  payloadType: pattern(/^application\/vnd\.lenskeep\.[a-z0-9.+-]{1,64}$/, 'a payload type of Lenskeep'),
  payload: b64(1, PAYLOAD_BYTES_MAX),
  signatures: list(loose({ keyid: nodeId, sig: b64(64) }), 16, 1),
});

export type Envelope = Of<typeof envelopeShape>;

export function readEnvelope(value: unknown, what = 'envelope'): Envelope {
  const envelope = envelopeShape(value, what);
  if (new Set(envelope.signatures.map(({ keyid }) => keyid)).size !== envelope.signatures.length) refuse(`${what} is signed twice by one key`);
  return envelope;
}

/** What a signature covers: the "pre-authentication encoding" of DSSE v1. */
export function signedBytes(type: PayloadType, payload: Uint8Array): Bytes {
  const name = TYPE + type;
  return concat(utf8(`DSSEv1 ${name.length} ${name} ${payload.length} `), payload);
}

export async function sign(type: PayloadType, document: unknown, ...signers: readonly Signer[]): Promise<Envelope> {
  const payload = writeCanonical(document);
  const signatures = [];
  for (const signer of signers) signatures.push({ keyid: signer.keyid, sig: base64(await signer.sign(signedBytes(type, payload))) });
  return { payloadType: TYPE + type, payload: base64(payload), signatures };
}

/** The same payload with one more signature, and no other: what whoever agrees sends. */
export async function countersign(type: PayloadType, envelope: Envelope, signer: Signer): Promise<Envelope> {
  const sig = base64(await signer.sign(signedBytes(type, fromBase64(envelope.payload))));
  return { ...envelope, signatures: [{ keyid: signer.keyid, sig }] };
}

export const isAction = ({ payloadType }: Envelope): boolean => payloadType === `${TYPE}action.v1+json`;
export const isCommand = ({ payloadType }: Envelope): boolean => payloadType === `${TYPE}command.v1+json`;

export interface Opened<T> {
  document: T;
  payload: Bytes;
  hash: Bytes;
}

/** Reads the payload without believing it: for documents that name their own signer. */
export async function peek<T>(envelope: Envelope, type: PayloadType, shape: Shape<T>): Promise<Opened<T>> {
  if (envelope.payloadType !== TYPE + type) refuse(`the envelope holds ${envelope.payloadType}, not ${TYPE}${type}`);
  const payload = fromBase64(envelope.payload);
  return { document: readCanonical(shape, payload, type, PAYLOAD_BYTES_MAX), payload, hash: await sha256(payload) };
}

/** The key ids that `keyOf` knows and that signed. A wrong signature of a known key refuses the whole envelope; unknown key ids do not count. */
export async function signersOf(envelope: Envelope, type: PayloadType, keyOf: (keyid: string) => Uint8Array | undefined): Promise<Set<string>> {
  const data = signedBytes(type, fromBase64(envelope.payload));
  const found = new Set<string>();
  for (const { keyid, sig } of envelope.signatures) {
    const key = keyOf(keyid);
    if (!key) continue;
    if (!(await verifies(key, fromBase64(sig), data))) refuse(`the signature of ${keyid} does not hold`, 'signature');
    found.add(keyid);
  }
  return found;
}

/** A document that must be signed by this one key and no other. */
export async function openSignedBy<T>(envelope: Envelope, type: PayloadType, shape: Shape<T>, keyid: string, key: Uint8Array): Promise<Opened<T>> {
  const opened = await peek(envelope, type, shape);
  if (envelope.signatures.length !== 1 || envelope.signatures[0]!.keyid !== keyid) refuse(`the ${type} is not signed by ${keyid} alone`, 'signature');
  await signersOf(envelope, type, () => key);
  return opened;
}
