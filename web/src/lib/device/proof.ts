// The key to which this browser's session is bound (DPoP, RFC 9449): whoever copies the cookie has not got it.
// P-256, made anew at each sign-in, kept by the browser, which signs with it and gives it to nobody. Page and Worker share it by IndexedDB.

import { base64url, type Bytes, utf8 } from '../seal/bytes';
import { random } from '../seal/crypto';
import { loadSessionKey, saveSessionKey, type SessionKey } from './store';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };

let current: Promise<SessionKey | null> | null = null;
let nonce: string | null = null;

export async function newSessionKey(): Promise<SessionKey> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const { crv, kty, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  return { privateKey, jwk: { crv, kty, x, y } };
}

export async function useSessionKey(key: SessionKey): Promise<void> {
  await saveSessionKey(key);
  current = Promise.resolve(key);
}

export function sessionKey(): Promise<SessionKey | null> {
  return (current ??= loadSessionKey());
}

/** Another tab may have signed in meanwhile. */
export function reloadSessionKey(): void {
  current = null;
}

/** Each answer brings the nonce for the proofs that come next. */
export function learnNonce(answer: Response): void {
  nonce = answer.headers.get('dpop-nonce') ?? nonce;
}

/** The proof for one request, to be sent once. `path` may have a query, which is not part of it. */
export async function proofOf(key: SessionKey, method: string, path: string): Promise<string> {
  const { origin, pathname } = new URL(path, location.origin);
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk };
  const claims = { jti: base64url(random(16)), htm: method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000), ...(nonce !== null && { nonce }) };
  const message = `${part(header)}.${part(claims)}`;
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key.privateKey, utf8(message));
  return `${message}.${base64url(new Uint8Array(signature) as Bytes)}`;
}

const part = (value: unknown): string => base64url(utf8(JSON.stringify(value)));
