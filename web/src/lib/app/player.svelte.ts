// What the page knows of one player in the Worker: where it is, what it does, and what it cannot do.

import type { LiveStats, PlayerEvent } from '../../worker/protocol';
import type { Rendition } from '../api/types';
import { PlayerHandle } from './keeper';
import { Speaker } from './speaker';

/** The Worker reports each picture; the page repaints its clock a few times a second. */
const TICK_MS = 100;

/** Below 0 it goes backward. */
export const SPEEDS = [-16, -8, -4, -2, -1, 0.25, 0.5, 1, 2, 4, 8, 16];
const SPEED_MAX = 16;

export class Player {
  live = $state(true);
  /** Pictures move, or will as soon as they are found. */
  running = $state(true);
  state: 'connecting' | 'waiting' | 'playing' | 'paused' | 'ended' | 'seeking' = $state('connecting');
  note: string | null = $state(null);
  problem: string | null = $state(null);
  unsupported: string | null = $state(null);
  at: number | null = $state(null);
  speed = $state(1);
  hasSound = $state(false);
  sound = $state(false);
  stats: LiveStats | null = $state.raw(null);
  size: { width: number; height: number } | null = $state.raw(null);
  /** What plays is on the gateway alone. */
  onSite = $state(false);
  skipped: { from: number; to: number } | null = $state.raw(null);
  private readonly handle: PlayerHandle;
  private readonly speaker = new Speaker();
  private held = false;
  private newest: number | null = null;
  private tick: ReturnType<typeof setTimeout> | undefined;

  constructor(
    camera: string,
    public rendition: Rendition,
    canvas: HTMLCanvasElement,
  ) {
    this.handle = new PlayerHandle(camera, rendition, canvas, (event) => this.take(event));
  }

  goLive(): void {
    this.begin(true);
    // Whoever comes back to the past does not expect to go on backward.
    if (this.speed < 0) this.setSpeed(1);
    this.state = 'connecting';
    this.running = true;
    this.handle.control({ do: 'live' });
  }

  /** `preview` shows the nearest key frame only, while the person still drags. */
  seek(at: number, play: boolean, preview = false): void {
    this.begin(false);
    // What was shown last is not where this goes.
    clearTimeout(this.tick);
    this.tick = undefined;
    this.at = this.newest = at;
    this.state = 'seeking';
    this.running = play;
    this.handle.control({ do: 'seek', at, play, preview });
  }

  toggle(): void {
    if (this.live) this.hold();
    else if (this.held) this.seek(this.at ?? Date.now(), true);
    else {
      this.handle.control({ do: this.running ? 'pause' : 'play' });
      this.running = !this.running;
    }
  }

  /** As on the wheel of an editing desk: the same way again goes faster, the other way turns back. */
  shuttle(way: 1 | -1): void {
    const { live, held, running, speed } = this;
    if (live && way === 1) return;
    const goes = running && !live && Math.sign(speed) === way;
    this.setSpeed(goes ? Math.sign(speed) * Math.min(SPEED_MAX, Math.abs(speed) * 2) : way);
    if (live) this.hold();
    if (live || held) this.seek(this.at ?? Date.now(), true);
    else if (!running) this.toggle();
  }

  step(by: 1 | -1): void {
    if (this.live) this.hold();
    else if (this.held) this.seek((this.at ?? Date.now()) + by * 40, false);
    else this.handle.control({ do: 'step', by });
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    this.handle.control({ do: 'speed', speed });
  }

  async setSound(on: boolean): Promise<void> {
    if (on) await this.speaker.start();
    else this.speaker.stop();
    this.sound = on;
    this.handle.control({ do: 'audio', on });
  }

  setRendition(rendition: Rendition): void {
    const { live, at } = this;
    this.rendition = rendition;
    this.handle.control({ do: 'rendition', rendition });
    if (live || at === null) this.goLive();
    else this.seek(at, false);
  }

  snapshot(): Promise<Blob | null> {
    return this.handle.snapshot();
  }

  close(): void {
    clearTimeout(this.tick);
    this.handle.close();
    this.speaker.stop();
  }

  /** Live stands still at its newest picture. It can be played on from there once its recording is closed. */
  private hold(): void {
    this.begin(false);
    this.held = true;
    this.running = false;
    this.at = this.newest;
    this.state = 'paused';
    this.handle.control({ do: 'hold' });
  }

  private begin(live: boolean): void {
    this.live = live;
    this.held = false;
    this.problem = this.note = this.unsupported = null;
    this.skipped = null;
    if (live) this.onSite = false;
    if (!live) this.stats = null;
  }

  private take(event: PlayerEvent): void {
    switch (event.type) {
      case 'state':
        this.state = event.state;
        this.note = event.note;
        if (event.state === 'playing') this.problem = null;
        // The Worker has the last word: what it says may answer an earlier wish, and then another answer follows.
        if (event.state === 'playing' && !this.held) this.running = true;
        if (event.state === 'paused' || event.state === 'ended') this.running = false;
        return;
      case 'picture':
        this.newest = event.at;
        if (this.size?.width !== event.width || this.size.height !== event.height) this.size = { width: event.width, height: event.height };
        // A picture that stands is shown with its time; of those that run by, nobody reads each.
        if (this.state !== 'playing') this.at = event.at;
        this.tick ??= setTimeout(() => {
          this.tick = undefined;
          this.at = this.newest;
        }, TICK_MS);
        return;
      case 'source':
        this.onSite = event.on_site;
        return;
      case 'skipped_gap':
        this.skipped = { from: event.from, to: event.to };
        return;
      case 'unsupported':
        this.unsupported = event.codec;
        return;
      case 'error':
        this.problem = event.message;
        return;
      case 'stats':
        this.stats = event.stats;
        return;
      case 'sound':
        this.hasSound = event.available;
        return;
      case 'audio':
        this.speaker.play(event.sample_rate, event.channels, event.due);
    }
  }
}
