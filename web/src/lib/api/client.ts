// One door to the server: JSON in, JSON out, errors with a remedy. Used by the page and by the Worker.
// It signs nothing and believes nothing; what answers claim is checked where it is used.

import type { ErrorBody } from './types';

const TIMEOUT_MS = 40_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** Set by whoever must know that the session has ended; see session.svelte.ts. */
export const on = { signedOut: () => {} };

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call<T>('POST', path, body);

export const remove = (path: string): Promise<void> => call<void>('DELETE', path);

/** Like `get`, with null for what does not exist or may not be seen. */
export async function find<T>(path: string): Promise<T | null> {
  try {
    return await get<T>(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-lenskeep'] = '1';
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body), credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError(0, 'unreachable', 'The server does not answer.', 'Check that Lenskeep runs and that you are connected, then try again.');
  }
  const text = await response.text();
  if (text.length > ANSWER_BYTES_MAX) throw new ApiError(response.status, 'too_large', 'The server sent more than it may.', 'Load the page again.');
  if (response.status === 401) on.signedOut();
  if (!response.ok) throw failure(response.status, text);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

function failure(status: number, text: string): ApiError {
  try {
    const { code, message, remedy } = (JSON.parse(text) as ErrorBody).error;
    return new ApiError(status, String(code), String(message), String(remedy ?? ''));
  } catch {
    return new ApiError(status, 'unexpected', `The server answered ${status}.`, 'Try again. If it stays, look at the log of lenskeep.');
  }
}

/** One text for people: what happened, and what to do. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) return error.remedy ? `${error.message} ${error.remedy}` : error.message;
  const message = error instanceof Error ? error.message : String(error);
  const sentence = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
