// Passkeys: sign-in for the server, and the PRF secret that unlocks this browser's device key (WebAuthn level 3, section 10.1.4).
// The PRF result is turned into a key that cannot be exported and is never part of what is posted.

import { base64url, type Bytes, fromBase64url, utf8 } from '../seal/bytes';
import { sha256 } from '../seal/crypto';

export interface PasskeyAnswer {
  /** As the server wants it, without the PRF result. */
  credential: object;
  id: string;
  /** The PRF output as HKDF key; null where browser or authenticator has no PRF. */
  prf: CryptoKey | null;
}

export const passkeysWork = (): boolean => typeof PublicKeyCredential !== 'undefined' && window.isSecureContext;

/** Makes a passkey from the server's creation options. */
export async function createPasskey(options: unknown): Promise<PasskeyAnswer> {
  const publicKey = creationOptions(options);
  publicKey.authenticatorSelection = { ...publicKey.authenticatorSelection, residentKey: 'required', requireResidentKey: true, userVerification: 'required' };
  publicKey.extensions = { ...publicKey.extensions, prf: { eval: { first: await prfInput() } } };
  const credential = await ask(() => navigator.credentials.create({ publicKey }));
  const response = credential.response as AuthenticatorAttestationResponse;
  const results = credential.getClientExtensionResults();
  let prf = await prfKey(results);
  // Some authenticators say that they can, and give the secret only when they are asked again.
  if (!prf && results.prf?.enabled) prf = await evaluate(credential.rawId);
  const answer = {
    ...common(credential, results),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  };
  return { credential: answer, id: credential.id, prf };
}

/** Signs in by a passkey that the person picks. */
export async function usePasskey(options: unknown): Promise<PasskeyAnswer> {
  const publicKey = requestOptions(options);
  publicKey.extensions = { ...publicKey.extensions, prf: { eval: { first: await prfInput() } } };
  const credential = await ask(() => navigator.credentials.get({ publicKey }));
  const response = credential.response as AuthenticatorAssertionResponse;
  const results = credential.getClientExtensionResults();
  const answer = {
    ...common(credential, results),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
  return { credential: answer, id: credential.id, prf: await prfKey(results) };
}

/** Unlocks without signing in: the assertion is thrown away, only the PRF secret matters. */
export async function unlockByPasskey(credentialId: string): Promise<CryptoKey> {
  const prf = await evaluate(fromBase64url(credentialId).buffer);
  if (!prf) throw new Error('This passkey gave no secret. Use the browser and passkey with which you set up this device.');
  return prf;
}

async function evaluate(id: ArrayBuffer): Promise<CryptoKey | null> {
  const publicKey: PublicKeyCredentialRequestOptions = {
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    allowCredentials: [{ type: 'public-key', id }],
    userVerification: 'required',
    extensions: { prf: { eval: { first: await prfInput() } } },
  };
  const credential = await ask(() => navigator.credentials.get({ publicKey }));
  return prfKey(credential.getClientExtensionResults());
}

// The same for everybody: the authenticator mixes in its own secret per passkey, and wrap.ts a salt per device.
async function prfInput(): Promise<Bytes> {
  return sha256(utf8('lenskeep device key v1'));
}

async function prfKey(results: AuthenticationExtensionsClientOutputs): Promise<CryptoKey | null> {
  const first = results.prf?.results?.first;
  if (!first) return null;
  const secret = first instanceof ArrayBuffer ? new Uint8Array(first) : new Uint8Array((first as ArrayBufferView).buffer as ArrayBuffer);
  const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  secret.fill(0);
  return key;
}

async function ask(request: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const credential = await request();
    if (credential instanceof PublicKeyCredential) return credential;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'InvalidStateError') throw new Error('This authenticator already holds a passkey for you here. Sign in with it.');
    if (error instanceof DOMException && error.name !== 'NotAllowedError') throw new Error(`The passkey did not work: ${error.message}`, { cause: error });
  }
  throw new Error('The passkey was cancelled or took too long. Try again when you are ready.');
}

function common(credential: PublicKeyCredential, results: AuthenticationExtensionsClientOutputs): object {
  const { prf: _secret, ...rest } = results;
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, clientExtensionResults: rest };
}

function text(bytes: ArrayBuffer): string {
  return base64url(new Uint8Array(bytes));
}

// Options come as JSON with base64url where WebAuthn wants bytes (level 3, section 5.1.8), sometimes inside `publicKey`.
function creationOptions(options: unknown): PublicKeyCredentialCreationOptions {
  const json = inner(options);
  const user = json.user as Record<string, string>;
  return {
    ...(json as unknown as PublicKeyCredentialCreationOptions),
    challenge: fromBase64url(String(json.challenge)),
    user: { id: fromBase64url(user.id!), name: user.name!, displayName: user.displayName! },
    excludeCredentials: descriptors(json.excludeCredentials),
  };
}

function requestOptions(options: unknown): PublicKeyCredentialRequestOptions {
  const json = inner(options);
  return {
    ...(json as unknown as PublicKeyCredentialRequestOptions),
    challenge: fromBase64url(String(json.challenge)),
    allowCredentials: descriptors(json.allowCredentials),
  };
}

function inner(options: unknown): Record<string, unknown> {
  const outer = (options ?? {}) as Record<string, unknown>;
  return ((outer.publicKey as Record<string, unknown> | undefined) ?? outer) as Record<string, unknown>;
}

function descriptors(list: unknown): PublicKeyCredentialDescriptor[] {
  if (!Array.isArray(list)) return [];
  return list.map((entry: { id: string; transports?: AuthenticatorTransport[] }) => ({ type: 'public-key', id: fromBase64url(entry.id), transports: entry.transports }));
}
