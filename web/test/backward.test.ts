import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bitmapsThatFit, goingBack, groupsOf, HELD_BYTES_MAX, pieces } from '../src/worker/groups';
import { Reel } from '../src/worker/reel';
import type { Frame, Screen } from '../src/worker/screen';

const key = (offset: number, time: number) => ({ offset, chunk: time, time });

describe('the way back through a recording', () => {
  const index = [key(100, 0), key(400, 10), key(600, 20), key(1600, 30), key(1700, 40)];
  it('takes whole groups from the last on, as many as may come at once', () => {
    const read = (ticks: number, bytes: number) => pieces(index, 2000, ticks, bytes).map(({ from, to }) => [from.offset, to]);
    expect(read(99, 500)).toEqual([[1600, 2000], [600, 1600], [100, 600]]);
    expect(read(99, 1)).toEqual([[1700, 2000], [1600, 1700], [600, 1600], [400, 600], [100, 400]]);
    expect(read(99, 10_000)).toEqual([[100, 2000]]);
    // The group that holds the time, to its end, and nothing after.
    expect(read(25, 500)).toEqual([[600, 1600], [100, 600]]);
    expect(read(0, 500)).toEqual([[100, 400]]);
    expect(read(-1, 500)).toEqual([]);
  });
  it('splits them at key frames', () => {
    const chunk = (number: number, keyFrame: boolean) => ({ number, keyFrame });
    expect(groupsOf([chunk(0, false), chunk(1, true), chunk(2, false), chunk(3, true)]).map((group) => group.map(({ number }) => number))).toEqual([[1, 2], [3]]);
  });
  it('shows every picture once, from the end, however few fit', () => {
    // As they are decoded: one is shown before its neighbour that came first.
    const times = [0, 80, 40, 120, 200, 160];
    const shown: number[] = [];
    for (let before = 170; ; ) {
      const next = goingBack(times, before, 36, 2);
      if (next.length === 0) break;
      shown.push(...next);
      before = next.at(-1)! - 36;
    }
    expect(shown).toEqual([160, 120, 80, 40, 0]);
    expect(goingBack(times, 200, 70, 9)).toEqual([200, 120, 40]);
  });
  it('holds no more than its memory, and at least two', () => {
    const fit = bitmapsThatFit({ width: 1920, height: 1080 });
    expect(fit * 1920 * 1080 * 4).toBeLessThanOrEqual(HELD_BYTES_MAX);
    expect(fit).toBeGreaterThan(20);
    expect(bitmapsThatFit({ width: 30_000, height: 30_000 })).toBe(2);
    expect(bitmapsThatFit({ width: 0, height: 0 })).toBeGreaterThan(1);
  });
});

describe('a reel', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const threaded = (speed: number) => {
    const shown: [number, number][] = [];
    let open = 0;
    const began = performance.now();
    const frame = (at: number): Frame => ((open += 1), { at, frame: { close: () => (open -= 1) } as unknown as VideoFrame });
    const screen = { show: (next: Frame) => (next.frame.close(), shown.push([next.at, Math.round(performance.now() - began)])) } as unknown as Screen;
    const pace = { playing: true, speed };
    const reel = new Reel(screen, { playing: () => pace.playing, speed: () => pace.speed, together: () => null, behind: () => undefined });
    return { reel, shown, frame, pace, open: () => open };
  };

  it('shows each picture when it is due, forward and backward', () => {
    for (const [speed, times] of [[1, [0, 40, 80]], [-2, [80, 40, 0]]] as const) {
      const { reel, shown, frame } = threaded(speed);
      reel.push(...times.map(frame));
      vi.advanceTimersByTime(200);
      expect(shown).toEqual(times.map((at, n) => [at, Math.round((n * 40) / Math.abs(speed))]));
    }
  });
  it('stands still while nothing plays, and goes on from there', () => {
    const { reel, shown, frame, pace } = threaded(-1);
    reel.push(frame(100), frame(60));
    pace.playing = false;
    reel.hold();
    vi.advanceTimersByTime(500);
    expect(shown).toEqual([[100, 0]]);
    pace.playing = true;
    reel.resume();
    expect(shown.at(-1)).toEqual([60, 500]);
  });
  it('gives back what it holds when it ends, and what comes later', () => {
    const { reel, frame, pace, open } = threaded(1);
    pace.playing = false;
    reel.push(frame(0), frame(40));
    reel.close();
    reel.push(frame(80));
    expect(open()).toBe(0);
  });
});
