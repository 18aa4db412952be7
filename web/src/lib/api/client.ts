// One door to the server: JSON in, JSON out, errors with a remedy. Used by the page and by the Worker.
// It believes nothing: what answers claim is checked where it is used. Each request proves that it comes from where the session was opened.

import { learnNonce, newSessionKey, proofOf, reloadSessionKey, sessionKey, useSessionKey } from '../device/proof';
import type { SessionKey } from '../device/store';
import { ApiError, failure } from './errors';

export { ApiError, explain } from './errors';

const TIMEOUT_MS = 40_000;
/** A mebibyte by a slow line. */
const BYTES_TIMEOUT_MS = 5 * 60_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** A new nonce, a new key, and both at once. */
const ATTEMPTS_MAX = 3;
const RETRIED = new Set(['use_dpop_nonce', 'proof_refused']);

/** Asked in place of the cloud: a gateway of this network, through `lenskeep app`. Page and Worker are told each. The key is what `lenskeep app`
 * knows this page by: its cookie alone would be sent to every port of localhost. */
let siteKey: string | null = null;
export const goApart = (key: string): void => void (siteKey = key);
export const isApart = (): boolean => siteKey !== null;
export const addressOf = (path: string): string => (siteKey ? path.replace(/^\/api\/v1\//, '/api/site/v1/') : path);

/** Set by whoever must know that the session has ended; see session.svelte.ts. */
export const on = { signedOut: () => {} };

/** When the server last said what time it is, by its clock and by ours. To the second: HTTP says no more. */
let time: { here: number; there: number } | null = null;
export const serverTime = (): typeof time => time;

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
export const post = <T>(path: string, body: unknown = {}, patience_ms = TIMEOUT_MS): Promise<T> => call<T>('POST', path, body, undefined, patience_ms);
export const put = <T>(path: string, body: unknown): Promise<T> => call<T>('PUT', path, body);
/** Bytes in place of JSON, of which the server says nothing but that it has them. */
export async function putBytes(path: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const headers = { accept: 'application/json', 'x-lenskeep': '1', 'content-type': 'application/octet-stream' };
  const response = await ask(path, { method: 'PUT', headers, body, signal: AbortSignal.timeout(BYTES_TIMEOUT_MS) });
  if (!response.ok) throw failure(response.status, await response.text());
}
export const remove = (path: string): Promise<void> => call<void>('DELETE', path);

/** A request that opens a session, bound to a new key of this browser. */
export async function open<T>(path: string, body: unknown): Promise<T> {
  const key = await newSessionKey();
  const answer = await call<T>('POST', path, body, key);
  await useSessionKey(key);
  return answer;
}

/** Like `get`, with null for what does not exist or may not be seen. */
export async function find<T>(path: string): Promise<T | null> {
  try {
    return await get<T>(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function call<T>(method: string, path: string, body?: unknown, key?: SessionKey, patience_ms = TIMEOUT_MS): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-lenskeep'] = '1';
  if (body !== undefined) headers['content-type'] = 'application/json';
  const request = { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: AbortSignal.timeout(patience_ms) };
  const response = await ask(path, request, key);
  const text = await response.text();
  if (text.length > ANSWER_BYTES_MAX) throw new ApiError(response.status, 'too_large', 'The server sent more than it may.', 'Load the page again.');
  if (!response.ok) throw failure(response.status, text);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

type Request_ = RequestInit & { headers: Record<string, string> };

/** Sends a request with its proof; again, if the server has a new nonce, or another tab has signed in with another key. */
export async function ask(path: string, request: Request_, key?: SessionKey): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const used = siteKey ? null : (key ?? (await sessionKey()));
    const headers = siteKey ? { ...request.headers, 'x-lenskeep-site': siteKey } : used ? { ...request.headers, dpop: await proofOf(used, request.method ?? 'GET', path) } : request.headers;
    const response = await fetch(addressOf(path), { ...request, headers, credentials: 'same-origin', cache: 'no-store' }).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new ApiError(0, 'unreachable', 'The server does not answer.', 'Check that Lenskeep runs and that you are connected, then try again.');
    });
    learnNonce(response);
    const date = Date.parse(response.headers.get('date') ?? '');
    if (!Number.isNaN(date)) time = { here: Date.now(), there: date };
    if (response.status !== 401) return response;
    const error = failure(401, await response.text());
    if (error.code === 'proof_refused') reloadSessionKey();
    if (attempt === ATTEMPTS_MAX || !RETRIED.has(error.code)) {
      // At a gateway, a login that is refused ends no session that there is.
      if (!path.startsWith('/api/site/')) on.signedOut();
      throw error;
    }
  }
}
