// Where cameras stand on a wall: in whole columns and rows, never one over another. What somebody moves goes where it is put; the others give
// way downwards, and all rise as far as they can.

import type { Rendition, StreamStatus } from '../api/types';

export interface Tile {
  camera: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

/** The server's. */
export const COLUMNS_MAX = 12;
export const TILES_MAX = 64;
const ROWS_MAX = 64;
/** Of a wall that nobody arranged: more, and faces are lost. */
const COLUMNS_USUAL_MAX = 5;
/** Streams in full size at once: a decoder and a connection carry few. */
const MAIN_MAX = 4;

export const rowsOf = (tiles: readonly Tile[]): number => Math.max(1, ...tiles.map(({ y, h }) => y + h));

/** All cameras in a grid that is about as high as it is wide. */
export function automatic(cameras: readonly string[]): { columns: number; tiles: Tile[] } {
  const columns = Math.min(Math.max(1, Math.ceil(Math.sqrt(cameras.length))), COLUMNS_USUAL_MAX);
  return { columns, tiles: cameras.map((camera, n) => ({ camera, x: n % columns, y: Math.floor(n / columns), w: 1, h: 1 })) };
}

/** A step too far changes nothing. */
const bounded = (before: readonly Tile[], after: Tile[]): Tile[] => (rowsOf(after) > ROWS_MAX ? [...before] : after);

export function move(tiles: readonly Tile[], columns: number, camera: string, x: number, y: number): Tile[] {
  const before = tiles.find((tile) => tile.camera === camera);
  if (!before) return [...tiles];
  const moved = { ...before, x: within(x, 0, columns - before.w), y: within(y, 0, ROWS_MAX - before.h) };
  const under = tiles.filter((tile) => tile.camera !== camera && overlap(tile, moved));
  const [other] = under;
  // Two of a size change places.
  const swaps = under.length === 1 && other!.w === moved.w && other!.h === moved.h;
  const swapped = tiles.map((tile) => (tile.camera === camera ? moved : swaps && tile === other ? { ...tile, x: before.x, y: before.y } : tile));
  return bounded(tiles, settle(swapped, moved));
}

export function resize(tiles: readonly Tile[], columns: number, camera: string, w: number, h: number): Tile[] {
  const before = tiles.find((tile) => tile.camera === camera);
  if (!before) return [...tiles];
  const resized = { ...before, w: within(w, 1, columns - before.x), h: within(h, 1, ROWS_MAX - before.y) };
  return bounded(tiles, settle(tiles.map((tile) => (tile.camera === camera ? resized : tile)), resized));
}

/** In the first place that is free. */
export function add(tiles: readonly Tile[], columns: number, camera: string): Tile[] {
  for (let y = 0; y < ROWS_MAX; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const tile = { camera, x, y, w: 1, h: 1 };
      if (!tiles.some((other) => overlap(other, tile))) return [...tiles, tile];
    }
  }
  return [...tiles];
}

export const remove = (tiles: readonly Tile[], camera: string): Tile[] => settle(tiles.filter((tile) => tile.camera !== camera), null);

/** The same in another number of columns, or null if that takes too many rows. */
export function inColumns(tiles: readonly Tile[], columns: number): Tile[] | null {
  const fitted = tiles.map((tile) => {
    const w = Math.min(tile.w, columns);
    return { ...tile, w, x: Math.min(tile.x, columns - w) };
  });
  const settled = settle(fitted, null);
  return rowsOf(settled) > ROWS_MAX ? null : settled;
}

/** The next tile in a direction, for the arrow keys. */
export function neighbour(tiles: readonly Tile[], camera: string, dx: -1 | 0 | 1, dy: -1 | 0 | 1): string | null {
  const from = tiles.find((tile) => tile.camera === camera);
  if (!from) return null;
  const [cx, cy] = centre(from);
  let best: { camera: string; far: number } | null = null;
  for (const tile of tiles) {
    const [tx, ty] = centre(tile);
    const along = (tx - cx) * dx + (ty - cy) * dy;
    if (along <= 0) continue;
    // What lies straight ahead before what lies beside.
    const far = along + 3 * Math.abs((tx - cx) * dy + (ty - cy) * dx);
    if (!best || far < best.far) best = { camera: tile.camera, far };
  }
  return best?.camera ?? null;
}

/** Those that may have their stream in full size: the largest. */
export function largest(tiles: readonly Tile[]): Set<string> {
  const bySize = [...tiles].sort((a, b) => b.w * b.h - a.w * a.h || a.y - b.y || a.x - b.x);
  return new Set(bySize.slice(0, MAIN_MAX).map(({ camera }) => camera));
}

/** The smallest stream that fills so many pixels. Once in full size, it stays so until the small one is quite enough. */
export function streamFor(streams: readonly StreamStatus[], pixels: number, mayMain: boolean, now: Rendition | null): Rendition | null {
  const recording = streams.filter(({ state }) => state === 'recording');
  const sub = recording.find(({ rendition }) => rendition === 'sub');
  const main = recording.find(({ rendition }) => rendition === 'main');
  if (!sub || !main) return (sub ?? main)?.rendition ?? null;
  const enough = sub.width * (now === 'main' ? 1 : 1.25);
  return mayMain && sub.width > 0 && pixels > enough ? 'main' : 'sub';
}

const within = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), Math.max(low, high));
const centre = ({ x, y, w, h }: Tile): [number, number] => [x + w / 2, y + h / 2];
const overlap = (a: Tile, b: Tile): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
/** As one reads: what the keyboard goes by. */
export const inOrder = (tiles: readonly Tile[]): Tile[] => [...tiles].sort((a, b) => a.y - b.y || a.x - b.x);

/** `first` has its place before the others. */
function settle(tiles: readonly Tile[], first: Tile | null): Tile[] {
  const placed: Tile[] = first ? [first] : [];
  for (const tile of inOrder(tiles)) {
    if (tile.camera === first?.camera) continue;
    const lowered = { ...tile };
    while (placed.some((other) => overlap(other, lowered))) lowered.y += 1;
    placed.push(lowered);
  }
  const risen: Tile[] = [];
  for (const tile of inOrder(placed)) {
    while (tile.y > 0 && !risen.some((other) => overlap(other, { ...tile, y: tile.y - 1 }))) tile.y -= 1;
    risen.push(tile);
  }
  const places = new Map(risen.map((tile) => [tile.camera, tile]));
  return tiles.map(({ camera }) => places.get(camera)!);
}
