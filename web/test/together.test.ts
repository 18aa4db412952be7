import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PastTile } from '../src/lib/app/pastTile.svelte';
import { shared } from '../src/lib/app/timeline';
import { Together, TOGETHER_MAX } from '../src/lib/app/together.svelte';
import { type Clock, dueAt, mediaAt, wallNow } from '../src/worker/clock';
import { Reel } from '../src/worker/reel';
import type { Frame, Screen } from '../src/worker/screen';

describe('one clock for several cameras', () => {
  const clock: Clock = { since: 1000, media: 50_000, speed: 4, playing: true };
  it('tells the time of what is shown, and when something is due', () => {
    expect(mediaAt(clock, 1250)).toBe(51_000);
    expect(mediaAt(clock, 900)).toBe(50_000);
    expect(mediaAt({ ...clock, playing: false }, 9000)).toBe(50_000);
    expect(dueAt(clock, 51_000)).toBe(1250);
  });
});

describe('a reel among others', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const threaded = (clock: Omit<Clock, 'since'>) => {
    const shown: [number, number | null][] = [];
    let behind = 0;
    const screen = { show: ({ at }: Frame, late: number | null) => shown.push([at, late === null ? null : Math.round(late)]) } as unknown as Screen;
    const together = { since: wallNow(), ...clock };
    const reel = new Reel(screen, { playing: () => together.playing, speed: () => together.speed, together: () => together, behind: () => (behind += 1) });
    return { reel, shown, behind: () => behind };
  };
  const frame = (at: number, until?: number): Frame => ({ at, until, frame: { close: () => undefined } as unknown as VideoFrame });

  it('shows what is due, and leaves out what comes too late for it', () => {
    const { reel, shown, behind } = threaded({ media: 0, speed: 1, playing: true });
    vi.advanceTimersByTime(130);
    reel.push(frame(0), frame(40), frame(80), frame(120), frame(160));
    expect(shown).toEqual([[120, 10]]);
    vi.advanceTimersByTime(30);
    expect(shown).toEqual([[120, 10], [160, 0]]);
    expect(behind()).toBe(0);
  });
  it('asks to begin anew when it is far behind', () => {
    const { reel, shown, behind } = threaded({ media: 0, speed: 2, playing: true });
    vi.advanceTimersByTime(600);
    reel.push(frame(0));
    expect(shown).toEqual([]);
    expect(behind()).toBe(1);
  });
  it('asks so, too, when every picture comes somewhat late', () => {
    const { reel, shown, behind } = threaded({ media: 0, speed: 1, playing: true });
    for (let at = 0; behind() === 0 && at < 5000; at += 100) {
      vi.advanceTimersByTime(100);
      reel.push(frame(at));
    }
    expect(shown).toEqual([]);
    expect(behind()).toBe(1);
  });
  it('shows the picture of its beginning, however old, as long as no other is due', () => {
    const { reel, shown } = threaded({ media: 5000, speed: 1, playing: true });
    reel.push(frame(4000, 5000));
    expect(shown).toEqual([[4000, 0]]);
  });
});

describe('several cameras that begin together', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const heard: string[] = [];
  const add = (together: Together, name: string) => {
    const tile = {
      ready: true, rendition: 'sub', empty: null as { from: number; to: number | null } | null, look: () => undefined,
      follow: ({ playing, media, speed }: Clock, anew: boolean) => (anew && (tile.ready = false), heard.push(`${name} ${playing ? 'plays' : 'stands'} ${Math.round(media)} ${speed}${anew ? ' anew' : ''}`)),
      settle: () => ((tile.ready = true), together.settled()),
    };
    together.tiles.add(tile as unknown as PastTile);
    return tile;
  };
  const said = () => heard.splice(0);

  it('wait for each other, but not for long', () => {
    const together = new Together(0, () => ['a', 'b']);
    const [a, b] = [add(together, 'a'), add(together, 'b')];
    together.seek(1000, true);
    expect(said()).toEqual(['a stands 1000 1 anew', 'b stands 1000 1 anew']);
    a.settle();
    expect([said(), together.state]).toEqual([[], 'seeking']);
    b.settle();
    expect([said(), together.state]).toEqual([['a plays 1000 1', 'b plays 1000 1'], 'playing']);
    vi.advanceTimersByTime(500);
    together.setSpeed(2);
    expect(said()).toEqual(['a plays 1450 2', 'b plays 1450 2']);
    vi.advanceTimersByTime(1000);
    together.toggle();
    expect(said()).toEqual(['a stands 3450 2 anew', 'b stands 3450 2 anew']);
    a.settle();
    b.settle();
    expect([said(), together.state, together.at]).toEqual([[], 'paused', 3450]);
    together.toggle();
    a.settle();
    said();
    vi.advanceTimersByTime(4000);
    // It comes in where the others are by then.
    expect(said()).toEqual(['a plays 3450 2', 'b plays 3450 2 anew']);
    together.close();
  });
  it('skip what none of them has, and stop where nothing more comes', () => {
    const together = new Together(0, () => ['a', 'b']);
    const [a, b] = [add(together, 'a'), add(together, 'b')];
    together.seek(1000, true);
    for (const tile of [a, b]) tile.settle();
    said();
    a.empty = { from: 0, to: 90_000 };
    vi.advanceTimersByTime(500);
    expect(said()).toEqual([]);
    b.empty = { from: 0, to: 70_000 };
    vi.advanceTimersByTime(100);
    expect(said()).toEqual(['a stands 70000 1 anew', 'b stands 70000 1 anew']);
    expect([together.skipped?.to, together.running]).toEqual([70_000, true]);
    for (const tile of [a, b]) ((tile.empty = { from: 0, to: null }), tile.settle());
    vi.advanceTimersByTime(200);
    expect(together.running).toBe(false);
    together.close();
  });
});

describe('several cameras', () => {
  it('have something together where each of them has', () => {
    expect(shared([[{ from: 0, to: 10 }, { from: 20, to: 40 }], [{ from: 5, to: 25 }, { from: 30, to: 50 }]])).toEqual([{ from: 5, to: 10 }, { from: 20, to: 25 }, { from: 30, to: 40 }]);
    expect(shared([[{ from: 0, to: 10 }], []])).toEqual([]);
    expect(shared([[{ from: 0, to: 10 }]])).toEqual([{ from: 0, to: 10 }]);
    expect(shared([])).toEqual([]);
  });
  it('play up to nine at once, in their order', () => {
    const cameras = Array.from({ length: 12 }, (_, n) => `cam_${n}`);
    const together = new Together(0, () => cameras);
    expect(cameras.filter((camera) => together.admits(camera))).toEqual(cameras.slice(0, TOGETHER_MAX));
    together.close();
  });
});
