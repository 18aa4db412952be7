// One live picture among many can be heard, while somebody wants to hear it, and falls silent with it.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { PlayerEvent } from '../src/worker/protocol';

const { controls, listeners } = vi.hoisted(() => ({ controls: [] as { do: string; on?: boolean }[], listeners: [] as ((event: PlayerEvent) => void)[] }));
vi.mock('../src/lib/app/keeper', () => ({
  PlayerHandle: class {
    constructor(_camera: string, _rendition: string, _canvas: unknown, take: (event: PlayerEvent) => void) {
      listeners.push(take);
    }
    control(control: { do: string }): void {
      controls.push(control);
    }
    close(): void {
      controls.push({ do: 'close' });
    }
  },
}));

const played: number[] = [];
let open = 0;
class Context {
  state = 'running';
  currentTime = 0;
  constructor() {
    open += 1;
  }
  async resume(): Promise<void> {}
  async close(): Promise<void> {
    open -= 1;
  }
  createBuffer = (_channels: number, length: number) => ({ duration: length / 8000, copyToChannel: () => undefined });
  createBufferSource = () => ({ connect: () => undefined, start: (at: number) => played.push(at) });
}

const { LiveTile } = await import('../src/lib/app/liveTile.svelte');
const audio = { type: 'audio', sample_rate: 8000, channels: [new Float32Array(160)], due: 0 } as unknown as PlayerEvent;
const tile = () => new LiveTile(`cam_${'1'.repeat(32)}`, {} as HTMLCanvasElement);

beforeEach(() => vi.stubGlobal('AudioContext', Context));
afterEach(() => {
  vi.unstubAllGlobals();
  controls.length = listeners.length = played.length = open = 0;
});

it('is silent until somebody wants to hear it, and then again', async () => {
  const heard = tile();
  listeners[0]!(audio);
  expect([played.length, open]).toEqual([0, 0]);
  await heard.setSound(true);
  listeners[0]!(audio);
  expect([played.length, open, heard.sound]).toEqual([1, 1, true]);
  await heard.setSound(false);
  listeners[0]!(audio);
  expect([played.length, open, heard.sound]).toEqual([1, 0, false]);
  expect(controls).toEqual([{ do: 'audio', on: true }, { do: 'audio', on: false }]);
  heard.close();
});

it('takes its sound along when it goes', async () => {
  const heard = tile();
  await heard.setSound(true);
  heard.close();
  expect(open).toBe(0);
});
