// A link to one moment of a camera, or of a wall. It gives nobody access: whoever opens it signs in and needs the keys, as always.

export const pathTo = (camera: string, at: number): string => momentAt(`/cameras/${camera}`, at);
export const momentAt = (path: string, at: number): string => `${path}?at=${new Date(at).toISOString()}`;

/** The clock of whoever made the link may be ahead of ours. */
const AHEAD_MS = 5 * 60_000;

/** The moment that an address names; null if there is none that a camera can have seen. */
export function momentOf(search: string, now: number): number | null {
  const text = new URLSearchParams(search).get('at');
  if (text === null || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text)) return null;
  const at = Date.parse(text);
  return at > 0 && at <= now + AHEAD_MS ? at : null;
}
