// One live picture among many: which stream it takes, whether it rests, and whether pictures still come. What stops is said after two seconds, and
// asked for again; what is old is said as well, whoever sends it.

import type { PlayerEvent } from '../../worker/protocol';
import type { Rendition } from '../api/types';
import { PlayerHandle } from './keeper';
import { Speaker } from './speaker';

/** Without a picture for so long, a stream has stopped; slow ones get longer. */
const STOPPED_MS = 2000;
const SLOW_MS_MAX = 15_000;
const LOOK_EVERY_MS = 500;
/** By the gateway's clock and this one: what is older is not live. */
const OLD_MS = 30_000;
/** Out of sight for so long before it rests: whoever scrolls past asks for nothing anew. */
const REST_AFTER_MS = 4000;
/** Then a connection that stands is asked for again; each time later. */
const AGAIN_MS = 10_000;
const AGAIN_MS_MAX = 120_000;
/** Pictures are left out for want of time, on the way or in this browser, in so many seconds more than not: the small stream has to do for a while.
 * At the beginning of a stream that means nothing. */
const STRAINED_SECONDS = 3;
const SETTLING_MS = 5000;
const STRAINED_MS = 60_000;
const GAPS_KEPT = 5;

export class LiveTile {
  /** Null while it rests. */
  rendition: Rendition | null = $state(null);
  /** When the camera saw what is shown; null before the first picture. Kept while it rests. */
  at: number | null = $state(null);
  /** When the last picture came, if no other did for too long. */
  stopped: number | null = $state(null);
  /** Pictures come, and are not of now. */
  old = $state(false);
  note: string | null = $state(null);
  problem: string | null = $state(null);
  unsupported: string | null = $state(null);
  size: { width: number; height: number } | null = $state.raw(null);
  /** The full-size stream was too much, or is of no use here. */
  strained = $state(false);
  sound = $state(false);
  private readonly speaker = new Speaker();
  private readonly handle: PlayerHandle;
  private readonly timer: ReturnType<typeof setInterval>;
  private resting: ReturnType<typeof setTimeout> | undefined;
  private last: { at: number; date: number; seen: number } | null = null;
  private gaps: number[] = [];
  private asked = 0;
  private again = AGAIN_MS;
  private connecting = false;
  private skipped = 0;
  private bad = 0;
  private strainedUntil = 0;

  constructor(camera: string, canvas: HTMLCanvasElement) {
    this.handle = new PlayerHandle(camera, 'sub', canvas, (event) => this.take(event));
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Another stream, or none. What is shown stays until there is something newer. */
  show(rendition: Rendition | null): void {
    clearTimeout(this.resting);
    if (rendition === this.rendition) return;
    if (rendition === null) {
      this.resting = setTimeout(() => this.rest(), REST_AFTER_MS);
      return;
    }
    this.rendition = rendition;
    this.handle.control({ do: 'rendition', rendition });
    this.ask();
  }

  async setSound(on: boolean): Promise<void> {
    if (on) await this.speaker.start();
    else this.speaker.stop();
    this.sound = on;
    this.handle.control({ do: 'audio', on });
  }

  close(): void {
    this.speaker.stop();
    clearInterval(this.timer);
    clearTimeout(this.resting);
    this.handle.close();
  }

  private rest(): void {
    this.rendition = null;
    this.stopped = this.note = this.problem = null;
    this.old = false;
    this.handle.control({ do: 'hold' });
  }

  private ask(): void {
    this.asked = performance.now();
    this.stopped = this.problem = this.unsupported = null;
    this.gaps = [];
    this.skipped = this.bad = 0;
    this.connecting = true;
    this.handle.control({ do: 'live' });
  }

  private look(): void {
    const now = performance.now();
    this.strained = now < this.strainedUntil;
    if (this.last) this.at = this.last.seen;
    if (this.rendition === null || this.unsupported) return;
    this.old = this.at !== null && Date.now() - this.at > OLD_MS;
    const since = Math.max(this.asked, this.last?.at ?? 0);
    const patience = Math.min(Math.max(STOPPED_MS, 2.5 * Math.max(0, ...this.gaps)), SLOW_MS_MAX);
    this.stopped = this.last && now - since > patience ? this.last.date : null;
    if (!this.connecting && now - since > this.again) {
      this.again = Math.min(this.again * 2, AGAIN_MS_MAX);
      this.ask();
    }
  }

  private take(event: PlayerEvent): void {
    switch (event.type) {
      case 'picture': {
        const now = performance.now();
        if (this.last && this.asked < this.last.at) this.gaps = [...this.gaps.slice(1 - GAPS_KEPT), now - this.last.at];
        this.last = { at: now, date: Date.now(), seen: event.at };
        this.again = AGAIN_MS;
        this.at ??= event.at;
        if (this.size?.width !== event.width || this.size.height !== event.height) this.size = { width: event.width, height: event.height };
        this.stopped = this.note = this.problem = null;
        return;
      }
      case 'state':
        this.connecting = event.state === 'connecting';
        this.note = event.state === 'playing' ? null : event.note;
        return;
      case 'stats':
        if (performance.now() > this.asked + SETTLING_MS) this.bad = Math.max(0, this.bad + (event.stats.skipped > this.skipped ? 1 : -1));
        this.skipped = event.stats.skipped;
        if (this.rendition === 'main' && this.bad >= STRAINED_SECONDS) this.strainedUntil = performance.now() + STRAINED_MS;
        return;
      case 'audio':
        return this.speaker.play(event.sample_rate, event.channels, event.due);
      case 'error':
        this.problem = event.message;
        return;
      case 'unsupported':
        this.unsupported = event.codec;
        // The small one may be of another kind.
        if (event.rendition === 'main') this.strainedUntil = Infinity;
    }
  }
}
