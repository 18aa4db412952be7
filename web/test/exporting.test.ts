// The Worker's export from list to file, against servers that lie: what is written, and that nothing is left of what is refused.

import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { goApart } from '../src/lib/api/client';
import { type Bytes, concat } from '../src/lib/seal/bytes';
import { random } from '../src/lib/seal/crypto';
import { recordingKeys, type ReadHeader } from '../src/lib/seal/header';
import { cancel, type ExportOrder, prepare, type Progress, write } from '../src/worker/export';
import type { Keyring } from '../src/worker/keyring';
import { id, type Made, makeRecording, STARTED_AT } from './support/recordings';

const keys = { video: random(32), audio: random(32) as Bytes | null };
const camera = id('cam');
const description = 'AWQAH//hAAA=';
let first: Made;
let second: Made;

/** A folder of a person's disk. */
class Folder {
  readonly files = new Map<string, Bytes>();

  async getFileHandle(name: string, { create = false } = {}): Promise<unknown> {
    const { files } = this;
    if (!create && !files.has(name)) throw new DOMException('', 'NotFoundError');
    if (!files.has(name)) files.set(name, new Uint8Array());
    let swap: Bytes = new Uint8Array();
    return {
      name,
      getFile: async () => ({ size: files.get(name)!.length }),
      remove: async () => void files.delete(name),
      createWritable: async () => ({
        write: async (piece: Bytes | { position: number; data: Bytes }) => void (piece instanceof Uint8Array ? (swap = concat(swap, piece)) : swap.set(piece.data, piece.position)),
        close: async () => void files.set(name, swap),
        abort: async () => void (swap = new Uint8Array()),
      }),
    };
  }
}

interface Server {
  listed: Made[];
  /** What is sent in place of a recording. */
  send: (wanted: Made) => Bytes;
  hang: boolean;
}
let server: Server;
const startedAt = (made: Made) => (made === first ? STARTED_AT : STARTED_AT + 800);

async function answer(url: string, request: RequestInit): Promise<Response> {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  if (pathname.endsWith('/recordings')) {
    // One on each page.
    const start = Number(searchParams.get('from'));
    const [page, ...rest] = server.listed.filter((made) => startedAt(made) + 800 > start);
    const recordings = page ? [{ id: page.id, camera, rendition: 'main', started_at: startedAt(page), duration_ms: 800, bytes: server.send(page).length, available: true, on_site: false }] : [];
    return Response.json({ recordings, gaps: [], more_from: rest.length > 0 ? startedAt(page!) + 800 : null, site_unreachable: false });
  }
  const made = [first, second].find((each) => pathname.endsWith(each.id));
  if (!made) return Response.json({ error: { code: 'not_found', message: 'No.', remedy: '' } }, { status: 404 });
  if (server.hang) return new Promise((_, reject) => request.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(new Headers(request.headers).get('range')!)!;
  return new Response(server.send(made).slice(Number(from), Number(to) + 1), { status: 206 });
}

let jobs = 0;
let folder: Folder;
const order = (change: Partial<ExportOrder> & { sound?: boolean } = {}): ExportOrder => {
  const { sound = true, ...rest } = change;
  return { job: (jobs += 1), cameras: [{ id: camera, name: 'Door', sound }], rendition: 'main', proof: true, from: STARTED_AT, to: STARTED_AT + 60_000, ...rest };
};
const ring = (granted = keys) => ({ gateway: () => first.gateway, keysOf: (read: ReadHeader) => recordingKeys(read, granted as typeof keys & { audio: Bytes }) }) as unknown as Keyring;
async function take(wanted: ExportOrder, keyring = ring(), tell: (progress: Progress) => void = () => undefined) {
  await prepare(wanted);
  return write(wanted.job, { kind: 'folder', folder: folder as unknown as FileSystemDirectoryHandle }, keyring, tell);
}

beforeAll(async () => {
  // A gateway is asked without proofs of sessions.
  goApart('key');
  [first, second] = await Promise.all([0, 800].map((later) => makeRecording({ keys: keys as { video: Bytes; audio: Bytes }, description, startedAt: STARTED_AT + later }))) as [Made, Made];
});
beforeEach(() => {
  folder = new Folder();
  server = { listed: [first, second], send: (wanted) => wanted.file, hang: false };
  vi.stubGlobal('fetch', vi.fn(answer));
});
afterEach(() => void vi.unstubAllGlobals());

describe('an export', () => {
  it('goes over all pages, and writes film and proof', async () => {
    const told: Progress[] = [];
    const { exported, problem } = await take(order(), ring(), (progress) => told.push(progress));
    expect(problem).toBeNull();
    expect(exported[0]).toMatchObject({ camera, from: STARTED_AT, to: STARTED_AT + 800 + 18 * 40, unproven: 0, gateways: [first.gateway.id], holes: [] });
    expect(exported[0]!.length).toBeGreaterThan(1500);
    const names = [...folder.files.keys()];
    expect(names.map((name) => name.replace(/^Door .* /, '').slice(8))).toEqual(['.lkproof', '.mp4']);
    expect(folder.files.get(names[0]!)!.slice(0, 6)).toEqual(Uint8Array.from('LKCLIP', (letter) => letter.charCodeAt(0)));
    expect(told.at(-1)!.total).toBe(first.file.length + second.file.length);
  });

  it('takes what was asked for from each recording, and no other', async () => {
    const { exported } = await take(order({ from: STARTED_AT + 700, to: STARTED_AT + 900, proof: false }));
    expect(exported[0]).toMatchObject({ from: STARTED_AT + 640, to: STARTED_AT + 800 + 2 * 40 });
  });

  it('never writes over a file that is there', async () => {
    await take(order({ proof: false }));
    await take(order({ proof: false }));
    const names = [...folder.files.keys()];
    expect(names).toHaveLength(2);
    expect(names[1]).toBe(names[0]!.replace('.mp4', ' (2).mp4'));
  });

  it('is kept in memory for its download where a browser has no place for files', async () => {
    vi.stubGlobal('navigator', {});
    const wanted = order({ proof: false });
    await prepare(wanted);
    const { exported, problem } = await write(wanted.job, { kind: 'download' }, ring(), () => undefined);
    expect(problem).toBeNull();
    const { bytes, download } = exported[0]!.files[0]!;
    expect(download!.size).toBe(bytes);
    // How long it is was filled in.
    const text = new TextDecoder('latin1').decode(await download!.arrayBuffer());
    expect(text.slice(text.indexOf('mehd') + 8, text.indexOf('mehd') + 16)).not.toBe('\0'.repeat(8));
  });

  it('leaves no file where the browser lets nobody write into it', async () => {
    const made = await folder.getFileHandle('chosen.mp4', { create: true });
    const file = { ...(made as object), createWritable: async () => Promise.reject(new DOMException('', 'NotAllowedError')) };
    const wanted = order({ proof: false });
    await prepare(wanted);
    const { problem } = await write(wanted.job, { kind: 'file', file: file as unknown as FileSystemFileHandle }, ring(), () => undefined);
    expect(problem).toMatch(/^The browser was not allowed to write Door/);
    expect(folder.files.size).toBe(0);
  });

  it('opens no sound that is not wanted, and says so where it is and may not be heard', async () => {
    const deaf = ring({ ...keys, audio: null });
    expect((await take(order({ sound: false }), deaf)).problem).toBeNull();
    folder = new Folder();
    expect((await take(order(), deaf)).problem).toMatch(/^You may watch Door and not hear it: export without sound\. Nothing of Door was written\.|had come to/);
    expect(folder.files.size).toBe(0);
  });

  it('refuses what a server puts in place of a recording, and leaves nothing behind', async () => {
    const other = await makeRecording({ keys: keys as { video: Bytes; audio: Bytes }, description });
    const small = await makeRecording({ keys: keys as { video: Bytes; audio: Bytes }, description, rendition: 'sub' });
    const short = await makeRecording({ keys: keys as { video: Bytes; audio: Bytes }, description, kept: 18 });
    const altered = first.file.slice();
    altered[first.head.length + 12]! ^= 1;
    const lies: [string, Partial<Server>, RegExp][] = [
      ['another recording', { send: () => other.file }, /another recording than the one asked for/],
      ['an altered chunk', { send: (made) => (made === first ? altered : made.file) }, /does not open/],
    ];
    for (const [what, lie, words] of lies) {
      server = { ...server, ...lie };
      expect((await take(order())).problem, what).toMatch(words);
      expect(folder.files.size, what).toBe(0);
    }
    // Those that are listed as what they are, and are not what was ordered.
    for (const [made, words] of [[small, /another stream/], [short, /missing at the end/]] as const) {
      const before = first;
      first = made;
      server = { listed: [made], send: ({ file }) => file, hang: false };
      expect((await take(order())).problem).toMatch(words);
      expect(folder.files.size).toBe(0);
      first = before;
    }
  });

  it('refuses recordings that do not follow each other, as they say themselves', async () => {
    const before = second;
    second = await makeRecording({ keys: keys as { video: Bytes; audio: Bytes }, description });
    server.listed = [first, second];
    expect((await take(order())).problem).toMatch(/lists recordings again/);
    expect(folder.files.size).toBe(0);
    second = before;
  });

  it('says what is no longer there', async () => {
    vi.stubGlobal('fetch', vi.fn((url: string, request: RequestInit) => (url.includes(second.id) ? Promise.resolve(new Response('', { status: 404 })) : answer(url, request))));
    expect((await take(order())).problem).toMatch(/is no longer there\. .* had come to .*taken back/);
    expect(folder.files.size).toBe(0);
  });

  it('refuses an order of which there is nothing, before anything is written', async () => {
    server.listed = [];
    await expect(prepare(order())).rejects.toThrow('There are no recordings of Door in this time.');
  });

  it('ends when it is cancelled, whatever it waits for', async () => {
    server.hang = true;
    const wanted = order();
    await prepare(wanted);
    const running = write(wanted.job, { kind: 'folder', folder: folder as unknown as FileSystemDirectoryHandle }, ring(), () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    cancel(wanted.job);
    expect(await running).toMatchObject({ exported: [], problem: 'The export was cancelled. What was not whole was taken back.' });
    expect(folder.files.size).toBe(0);
  });
});
