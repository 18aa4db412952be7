// Several cameras at one time in the past. There is one clock; each camera shows what is due by it, and none waits for another.

import { type Clock, mediaAt, wallNow } from '../../worker/clock';
import type { Footage } from './footage.svelte';
import type { PastTile } from './pastTile.svelte';
import { joined, shared, type Span } from './timeline';

/** More do not decode at once. */
export const TOGETHER_MAX = 9;
const TICK_MS = 100;
/** All begin together, unless one takes longer than this: it comes in later. */
const READY_MS_MAX = 3000;
/** Until every one of them has heard when they begin. */
const START_MS = 50;

export class Together {
  readonly tiles = new Set<PastTile>();
  clock: Clock = $state.raw({ since: 0, media: 0, speed: 1, playing: false });
  /** What the clock shows. */
  at: number = $state(0);
  /** Moves, or will as soon as all are ready. */
  running = $state(false);
  state: 'playing' | 'paused' | 'seeking' | 'ended' = $state('seeking');
  skipped: Span | null = $state.raw(null);
  readonly live = false;
  private readonly timer: ReturnType<typeof setInterval>;
  private starting: ReturnType<typeof setTimeout> | undefined;

  /** Cameras in the order in which they may play. */
  constructor(
    at: number,
    private readonly order: () => string[],
  ) {
    this.at = at;
    this.clock = { ...this.clock, media: at };
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  readonly refusal = `Paused: ${TOGETHER_MAX} cameras play at once`;
  admits(camera: string): boolean {
    return this.order().indexOf(camera) < TOGETHER_MAX;
  }

  get speed(): number {
    return this.clock.speed;
  }

  seek(at: number, play: boolean, preview = false): void {
    this.skipped = null;
    this.begin(at, play, preview);
  }

  toggle(): void {
    this.seek(this.running ? mediaAt(this.clock, wallNow()) : this.at, !this.running);
  }

  setSpeed(speed: number): void {
    const now = wallNow();
    this.clock = { ...this.clock, since: now, media: mediaAt(this.clock, now), speed };
    if (this.clock.playing) for (const tile of this.tiles) tile.follow(this.clock, false);
  }

  /** One of them has what it was asked for. */
  settled(): void {
    if ([...this.tiles].every(({ ready }) => ready)) this.ready();
  }

  close(): void {
    clearInterval(this.timer);
    clearTimeout(this.starting);
  }

  private begin(at: number, play: boolean, preview: boolean): void {
    this.clock = { ...this.clock, media: at, playing: false };
    this.at = at;
    this.running = play;
    this.state = 'seeking';
    for (const tile of this.tiles) tile.follow(this.clock, true, preview);
    clearTimeout(this.starting);
    this.starting = setTimeout(() => this.ready(), READY_MS_MAX);
  }

  private ready(): void {
    if (this.state !== 'seeking') return;
    clearTimeout(this.starting);
    this.state = this.running ? 'playing' : 'paused';
    if (!this.running) return;
    this.clock = { ...this.clock, since: wallNow() + START_MS, playing: true };
    for (const tile of this.tiles) tile.follow(this.clock, !tile.ready);
  }

  private tick(): void {
    if (!this.clock.playing) return;
    this.at = mediaAt(this.clock, wallNow());
    if (this.at > Date.now()) return this.stop();
    const playing = [...this.tiles].filter(({ rendition }) => rendition !== null);
    for (const tile of playing) tile.look();
    if (playing.length === 0 || playing.some(({ empty }) => empty === null)) return;
    // Nobody has anything: on to the first that will.
    const next = Math.min(...playing.map(({ empty }) => empty!.to ?? Infinity));
    if (next === Infinity) return this.stop();
    const from = this.at;
    this.begin(next, true, false);
    this.skipped = { from, to: next };
  }

  private stop(): void {
    this.begin(this.at, false, false);
    this.running = false;
  }
}

/** What is recorded of several cameras, as the timeline of one shows it: where all have something, and where some have. */
export class CommonFootage {
  readonly activity = [];
  readonly holes = [];
  readonly shortest = 0;

  constructor(private readonly each: readonly Footage[]) {}

  get spans(): Span[] {
    return shared(this.each.map(({ spans }) => spans));
  }

  get some(): Span[] {
    return joined(this.each.flatMap(({ spans, some }) => [...spans, ...some]).map((span) => ({ ...span })).sort((a, b) => a.from - b.from), 0);
  }

  get loaded(): boolean {
    return this.each.every(({ loaded }) => loaded);
  }

  get siteUnreachable(): boolean {
    return this.each.some(({ siteUnreachable }) => siteUnreachable);
  }

  async look(view: Span): Promise<void> {
    await Promise.all(this.each.map((footage) => footage.look(view)));
  }
}
