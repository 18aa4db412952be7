// Reads a recording although the way there breaks off now and then: goes on from the byte where it stopped, waits longer each time, and
// gives up after two minutes without a byte.

import { ApiError } from '../lib/api/errors';
import type { Source } from '../lib/seal/reader';

const PATIENCE_MS = 120_000;
const FIRST_WAIT_MS = 1000;
const WAIT_MS_MAX = 15_000;
/** Without a byte for so long, a way is broken that does not say so. */
const STALL_MS = 30_000;

export function patient(source: Source, signal: AbortSignal, waits: (isWaiting: boolean) => void): Source {
  let since: number | null = null;
  let wait = FIRST_WAIT_MS;
  const came = () => {
    if (since !== null) waits(false);
    since = null;
    wait = FIRST_WAIT_MS;
  };
  /** Throws what will not pass, or has lasted too long. */
  async function again(error: unknown): Promise<void> {
    signal.throwIfAborted();
    since ??= Date.now();
    if (!passes(error) || Date.now() - since > PATIENCE_MS) throw error;
    waits(true);
    await pause(wait, signal);
    wait = Math.min(2 * wait, WAIT_MS_MAX);
  }
  return {
    size: source.size,
    async range(from, to) {
      for (;;) {
        try {
          const bytes = await within(source.range(from, to), signal);
          came();
          return bytes;
        } catch (error) {
          await again(error);
        }
      }
    },
    async *stream(from, to) {
      for (let at = from; at < to; ) {
        const stall = new AbortController();
        const watch = () => setTimeout(() => stall.abort(), STALL_MS);
        let timer = watch();
        try {
          for await (const piece of source.stream(at, to, AbortSignal.any([signal, stall.signal]))) {
            clearTimeout(timer);
            came();
            at += piece.length;
            yield piece;
            timer = watch();
          }
          if (at < to) throw stalled();
        } catch (error) {
          await again(stall.signal.aborted ? stalled() : error);
        } finally {
          clearTimeout(timer);
        }
      }
    },
  };
}

/** Does something again that the server takes twice as once, while the way there is broken. */
export async function persistent<T>(act: () => Promise<T>, signal: AbortSignal, waits: (isWaiting: boolean) => void): Promise<T> {
  const since = Date.now();
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, WAIT_MS_MAX)) {
    try {
      const done = await ended(act(), signal);
      waits(false);
      return done;
    } catch (error) {
      signal.throwIfAborted();
      if (!passes(error) || Date.now() - since > PATIENCE_MS) throw error;
      waits(true);
      await pause(wait, signal);
    }
  }
}

/** The same promise, but for an end that does not wait for it. */
export function ended<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(stalled()), STALL_MS)));
  try {
    return await ended(Promise.race([work, late]), signal);
  } finally {
    clearTimeout(timer);
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => ended(new Promise((resolve) => setTimeout(resolve, ms)), signal);
const stalled = (): ApiError => new ApiError(0, 'broken_off', 'The recordings come no further: the connection is lost.', 'Check that you are connected, then export again.');

/** What another attempt can mend: lost connections, and servers and gateways that are away or busy. */
function passes(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
