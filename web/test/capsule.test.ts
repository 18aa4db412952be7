// Capsules: what the Rust code sealed opens here and the other way round; what is sent by who shares opens for who has the link; and what a
// server that lies sends opens nothing.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { goApart } from '../src/lib/api/client';
import { base64, type Bytes, concat, fromBase64, fromHex, hex, utf8 } from '../src/lib/seal/bytes';
import { Capsule, type Description, newCapsuleKey, newShareId, PIECE_BYTES, readDescription } from '../src/lib/seal/capsule';
import { random, sha256 } from '../src/lib/seal/crypto';
import { readLink, SharedFootage } from '../src/shared/footage';
import { CapsuleSinks } from '../src/worker/capsule';
import type { Exported } from '../src/worker/export';

const vector = JSON.parse(readFileSync(fileURLToPath(new URL('../../crates/seal/tests/it/vectors/capsule.json', import.meta.url)), 'utf8'));

describe('the shared vector', () => {
  it('opens, and is sealed as the other implementation seals it', async () => {
    const capsule = await Capsule.of(vector.share, vector.key);
    expect(capsule.access).toBe(vector.access);
    expect(await capsule.openDescription(fromBase64(vector.description.sealed))).toEqual(vector.description.text);
    expect(base64(await capsule.sealDescription(vector.description.text))).toBe(vector.description.sealed);
    for (const { file, number, plain, sealed } of vector.pieces) {
      expect(base64(await capsule.open({ file, number }, fromBase64(sealed)))).toBe(plain);
      expect(base64(await capsule.seal({ file, number }, fromBase64(plain)))).toBe(sealed);
      await expect(capsule.open({ file, number: number + 1 }, fromBase64(sealed))).rejects.toThrow('altered');
    }
    const other = await Capsule.of(newShareId(), vector.key);
    await expect(other.openDescription(fromBase64(vector.description.sealed))).rejects.toThrow('altered');
  });

  it('is bounded, and names no zone that is none', () => {
    const padded = (change: Partial<Description>) => utf8(JSON.stringify({ ...vector.description.text, ...change }));
    const [file] = vector.description.text.files;
    expect(readDescription(padded({})).files.length).toBe(2);
    const wrong = [{ files: [] }, { files: Array(65).fill(file) }, { files: [{ ...file, bytes: 0 }] }, { files: [{ ...file, bytes: 2 ** 31 }] }, { files: [{ ...file, to: 0 }] }, { zone: '<b>' }, { note: 'x'.repeat(501) }];
    for (const change of wrong) expect(() => readDescription(padded(change)), JSON.stringify(change).slice(0, 80)).toThrow();
    expect(() => readDescription(new Uint8Array(64 * 1024 + 1))).toThrow('too long');
  });

  it('is read from a link that is whole, and from no other', () => {
    const [share, key] = [vector.share as string, vector.key as string];
    expect(readLink({ pathname: `/s/${share}`, hash: `#${key}` })).toEqual({ share, key });
    for (const [pathname, hash] of [[`/s/${share}`, ''], [`/s/${share}`, `#${key.slice(1)}`], [`/s/${share}x`, `#${key}`], ['/s/shr_1', `#${key}`], [`/${share}`, `#${key}`]]) {
      expect(readLink({ pathname: pathname!, hash: hash! })).toBeNull();
    }
  });
});

describe('a link', () => {
  /** As a server keeps it. */
  const pieces = new Map<string, Bytes>();
  let sent: string[] = [];
  let whole: number | null = null;
  let opened = 0;
  let link: { share: string; key: string };
  let access: string;
  /** What the server makes of a piece that it sends, or how it fails. */
  let lie: (path: string, piece: Bytes) => Bytes | Response;
  let lost = 0;

  async function answer(url: string, request: RequestInit): Promise<Response> {
    const { pathname } = new URL(url, 'http://localhost');
    if (lost > 0) {
      lost -= 1;
      throw new TypeError('Failed to fetch');
    }
    const piece = /\/files\/\d+\/pieces\/\d+$/.exec(pathname)?.[0];
    if (request.method === 'PUT') {
      const body = new Uint8Array(request.body as Bytes);
      // The same again is the same; another one would be a nonce that serves twice.
      if (pieces.has(piece!)) expect(hex(pieces.get(piece!)!)).toBe(hex(body));
      pieces.set(piece!, body);
      sent.push(piece!);
      return new Response(null, { status: 204 });
    }
    if (pathname.endsWith('/whole')) {
      ({ pieces: whole } = JSON.parse(request.body as string));
      return new Response(null, { status: 204 });
    }
    if (pathname.endsWith('/openings')) {
      if (hex(await sha256(fromHex(JSON.parse(request.body as string).access))) !== access) return Response.json({ error: { code: 'token_refused', message: 'No.', remedy: '' } }, { status: 401 });
      opened += 1;
      return Response.json({ token: 'ab'.repeat(32), ends_at: Date.now() + 60_000, until: Date.now() + 60_000, openings_left: 3, bytes: 1 });
    }
    expect((request.headers as Record<string, string>).authorization).toBe(`Bearer ${'ab'.repeat(32)}`);
    const found = lie(piece!, pieces.get(piece!)!);
    return found instanceof Response ? found : new Response(found);
  }

  const abort = new AbortController();
  const film = concat(random(60_000), new Uint8Array(PIECE_BYTES + 500));
  const proof = random(77);

  async function make(): Promise<void> {
    const sinks = new CapsuleSinks({ ...link, note: 'For <b>you</b>', zone: 'Europe/Berlin' }, abort.signal, () => undefined);
    const written = [];
    const [proofs, films] = [await sinks.open('Yard.lkproof'), await sinks.open('Yard.mp4')];
    const again = await sinks.open('Yard.mp4');
    for (let at = 0; at < film.length; at += 400_000) {
      await films.write(film.slice(at, at + 400_000));
      if (at === 0) await proofs.write(proof);
    }
    await again.write(proof);
    // As the length of a film, which is known at the end.
    await films.patch(20, utf8('PATCHED'));
    for (const sink of [films, again, proofs]) written.push(await sink.close());
    expect(written.map(({ name }) => name)).toEqual(['Yard.mp4', 'Yard (2).mp4', 'Yard.lkproof']);
    const exported = [{ camera: 'cam_1', files: written, from: 1000, to: 2000 }] as unknown as Exported[];
    await sinks.finish(exported, [{ id: 'cam_1', name: 'Yard' }]);
  }
  const patched = (): Bytes => {
    const all = film.slice();
    all.set(utf8('PATCHED'), 20);
    return all;
  };
  const read = async (footage: SharedFootage, number: number) => new Uint8Array(await (await footage.file(number, abort.signal, () => undefined, () => undefined)).arrayBuffer());

  // Without a session, whose key the browser would keep.
  beforeAll(() => goApart('key'));
  beforeEach(async () => {
    vi.stubGlobal('fetch', answer);
    const storage = new Map<string, string>();
    vi.stubGlobal('sessionStorage', { getItem: (name: string) => storage.get(name) ?? null, setItem: (name: string, value: string) => void storage.set(name, value) });
    pieces.clear();
    [sent, whole, opened, lost] = [[], null, 0, 0];
    lie = (_, piece) => piece;
    link = { share: newShareId(), key: newCapsuleKey() };
    access = hex(await sha256(fromHex((await Capsule.of(link.share, link.key)).access)));
  });
  afterEach(() => vi.unstubAllGlobals());

  it('carries films and proof to whoever has it, and counts once in a tab', async () => {
    await make();
    expect(whole).toBe(pieces.size);
    expect(sent.at(-1)).toBe('/files/0/pieces/0');
    expect(new Set(sent).size).toBe(sent.length);
    for (const piece of pieces.values()) expect(hex(piece).includes(hex(utf8('PATCHED')))).toBe(false);
    const footage = await SharedFootage.open(link);
    const { note, zone, files } = footage.description;
    expect([note, zone]).toEqual(['For <b>you</b>', 'Europe/Berlin']);
    expect(files.map(({ kind, name, camera, bytes }) => [kind, name, camera, bytes])).toEqual([['proof', 'Yard.lkproof', 'Yard', 77], ['film', 'Yard.mp4', 'Yard', film.length], ['film', 'Yard (2).mp4', 'Yard', 77]]);
    expect(hex(await read(footage, 1)) === hex(patched())).toBe(true);
    expect(hex(await read(footage, 0))).toBe(hex(proof));
    await SharedFootage.open(link);
    expect(opened).toBe(1);
  });

  it('opens nothing for whoever has another key', async () => {
    await make();
    await expect(SharedFootage.open({ ...link, key: newCapsuleKey() })).rejects.toThrow('No.');
    expect(opened).toBe(0);
  });

  it('shows nothing of what a server alters, swaps, cuts or makes longer', async () => {
    await make();
    const another = pieces.get('/files/3/pieces/0')!;
    const lies: [string, typeof lie][] = [
      ['altered', (_, piece) => ((piece = piece.slice()), (piece[9]! ^= 1), piece)],
      ['of another file', (path, piece) => (path === '/files/1/pieces/0' ? another : piece)],
      ['cut', (_, piece) => piece.slice(0, -1)],
      ['longer', (_, piece) => concat(piece, new Uint8Array(PIECE_BYTES))],
      ['empty', () => new Uint8Array()],
    ];
    const footage = await SharedFootage.open(link);
    for (const [what, told] of lies) {
      lie = told;
      await expect(read(footage, 0), what).rejects.toThrow();
    }
    // Whole pieces in each other's places, and a description of something else.
    lie = (path, piece) => (path === '/files/2/pieces/0' ? pieces.get('/files/2/pieces/1')! : piece);
    await expect(read(footage, 1)).rejects.toThrow('altered');
    vi.stubGlobal('sessionStorage', undefined);
    lie = (path, piece) => (path === '/files/0/pieces/0' ? another : piece);
    await expect(SharedFootage.open(link)).rejects.toThrow('altered');
  });

  it('outlives a connection that breaks off, on both sides', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    lost = 3;
    const made = make();
    await vi.advanceTimersByTimeAsync(20_000);
    // Sealing is real work, which no clock drives.
    vi.useRealTimers();
    await made;
    const footage = await SharedFootage.open(link);
    lost = 1;
    expect(hex(await read(footage, 0))).toBe(hex(proof));
  });

  it('says why it opens nothing any more', async () => {
    await make();
    const footage = await SharedFootage.open(link);
    lie = () => Response.json({ error: { code: 'share_withdrawn', message: 'The link was withdrawn.', remedy: 'Ask for a new one.' } }, { status: 410 });
    await expect(read(footage, 0)).rejects.toThrow('The link was withdrawn.');
  });
});
