// Fingers, or a mouse, that move a band sideways: one pans, and lets it run on when it is let go; two spread or pinch it.
// Times and places are arguments; frames come from whoever uses it.

export interface Moves {
  /** By so many pixels: positive moves the band to the right. */
  pan(pixels: number): void;
  /** What is shown becomes `factor` times as long; `at` stays where it is, in pixels. */
  zoom(factor: number, at: number): void;
}

/** Less than this is a tap, by a hand that is not quite still. */
const TAP_PX = 6;
/** A finger that rests before it lifts throws nothing. */
const REST_MS = 60;
/** Pixels a millisecond, below which nothing runs on. */
const SLOW = 0.05;
/** What is left of the speed after a millisecond. */
const GLIDE = 0.9965;
/** Fingers this close together say nothing about how far they are apart. */
const CLOSE_PX = 12;

export class Panning {
  private readonly fingers = new Map<number, number>();
  private way = 0;
  private speed = 0;
  private movedAt = 0;

  constructor(private readonly moves: Moves) {}

  get active(): boolean {
    return this.fingers.size > 0;
  }

  start(finger: number, at: number, now: number): void {
    if (this.fingers.size === 0) this.way = 0;
    this.fingers.set(finger, at);
    this.speed = 0;
    this.movedAt = now;
  }

  move(finger: number, at: number, now: number): void {
    const before = this.fingers.get(finger);
    if (before === undefined) return;
    const [, other] = [...this.fingers].find(([id]) => id !== finger) ?? [];
    this.fingers.set(finger, at);
    this.way += Math.abs(at - before);
    if (other === undefined) {
      const passed = Math.max(1, now - this.movedAt);
      this.speed = passed > REST_MS ? 0 : 0.6 * this.speed + 0.4 * ((at - before) / passed);
      this.movedAt = now;
      this.moves.pan(at - before);
      return;
    }
    this.speed = 0;
    const [wide, wider] = [Math.abs(before - other), Math.abs(at - other)];
    if (wide > CLOSE_PX && wider > CLOSE_PX) this.moves.zoom(wide / wider, (before + other) / 2);
    this.moves.pan((at - before) / 2);
  }

  /** Whether it was a tap. */
  end(finger: number, now: number): boolean {
    if (!this.fingers.delete(finger) || this.fingers.size > 0) return false;
    if (now - this.movedAt > REST_MS) this.speed = 0;
    return this.way < TAP_PX;
  }

  /** Runs on after it was let go. Returns whether it still moves. */
  glide(passed: number): boolean {
    if (this.active || Math.abs(this.speed) < SLOW) return false;
    this.moves.pan(this.speed * passed);
    this.speed *= GLIDE ** passed;
    return true;
  }
}
