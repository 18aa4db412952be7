import { describe, expect, it } from 'vitest';
import { FACTOR_MAX, filled, Fingers, movedBy, type Point, WHOLE, type Zoom, zoomedTo } from '../src/lib/app/zoom';

const all = { width: 1, height: 1 };
/** Where a place of the picture, from its middle, is shown. */
const shown = ({ factor, x, y }: Zoom, at: Point): Point => ({ x: x + factor * at.x, y: y + factor * at.y });

describe('a picture that is drawn near', () => {
  it('keeps what lies under the pointer, however often it is zoomed', () => {
    const pointer = { x: 0.2, y: -0.3 };
    let zoom = WHOLE;
    for (const factor of [1.5, 3, 2, 6.5]) {
      zoom = zoomedTo(zoom, factor, pointer, all);
      expect(zoom.factor).toBe(factor);
      const place = shown(zoom, pointer);
      expect(place.x).toBeCloseTo(pointer.x, 10);
      expect(place.y).toBeCloseTo(pointer.y, 10);
    }
  });

  it('is drawn no nearer than eight times, and no farther than whole', () => {
    expect(zoomedTo(WHOLE, 100, { x: 0, y: 0 }, all).factor).toBe(FACTOR_MAX);
    expect(zoomedTo({ factor: 2, x: 0.5, y: -0.5 }, 0.5, { x: 0.4, y: 0.4 }, all)).toEqual(WHOLE);
  });

  it('shows nothing beside itself', () => {
    const corner = movedBy({ factor: 4, x: 0, y: 0 }, { x: 9, y: -9 }, all);
    expect(corner).toEqual({ factor: 4, x: 1.5, y: -1.5 });
    expect(shown(corner, { x: -0.5, y: 0.5 })).toEqual({ x: -0.5, y: 0.5 });
    // Farther away, from a corner, it has to give.
    expect(zoomedTo(corner, 2, { x: 0.5, y: 0.5 }, all)).toEqual({ factor: 2, x: 0.5, y: -0.5 });
    expect(movedBy(WHOLE, { x: 0.3, y: 0.3 }, all)).toEqual(WHOLE);
  });

  it('stays in the middle where it is narrower than its box', () => {
    const narrow = filled({ width: 1600, height: 900 }, { width: 1200, height: 900 });
    expect(narrow).toEqual({ width: 0.75, height: 1 });
    expect(movedBy({ factor: 1.2, x: 0, y: 0 }, { x: 1, y: 1 }, narrow)).toEqual({ factor: 1.2, x: 0, y: expect.closeTo(0.1, 10) });
    expect(movedBy({ factor: 2, x: 0, y: 0 }, { x: 1, y: 0 }, narrow).x).toBeCloseTo(0.25, 10);
    expect(filled({ width: 900, height: 900 }, { width: 1600, height: 900 })).toEqual({ width: 1, height: 0.5625 });
    expect(filled({ width: 0, height: 0 }, { width: 16, height: 9 })).toEqual(all);
    expect(filled({ width: 16, height: 9 }, null)).toEqual(all);
  });
});

describe('fingers on a picture', () => {
  const watched = () => {
    const did: string[] = [];
    const round = (value: number) => Math.round(value * 100) / 100;
    const fingers = new Fingers({
      move: ({ x, y }) => (x !== 0 || y !== 0) && did.push(`move ${round(x)} ${round(y)}`),
      zoom: (by, { x, y }) => did.push(`zoom ${round(by)} at ${round(x)} ${round(y)}`),
      doubleTap: ({ x, y }) => did.push(`twice at ${x} ${y}`),
    });
    return { fingers, did };
  };
  const tap = (fingers: Fingers, x: number, now: number, finger = 1) => {
    fingers.start(finger, { x, y: 50 }, now);
    fingers.end(finger, now + 80);
  };

  it('move it, and spread it around what lies between them', () => {
    const { fingers, did } = watched();
    fingers.start(1, { x: 100, y: 100 }, 0);
    fingers.move(1, { x: 110, y: 95 });
    fingers.start(2, { x: 210, y: 95 }, 10);
    fingers.move(2, { x: 310, y: 95 });
    fingers.end(1, 20);
    fingers.move(2, { x: 310, y: 105 });
    expect(did).toEqual(['move 10 -5', 'zoom 2 at 160 95', 'move 50 0', 'move 0 10']);
    expect(fingers.moved).toBe(true);
  });

  it('tap twice in one place, soon', () => {
    const { fingers, did } = watched();
    tap(fingers, 50, 0);
    tap(fingers, 54, 200);
    expect(did).toEqual(['twice at 54 50']);
    // Not three times, not elsewhere, not later, and not what was moved.
    tap(fingers, 54, 400);
    tap(fingers, 154, 600);
    tap(fingers, 154, 2000);
    fingers.start(1, { x: 154, y: 50 }, 2100);
    fingers.move(1, { x: 164, y: 50 });
    fingers.end(1, 2150);
    tap(fingers, 164, 2200);
    fingers.start(1, { x: 164, y: 50 }, 2300);
    fingers.cancel(1);
    tap(fingers, 164, 2400);
    expect(did.filter((what) => what.startsWith('twice'))).toEqual(['twice at 54 50']);
  });
});
