// The lock that closes by itself.

import { beforeEach, expect, it, vi } from 'vitest';

vi.useFakeTimers();
const listeners: Record<string, () => void> = {};
const session = vi.hoisted(() => ({ unlocked: true, locked: 0, lock: async () => void (session.locked += 1) }));
let minutes: number | null = 5;
const exporting = vi.hoisted(() => new Map<number, () => void>());
vi.mock('../src/lib/app/keeper', () => ({ exporting }));
vi.mock('../src/lib/app/session.svelte', () => ({ session }));
vi.mock('../src/lib/device/store', () => ({ loadLockAfter: async () => minutes, saveLockAfter: async (chosen: number) => void (minutes = chosen) }));
vi.stubGlobal('addEventListener', (type: string, listener: () => void) => (listeners[type] = listener));
vi.stubGlobal('document', { addEventListener: (type: string, listener: () => void) => (listeners[type] = listener) });
const place = { pathname: '/', search: '' };
vi.stubGlobal('location', place);

const { idleLock } = await import('../src/lib/app/idleLock.svelte');
idleLock.watch();
await vi.advanceTimersByTimeAsync(1);

beforeEach(async () => {
  await idleLock.set(5);
  session.locked = 0;
});

it('locks after as long without use, and not before', async () => {
  await vi.advanceTimersByTimeAsync(4 * 60_000);
  listeners.keydown!();
  await vi.advanceTimersByTimeAsync(4.9 * 60_000);
  expect(session.locked).toBe(0);
  await vi.advanceTimersByTimeAsync(0.2 * 60_000);
  expect(session.locked).toBeGreaterThan(0);
});

it('locks a page that slept before it is used again', async () => {
  vi.setSystemTime(Date.now() + 60 * 60_000);
  listeners.visibilitychange!();
  expect(session.locked).toBe(1);
  // Nor does the touch that wakes it count first.
  await idleLock.set(5);
  vi.setSystemTime(Date.now() + 60 * 60_000);
  listeners.pointerdown!();
  expect(session.locked).toBe(2);
});

it('never, where that was chosen, and neither a wall that shows itself nor while an export runs', async () => {
  Object.assign(place, { pathname: '/wall', search: '?kiosk' });
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  Object.assign(place, { pathname: '/', search: '' });
  exporting.set(1, () => undefined);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  exporting.clear();
  await idleLock.set(0);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(session.locked).toBe(0);
  expect(minutes).toBe(0);
});
