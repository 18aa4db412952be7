// The picture of a notice. It comes to the server a moment after the notice, if it comes: a camera may give none, and a server may keep it
// back. So it is asked for a few times, and nobody waits for it.

import { base64, type Bytes, concat } from '../lib/seal/bytes';
import { STILL_SEALED_BYTES_MAX, type StillPlace, StillSecret } from '../lib/seal/still';

/** From the notice on. A gateway takes its picture in less. */
export const STILL_WAIT_MS = 10_000;
const ASK_EVERY_MS = 1000;

/** As an address that a notification takes; null if there is none. */
export async function stillPicture(secret: string, place: StillPlace, waitMs = STILL_WAIT_MS, everyMs = ASK_EVERY_MS): Promise<string | null> {
  const still = await StillSecret.of(secret);
  const signal = AbortSignal.timeout(waitMs);
  while (!signal.aborted) {
    const sealed = await ask(`/api/v1/stills/${still.id}`, signal);
    // Whatever the server gave in its place, asking again gives nothing better.
    if (sealed) return `data:image/jpeg;base64,${base64(await still.open(sealed, place))}`;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return null;
}

/** Without the session: the id is all that is needed, and that this browser is told something is all that it says. */
async function ask(path: string, signal: AbortSignal): Promise<Bytes | null> {
  const response = await fetch(path, { credentials: 'omit', redirect: 'error', cache: 'no-store', signal }).catch(() => null);
  if (!response?.ok || !response.body) return null;
  const pieces: Bytes[] = [];
  let length = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(...pieces);
    length += value.length;
    if (length > STILL_SEALED_BYTES_MAX) {
      await reader.cancel();
      throw new Error('the server sends more than a picture has');
    }
    pieces.push(value);
  }
}
