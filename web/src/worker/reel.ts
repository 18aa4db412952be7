// Pictures that are decoded and wait to be shown, in the order in which they will be: forward or backward. Each is shown when its time has come.

import { type Clock, dueAt, wallNow } from './clock';
import type { Frame, Screen } from './screen';

/** Pauses in the footage shorter than this are frame intervals, not gaps. */
export const GAP_MS = 1500;
/** At higher speeds key frames alone are shown. */
export const KEY_FRAMES_ABOVE = 4;
/** A picture that is this late is left out. */
const LATE_MS = 120;
/** Beside other cameras it would show another time than they do. */
const LATE_TOGETHER_MS = 40;
/** So far behind the others, or for so long without a picture that came in time, it does not catch up by itself. */
const BEHIND_MS = 500;
const FROZEN_MS = 1500;

export interface Pace {
  playing: () => boolean;
  /** Below 0 it goes backward. */
  speed: () => number;
  /** The clock of several players, if it is one of them. */
  together: () => Clock | null;
  /** Too slow for that clock. */
  behind: () => void;
}

export class Reel {
  private waiting: Frame[] = [];
  /** Media time `media` is shown at wall time `wall`. */
  clock: { wall: number; media: number } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wakers: (() => void)[] = [];
  private closed = false;
  /** When a picture came in time, beside others. */
  private inTime = wallNow();

  constructor(
    private readonly screen: Screen,
    private readonly pace: Pace,
  ) {}

  push(...frames: Frame[]): void {
    if (this.closed) return frames.forEach(({ frame }) => frame.close());
    this.waiting.push(...frames);
    this.present();
  }

  hold(): void {
    clearTimeout(this.timer);
    this.clock = null;
  }

  resume(): void {
    this.clock = null;
    this.inTime = wallNow();
    this.present();
  }

  /** Steps to a picture that is decoded already. */
  showNext(): boolean {
    this.hold();
    const next = this.waiting.shift();
    if (!next) return false;
    this.screen.show(next);
    this.wake();
    return true;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const { frame } of this.waiting.splice(0)) frame.close();
    this.wake();
  }

  /** Until no more than so many wait. */
  async room(most: number): Promise<void> {
    while (this.waiting.length > most && !this.closed) await new Promise<void>((resolve) => this.wakers.push(resolve));
  }

  /** Shows what is due, and sets the timer for what comes. */
  private present(): void {
    clearTimeout(this.timer);
    if (!this.pace.playing()) return;
    const together = this.pace.together();
    if (together) return this.presentBy(together);
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const now = performance.now();
      this.clock ??= { wall: now, media: next.at };
      const due = this.clock.wall + (next.at - this.clock.media) / this.pace.speed();
      if (due > now + 2) {
        this.timer = setTimeout(() => this.present(), Math.min(due - now, 1000));
        return;
      }
      this.waiting.shift();
      this.wake();
      if (now - due > LATE_MS) {
        // Behind: either leave this picture out, or, if there is no other, let the clock wait for us.
        this.clock = null;
        if (this.waiting.length > 0) {
          next.frame.close();
          continue;
        }
      }
      this.screen.show(next);
    }
  }

  /** What is due by a clock that waits for nobody: what comes too late is left out. */
  private presentBy(clock: Clock): void {
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const late = wallNow() - dueAt(clock, next.at);
      if (late < -2) {
        this.inTime = wallNow();
        this.timer = setTimeout(() => this.present(), Math.min(-late, 1000));
        return;
      }
      this.waiting.shift();
      this.wake();
      // The first one may stand since before the clock was started.
      const tooLate = wallNow() - dueAt(clock, Math.max(next.at, next.until ?? next.at));
      if (tooLate <= LATE_TOGETHER_MS) {
        this.screen.show(next, Math.max(0, tooLate));
        this.inTime = wallNow();
        continue;
      }
      next.frame.close();
      if (tooLate > BEHIND_MS || wallNow() - this.inTime > FROZEN_MS) return this.pace.behind();
    }
  }

  private wake(): void {
    for (const resume of this.wakers.splice(0)) resume();
  }
}
