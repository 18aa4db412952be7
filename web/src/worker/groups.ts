// Which bytes of a recording hold its groups of pictures, and which pictures of a group are shown next on the way back. Only numbers.

import type { Chunk } from '../lib/seal/chunk';
import type { Track } from '../lib/seal/header';
import type { KeyFrame } from '../lib/seal/tail';

/** Pictures that are decoded and wait to be shown backward: so much memory, at four bytes a pixel. */
export const HELD_BYTES_MAX = 256 * 1024 * 1024;
/** A picture may be as large as this if nobody says how large it is. */
const UNKNOWN_PIXELS = 3840 * 2160;

export const bitmapsThatFit = ({ width, height }: Pick<Track, 'width' | 'height'>): number => Math.max(2, Math.floor(HELD_BYTES_MAX / (4 * (width * height || UNKNOWN_PIXELS))));

/** Stretches of a recording from the last to the first, each from a key frame on: whole groups, as many as so many bytes hold, at least one.
 * None begins after `ticks`. */
export function pieces(keyFrames: readonly KeyFrame[], end: number, ticks: number, bytes: number): { from: KeyFrame; to: number }[] {
  const found: { from: KeyFrame; to: number }[] = [];
  let last = keyFrames.length;
  while (last > 0 && keyFrames[last - 1]!.time > ticks) last -= 1;
  for (let to = keyFrames[last]?.offset ?? end; last > 0; ) {
    let first = last - 1;
    while (first > 0 && to - keyFrames[first - 1]!.offset <= bytes) first -= 1;
    found.push({ from: keyFrames[first]!, to });
    to = keyFrames[first]!.offset;
    last = first;
  }
  return found;
}

/** Chunks of one video track, from key frame to key frame. What comes before the first one shows nothing. */
export function groupsOf<C extends Pick<Chunk, 'keyFrame'>>(chunks: readonly C[]): C[][] {
  const groups: C[][] = [];
  for (const chunk of chunks) {
    if (chunk.keyFrame) groups.push([chunk]);
    else groups.at(-1)?.push(chunk);
  }
  return groups;
}

/** Of pictures at these times, those that are shown next: from `before` back, this far apart at least, and no more than so many. */
export function goingBack(times: readonly number[], before: number, apart: number, most: number): number[] {
  const found: number[] = [];
  for (const time of times.filter((each) => each <= before).sort((a, b) => b - a)) {
    if (found.length === most) break;
    if (found.length === 0 || time <= found.at(-1)! - apart) found.push(time);
  }
  return found;
}
