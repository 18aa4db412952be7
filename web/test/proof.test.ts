// A proof of the session's key, as the server reads it (RFC 9449).

import { beforeAll, describe, expect, it } from 'vitest';
import { learnNonce, newSessionKey, proofOf } from '../src/lib/device/proof';
import { fromBase64url, fromUtf8, utf8 } from '../src/lib/seal/bytes';

const read = (part: string): Record<string, unknown> => JSON.parse(fromUtf8(fromBase64url(part)));

describe('a proof', () => {
  beforeAll(() => Object.assign(globalThis, { location: new URL('http://localhost:8470/cameras?a=b') }));

  it('is signed by the key that it shows, over method and address', async () => {
    const key = await newSessionKey();
    const proof = await proofOf(key, 'GET', '/api/v1/cameras/cam_1/live?rendition=main');
    const [header, claims, signature] = proof.split('.') as [string, string, string];
    expect(read(header)).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk });
    expect(Object.keys(key.jwk).sort()).toEqual(['crv', 'kty', 'x', 'y']);
    expect(read(claims)).toMatchObject({ htm: 'GET', htu: 'http://localhost:8470/api/v1/cameras/cam_1/live' });
    expect(read(claims)).not.toHaveProperty('nonce');
    const publicKey = await crypto.subtle.importKey('jwk', key.jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
    const holds = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, publicKey, fromBase64url(signature), utf8(`${header}.${claims}`));
    expect(holds).toBe(true);
  });

  it('has a name of its own, and the newest nonce', async () => {
    const key = await newSessionKey();
    learnNonce(new Response(null, { headers: { 'dpop-nonce': 'first' } }));
    learnNonce(new Response(null));
    const [one, two] = await Promise.all([proofOf(key, 'GET', '/a'), proofOf(key, 'GET', '/a')]);
    const [first, second] = [read(one.split('.')[1]!), read(two.split('.')[1]!)];
    expect(first.nonce).toBe('first');
    expect(first.jti).not.toBe(second.jti);
  });

  it('comes from a key that cannot be taken out', async () => {
    const { privateKey } = await newSessionKey();
    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('pkcs8', privateKey)).rejects.toThrow();
  });
});
