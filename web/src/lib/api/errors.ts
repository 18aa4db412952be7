// What goes wrong between page and server, in words: what happened, and what to do.

import type { ErrorBody } from './types';

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

/** What an answer that is an error says. */
export function failure(status: number, text: string): ApiError {
  try {
    const { code, message, remedy, request } = (JSON.parse(text) as ErrorBody).error;
    // What failed inside is found in the server's log by the request.
    const named = status >= 500 && request ? ` (Request ${request}.)` : '';
    return new ApiError(status, String(code), String(message), `${remedy ?? ''}${named}`);
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
