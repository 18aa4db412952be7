import { describe, expect, it } from 'vitest';
import { add, automatic, inColumns, inOrder, largest, move, neighbour, remove, resize, rowsOf, streamFor, type Tile } from '../src/lib/app/wall';

const tile = (camera: string, x: number, y: number, w = 1, h = 1): Tile => ({ camera, x, y, w, h });
const drawn = (tiles: Tile[], columns: number): string[] => {
  const rows = Array.from({ length: rowsOf(tiles) }, () => Array.from({ length: columns }, () => '.'));
  for (const { camera, x, y, w, h } of tiles) {
    for (let row = y; row < y + h; row += 1) {
      for (let column = x; column < x + w; column += 1) {
        expect(rows[row]![column], `${camera} over another or outside`).toBe('.');
        rows[row]![column] = camera;
      }
    }
  }
  return rows.map((row) => row.join(''));
};

describe('an arrangement', () => {
  it('begins as a grid about as high as wide', () => {
    expect(drawn(automatic(['a', 'b', 'c', 'd', 'e']).tiles, 3)).toEqual(['abc', 'de.']);
    expect(automatic([]).columns).toBe(1);
    expect(automatic(Array.from({ length: 100 }, (_, n) => `${n}`)).columns).toBe(5);
  });

  it('lets two of a size change places, and others give way', () => {
    const grid = automatic(['a', 'b', 'c', 'd']).tiles;
    expect(drawn(move(grid, 2, 'a', 1, 1), 2)).toEqual(['db', 'ca']);
    const large = [tile('a', 0, 0, 2, 2), tile('b', 2, 0), tile('c', 2, 1), tile('d', 0, 2)];
    expect(drawn(move(large, 3, 'b', 0, 0), 3)).toEqual(['b.c', 'aa.', 'aa.', 'd..']);
    expect(drawn(move(large, 3, 'a', 9, -9), 3)).toEqual(['daa', '.aa', '..b', '..c']);
    expect(move(large, 3, 'nobody', 0, 0)).toEqual(large);
  });

  it('grows and shrinks within its columns', () => {
    const grid = automatic(['a', 'b', 'c', 'd']).tiles;
    expect(drawn(resize(grid, 2, 'a', 2, 2), 2)).toEqual(['aa', 'aa', 'cb', '.d']);
    expect(drawn(resize(grid, 2, 'b', 5, 0), 2)).toEqual(['ab', 'cd']);
    expect(drawn(resize([tile('a', 0, 0, 2, 2), tile('b', 0, 2)], 2, 'a', 1, 1), 2)).toEqual(['a.', 'b.']);
  });

  it('takes one more where there is room, and closes up where one goes', () => {
    const grid = automatic(['a', 'b', 'c']).tiles;
    expect(drawn(add(grid, 2, 'd'), 2)).toEqual(['ab', 'cd']);
    expect(drawn(add(add(grid, 2, 'd'), 2, 'e'), 2)).toEqual(['ab', 'cd', 'e.']);
    expect(drawn(remove(grid, 'a'), 2)).toEqual(['cb']);
  });

  it('is the same cameras, side by side, whatever one does', () => {
    let seed = 7;
    const below = (n: number): number => ((seed = (seed * 48_271) % 2_147_483_647), seed % n);
    let columns = 4;
    let tiles = automatic([...'abcdefghijk']).tiles;
    for (let step = 0; step < 300; step += 1) {
      const { camera } = tiles[below(tiles.length)]!;
      const kind = below(8);
      if (kind < 4) tiles = move(tiles, columns, camera, below(14) - 1, below(14) - 1);
      else if (kind < 7) tiles = resize(tiles, columns, camera, below(6), below(6));
      else {
        const wanted = 1 + below(12);
        const fitted = inColumns(tiles, wanted);
        if (fitted) [tiles, columns] = [fitted, wanted];
      }
      drawn(tiles, columns);
      expect(tiles.map((each) => each.camera)).toEqual([...'abcdefghijk']);
      expect(rowsOf(tiles)).toBeLessThanOrEqual(64);
    }
  });

  it('is no higher than the server takes', () => {
    const column = Array.from({ length: 64 }, (_, n) => tile(`${n}`, 0, n));
    expect(rowsOf(resize(column, 1, '0', 1, 2))).toBe(64);
    expect(inColumns([tile('a', 0, 0, 1, 40), tile('b', 1, 0, 1, 40)], 1)).toBe(null);
  });

  it('is walked with the arrow keys', () => {
    const tiles = [tile('a', 0, 0, 2, 2), tile('b', 2, 0), tile('c', 2, 1), tile('d', 0, 2)];
    expect(neighbour(tiles, 'b', -1, 0)).toBe('a');
    expect(neighbour(tiles, 'b', 0, 1)).toBe('c');
    expect(neighbour(tiles, 'a', 0, 1)).toBe('d');
    expect(neighbour(tiles, 'b', 1, 0)).toBe(null);
    expect(inOrder(tiles).map(({ camera }) => camera)).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('the stream of a tile', () => {
  const stream = (rendition: 'main' | 'sub', width: number, state: 'recording' | 'failed' = 'recording') => ({ camera: '', rendition, state, since: 0, reason: null, codec: null, width, height: 0, has_audio: false, bits_per_second: 0 });
  const both = [stream('main', 1920), stream('sub', 640)];

  it('is the smallest that fills it', () => {
    expect(streamFor(both, 600, true, null)).toBe('sub');
    expect(streamFor(both, 1200, true, null)).toBe('main');
    expect(streamFor(both, 1200, false, null)).toBe('sub');
    expect(streamFor([stream('main', 1920)], 100, false, null)).toBe('main');
    expect(streamFor([stream('main', 1920, 'failed'), both[1]!], 1200, true, null)).toBe('sub');
    expect(streamFor([], 1200, true, null)).toBe(null);
  });

  it('does not go to and fro at the edge', () => {
    expect(streamFor(both, 700, true, 'sub')).toBe('sub');
    expect(streamFor(both, 700, true, 'main')).toBe('main');
    expect(streamFor(both, 640, true, 'main')).toBe('sub');
  });

  it('is in full size for the largest alone', () => {
    expect([...largest([tile('a', 0, 0), tile('b', 1, 0, 2, 2), tile('c', 0, 1), tile('d', 0, 2), tile('e', 0, 3)])]).toEqual(['b', 'a', 'c', 'd']);
  });
});
