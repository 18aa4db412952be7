// The list of events asks no more than it needs to, and loses nothing between what it asks.

import { beforeEach, describe, expect, it, vi } from 'vitest';

const asked: URL[] = [];
let pages: { recordings: object[]; more_to: number | null; reviewed: string[] }[] = [];
let isDown = false;

vi.mock('../src/lib/api/client', () => ({
  get: async (path: string) => {
    if (isDown) throw new Error('down');
    const url = new URL(path, 'http://localhost');
    asked.push(url);
    return url.pathname === '/api/v1/events' ? (pages.shift() ?? { recordings: [], more_to: null, reviewed: [] }) : { recordings: [], gaps: [], more_from: null };
  },
  post: async () => undefined,
  explain: String,
}));
vi.mock('../src/lib/app/keeper', () => ({
  call: async (_: string, listings: { id: string }[]) =>
    listings.map(({ id }) => ({ recording: id, camera: 'cam_1', left_out: 0, problem: null, events: [{ id: `ev_${id}`, at: Number(id), phase: 'happened', kind: 'line', rule: null, source: 'onvif', topic: 'x' }] })),
}));

const { Inbox } = await import('../src/lib/app/inbox.svelte');
const NOW = 1_764_000_000_000;
const page = (id: number, more_to: number | null) => ({ recordings: [{ id: String(id) }], more_to, reviewed: [] });

describe('inbox', () => {
  beforeEach(() => {
    asked.length = 0;
    pages = [];
    isDown = false;
  });

  it('asks a site about each camera once at a time', async () => {
    const inbox = new Inbox(['cam_1', 'cam_2'], NOW);
    await inbox.older();
    await inbox.refresh(NOW + 1000);
    expect(asked.map(({ pathname }) => pathname).sort()).toEqual(['cam_1', 'cam_1', 'cam_2', 'cam_2'].map((camera) => `/api/v1/cameras/${camera}/recordings`));
    expect(inbox.more).toBe(true);
  });

  it('has no hole after a long absence with more than one page', async () => {
    const inbox = new Inbox(null, NOW);
    await inbox.older();
    pages = [page(NOW + 9, NOW + 8), page(NOW + 7, NOW + 6), page(NOW + 5, null)];
    await inbox.refresh(NOW + 10);
    expect(inbox.entries.map(({ from }) => from - NOW)).toEqual([9, 7, 5]);
    expect(inbox.more).toBe(false);
    await inbox.refresh(NOW + 3_600_000);
    await inbox.refresh(NOW + 3_604_000);
    const from = Number(asked.at(-1)!.searchParams.get('from'));
    expect(NOW + 3_600_000 - from, 'what was settled is not asked for again').toBe(15 * 60_000);
  });

  it('goes on from where it was when the server is back', async () => {
    const inbox = new Inbox(null, NOW);
    isDown = true;
    await inbox.older();
    expect([inbox.loaded, inbox.problem]).toEqual([false, 'Error: down']);
    isDown = false;
    pages = [page(NOW - 1, null)];
    await inbox.older();
    expect([inbox.loaded, inbox.problem, inbox.entries.length]).toEqual([true, null, 1]);
  });
});
