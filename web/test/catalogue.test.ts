import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { RecordingListing } from '../src/lib/api/types';
import { Catalogue } from '../src/worker/catalogue';
import type { Keyring } from '../src/worker/keyring';

const { get } = vi.hoisted(() => ({ get: vi.fn() }));
vi.mock('../src/lib/api/client', () => ({ get, ApiError: Error, ask: null, failure: null }));

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const NOW = 2_000 * DAY;

describe('the last recording before a time', () => {
  let recordings: RecordingListing[] = [];
  const asked: string[] = [];
  const record = (started_at: number, duration_ms = MINUTE) => recordings.push({ id: `${started_at}`, started_at, duration_ms, available: true } as RecordingListing);
  beforeEach(() => {
    [recordings, asked.length] = [[], 0];
    get.mockImplementation(async (path: string) => {
      const url = new URL(path, 'http://localhost');
      const [from, to, parts] = ['from', 'to', 'parts'].map((name) => Number(url.searchParams.get(name))) as [number, number, number];
      asked.push(url.pathname.split('/').at(-1)!);
      const within = recordings.filter(({ started_at, duration_ms }) => started_at < to && started_at + duration_ms > from);
      if (!url.pathname.endsWith('timeline')) return { recordings: within.slice(0, 1000) };
      const part_ms = Math.max(1000, Math.ceil((to - from) / parts));
      const sums = new Map<number, number>();
      for (const { started_at, duration_ms } of within) {
        for (let at = Math.max(from, started_at); at < Math.min(to, started_at + duration_ms); at = from + (Math.floor((at - from) / part_ms) + 1) * part_ms) sums.set(Math.floor((at - from) / part_ms), 1);
      }
      return { part_ms, parts: [...sums].map(([part]) => ({ part, recorded_ms: 1, bytes: 1 })).sort((a, b) => a.part - b.part) };
    });
  });
  const last = async (time: number) => (await new Catalogue('cam', 'main', {} as Keyring).last(time))?.started_at ?? null;

  it('is found at once where there is one, from list to list', async () => {
    for (let n = 100; n > 0; n -= 1) record(NOW - n * MINUTE);
    const catalogue = new Catalogue('cam', 'main', {} as Keyring);
    let found = 0;
    for (let before = NOW; ; found += 1) {
      const listing = await catalogue.last(before);
      if (!listing) break;
      expect(listing.started_at).toBe(before - MINUTE);
      before = listing.started_at;
    }
    expect(found).toBe(100);
    // A list is of half an hour; at the beginning of all, the year before is asked for once.
    expect(asked.filter((what) => what === 'recordings').length).toBeLessThan(8);
    expect(asked.filter((what) => what === 'timeline').length).toBe(1);
  });
  it('is found however long the gap before is', async () => {
    record(NOW - 300 * DAY);
    expect(await last(NOW)).toBe(NOW - 300 * DAY);
    for (let n = 0; n < 3000; n += 1) record(NOW - 20 * DAY - n * MINUTE);
    recordings.sort((a, b) => a.started_at - b.started_at);
    expect(await last(NOW)).toBe(NOW - 20 * DAY);
    expect(await last(NOW - 300 * DAY)).toBeNull();
  });
});
