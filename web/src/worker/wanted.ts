// Which chunks of a recording an export shows: those of the time that was asked for, from the key frame at or before it on, so that it
// decodes. None of a recording that lies outside of it, whatever the server listed.

import type { Chunk } from '../lib/seal/chunk';
import type { Origin } from './clips';

export interface Stretch {
  from: number;
  to: number;
}

/** Sound comes into a recording after the pictures of its time; later than this it does not. */
const LAG_MS = 3000;

/** The last tick that does not begin after a moment, which is how a key frame at or before it is found. */
export function lastTickAt(moment: number, startedAt: number, timescale: number): number {
  return Math.max(0, Math.ceil(((moment + 1 - startedAt) * timescale) / 1000) - 1);
}

export class Wanted {
  /** From the newest key frame at or before the beginning on, until it is certain that something of the time follows. */
  private held: Chunk[] = [];
  private isInside = false;
  /** Nothing after this is of the time. */
  isOver = false;

  constructor(
    private readonly origin: Origin,
    private readonly stretch: Stretch,
  ) {}

  /** What is wanted by now, of chunks that come in the order of the recording. */
  push(chunk: Chunk): Chunk[] {
    const { origin, stretch } = this;
    const track = origin.track(chunk.track);
    if (!track) return [];
    const at = origin.at(chunk);
    if (at >= stretch.to + LAG_MS) this.isOver = true;
    if (at >= stretch.to) return [];
    if (!this.isInside && chunk.keyFrame && track.kind === 'video' && at <= stretch.from) this.held = [];
    this.held.push(chunk);
    this.isInside ||= at >= stretch.from;
    return this.isInside ? this.held.splice(0) : [];
  }
}
