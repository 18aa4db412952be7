// A case that is exported while something fails, or while the page is locked: what was signed for is written, and a locked page keeps nothing.

import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Marked } from '../src/lib/app/bookmarks.svelte';
import type { Organisation } from '../src/lib/app/organisation.svelte';
import { ApiError } from '../src/lib/api/errors';

const hex = (n: number): string => String(n).padStart(32, '0');
const SECRET = 'Two people at the gate';

/** The Worker and the server: what was asked of them, and what they do when they are asked. */
const there = vi.hoisted(() => ({
  calls: [] as { name: string; input: any }[],
  written: [] as { name: string; text: string }[],
  orders: 0,
  onOrder: async (_n: number): Promise<void> => undefined,
  onWrite: async (_job: number): Promise<void> => undefined,
  onText: async (): Promise<void> => undefined,
}));
const keeper = vi.hoisted(() => ({ exporting: new Map(), locking: new Set<() => void>() }));
vi.mock('../src/lib/app/keeper', () => ({
  ...keeper,
  call: async (name: string, input: any) => {
    there.calls.push({ name, input });
    if (name === 'writeExport') {
      await there.onWrite(input.job);
      return { exported: [{ camera: 'Yard', files: [{ name: `film ${input.job}.mp4`, bytes: 1, download: new Blob() }], gateways: [] }], problem: null };
    }
    if (name !== 'writeText') return null;
    await there.onText();
    there.written.push(input);
    return { name: input.name, bytes: 1, download: new Blob() };
  },
}));
vi.mock('../src/lib/app/roles', () => ({ why: async () => ({ allowed: true, missing: null }) }));
vi.mock('../src/lib/seal/action', () => ({ signAction: async () => ({ payload: '' }) }));
vi.mock('../src/lib/app/confirmed', () => ({ postSigned: async () => there.onOrder((there.orders += 1)) }));
for (const name of ['addEventListener', 'removeEventListener']) vi.stubGlobal(name, () => undefined);
const clicked: string[] = [];
vi.stubGlobal('document', { createElement: () => ({ download: '', click() { clicked.push(this.download); } }) });

const { caseRun } = await import('../src/lib/app/caseRun.svelte');
const { exportRun } = await import('../src/lib/app/exportRun.svelte');

const organisation = { org: 'org', headHash: 'a', signer: {}, refresh: async () => undefined } as unknown as Organisation;
function marked(n: number): Marked {
  const bookmark = { org: `org_${hex(1)}`, gateway: `gw_${hex(1)}`, camera: `cam_${hex(1)}`, bookmark: `bm_${hex(n)}`, device: `dev_${hex(1)}`, from: n * 60_000, to: n * 60_000 + 20_000, lock: null, issued_at: 1, epoch: `ep_${hex(1)}`, note: '' };
  return { id: bookmark.bookmark, bookmark, note: { text: SECRET, case: 'Bicycles' }, problem: null, result: null, person: null, changeable: true };
}
const wish = (count: number) => ({
  name: 'Bicycles',
  parts: Array.from({ length: count }, (_, n) => ({ marked: marked(n + 1), camera: 'Yard', person: 'Ada', hears: false })),
  before: 0,
  total: count,
  sound: false,
  proof: false,
  reason: '',
});
const lock = () => keeper.locking.forEach((forget) => forget());
const named = (name: string) => there.calls.filter((each) => each.name === name).map(({ input }) => input);
const problems = () => caseRun.outcomes.map(({ problem }) => problem);

beforeEach(async () => {
  await caseRun.clear();
  await exportRun.clear();
  there.calls.length = there.written.length = there.orders = clicked.length = 0;
  there.onOrder = there.onWrite = there.onText = async () => undefined;
});

/** What of a case may be in a page. */
const kept = () => [caseRun.wish, caseRun.outcomes, caseRun.list, caseRun.downloads, caseRun.problem, caseRun.progress, caseRun.running];
const NOTHING = [null, [], [], [], null, null, false];

describe('a case of which not all can be ordered', () => {
  it.each([
    ['a server that has had enough', new ApiError(429, 'too_many', 'Too many requests.', 'Wait.'), 'Too many requests. Wait.'],
    ['a server that fails', new ApiError(500, 'internal', 'The server failed.', ''), 'The server failed.'],
    ['no network', new ApiError(0, 'unreachable', 'The server does not answer.', ''), 'The server does not answer.'],
    ['a session that ended', new ApiError(401, 'signed_out', 'You are signed out.', ''), 'You are signed out.'],
    ['nobody who confirms', new Error('nothing was confirmed'), 'Nothing was confirmed.'],
  ])('by %s is written as far as it was signed for, and names the rest', async (_, error, problem) => {
    there.onOrder = async (n) => {
      if (n === 3) throw error;
    };
    await caseRun.start(organisation, wish(5));
    expect(problems()).toEqual([null, null, problem, problem, problem]);
    expect(named('writeExport')).toHaveLength(2);
    // Nothing is left in the Worker of those that were not ordered.
    expect(named('cancelExport')).toHaveLength(3);
    const [text, json] = there.written.map((each) => each.text);
    expect(text!.split('\n').filter((line) => line.includes(`Missing: ${problem}`))).toHaveLength(3);
    expect(JSON.parse(json!).bookmarks.map(({ missing }: { missing: string | null }) => missing)).toEqual(problems());
    expect(clicked).toHaveLength(4);
  });

  it('names what was refused by itself, and goes on', async () => {
    there.onOrder = async (n) => {
      if (n === 1) throw new ApiError(403, 'not_allowed', 'You may not.', '');
      if (n === 3) throw new ApiError(503, 'busy', 'Busy.', '');
    };
    await caseRun.start(organisation, wish(3));
    expect(problems()).toEqual(['You may not.', null, 'Busy.']);
  });

  it('says so at once where nothing was signed for', async () => {
    there.onOrder = async () => Promise.reject(new ApiError(429, 'too_many', 'Too many requests.', ''));
    await expect(caseRun.start(organisation, wish(3))).rejects.toThrow('Too many requests.');
    expect([named('writeExport'), there.written, caseRun.outcomes, caseRun.running]).toEqual([[], [], [], false]);
  });

  it('names also what a cancel left', async () => {
    there.onOrder = async (n) => void (n === 2 && (await caseRun.cancel()));
    await caseRun.start(organisation, wish(4));
    expect(problems()).toEqual(Array(4).fill('The export was cancelled.'));
  });

  it('keeps the others where the Worker gives one up', async () => {
    there.onWrite = async () => void (named('writeExport').length === 1 && (await Promise.reject(new Error('gone'))));
    await caseRun.start(organisation, wish(2));
    expect(problems()).toEqual(['Gone.', null]);
    expect(there.written).toHaveLength(2);
  });
});

describe('a page that is locked', () => {
  it('forgets a case that was exported', async () => {
    await caseRun.start(organisation, wish(2));
    const files = [...named('writeExport').map(({ job }) => `film ${job}.mp4`), ...there.written.map(({ name }) => name)];
    expect(caseRun.downloads.map(({ name }) => name)).toEqual(files);
    lock();
    await vi.waitFor(() => expect(named('forgetExported')).toEqual([files]));
    expect(kept()).toEqual(NOTHING);
  });

  it.each([
    ['signed for', 'onOrder'],
    ['written', 'onWrite'],
    ['listed', 'onText'],
  ] as const)('forgets a case that is being %s, and lists nothing of it', async (_, step) => {
    let inBetween: unknown[] = [];
    there[step] = async () => {
      there[step] = async () => undefined;
      lock();
      inBetween = [caseRun.wish, caseRun.outcomes];
    };
    await caseRun.start(organisation, wish(3)).catch(() => undefined);
    expect(inBetween).toEqual([null, []]);
    expect(kept()).toEqual(NOTHING);
    expect(clicked).toEqual([]);
    // That which was on its way when the lock came is taken back, as is every film that lay ready.
    const written = [...named('writeExport').map(({ job }) => `film ${job}.mp4`), ...there.written.map(({ name }) => name)];
    expect(written.filter((name) => !name.startsWith('film')).length).toBe(step === 'onText' ? 1 : 0);
    expect(named('forgetExported').flat().sort()).toEqual(written.sort());
    // The next one is not forgotten.
    await caseRun.start(organisation, wish(1));
    expect(problems()).toEqual([null]);
  });

  it('forgets an export that is being written', async () => {
    there.onWrite = async () => lock();
    const one = { cameras: [{ id: `cam_${hex(1)}`, name: 'Yard', sound: false }], rendition: 'main' as const, proof: true, reason: '', link: null, from: 0, to: 1000 };
    await expect(exportRun.start(organisation, one, true)).rejects.toThrow('locked');
    expect([exportRun.wish, exportRun.done, exportRun.downloads, exportRun.problem, exportRun.running]).toEqual([null, [], [], null, false]);
    expect(clicked).toEqual([]);
    const [{ job }] = named('writeExport');
    expect(named('forgetExported')).toEqual([[`film ${job}.mp4`]]);
    expect(named('cancelExport')).toContainEqual({ job });
  });

  it('starts nothing that was waiting for a folder to be chosen', async () => {
    vi.stubGlobal('showDirectoryPicker', async () => (lock(), {}));
    await expect(caseRun.start(organisation, wish(1))).rejects.toThrow('locked');
    vi.unstubAllGlobals();
    expect(kept()).toEqual(NOTHING);
    expect([named('prepareExport'), there.orders]).toEqual([[], 0]);
  });
});
