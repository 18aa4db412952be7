// Bookmarks: the same bytes as the other implementation, notes that open with the footage alone, and what a server can make of them.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isAbout, lockState, type Marked } from '../src/lib/app/bookmarks.svelte';
import { type Bookmark, CASE_MAX, type LockResult, NOTE_MAX, newBookmarkId, noteKey, openNote, readBookmark, readLockResult, sealNote, signBookmark } from '../src/lib/seal/bookmark';
import { base64, fromBase64, fromUtf8, hex } from '../src/lib/seal/bytes';
import { sha256, signer, signPublicKey } from '../src/lib/seal/crypto';
import type { Gateway } from '../src/lib/seal/statements';
import { isNear } from '../src/worker/bookmarks';

const load = (name: string): any => JSON.parse(readFileSync(fileURLToPath(new URL(`../../crates/seal/tests/it/vectors/${name}.json`, import.meta.url)), 'utf8'));
const vector = load('bookmark');
const nobody = { keyid: 'dev_00000000000000000000000000000000', sign: async () => new Uint8Array(64) };
const [{ bookmark: plain, envelope: signed }] = vector.bookmarks;
/** Of the device that signs in the vectors: the roster's fixture gives it this seed. */
const keyOf = async () => base64(await signPublicKey(new Uint8Array(32).fill(2 ^ 0x80)));

describe('the shared vector', () => {
  it('is read, and written alike byte for byte', async () => {
    const key = await keyOf();
    for (const { bookmark, envelope } of vector.bookmarks) {
      const read = await readBookmark(envelope, bookmark.org, () => key);
      expect(read.bookmark).toEqual(bookmark);
      expect(read.order).toBe(hex(await sha256(fromBase64(envelope.payload))));
      const written = await signBookmark(bookmark, nobody);
      expect(fromUtf8(fromBase64(written.payload))).toBe(fromUtf8(fromBase64(envelope.payload)));
    }
  });

  it('has a note that opens with the camera’s video key, and is sealed alike', async () => {
    const key = await noteKey(fromBase64(vector.video), plain.camera);
    expect(await openNote(key, plain.bookmark, plain.note)).toEqual(vector.note);
    expect(await sealNote(key, plain.bookmark, vector.note, fromBase64(plain.note).slice(0, 12))).toBe(plain.note);
  });

  it('has the gateway’s answer', async () => {
    const { result, envelope } = vector.result;
    const gateway = { id: result.gateway, sign: load('keys').sign_public } as Gateway;
    const of = { ...plain, bookmark: result.bookmark } as Bookmark;
    expect(await readLockResult(envelope, result.order, of, gateway)).toEqual(result);
    await expect(readLockResult(envelope, '00'.repeat(32), of, gateway)).rejects.toThrow('another order');
    await expect(readLockResult(envelope, result.order, { ...of, bookmark: newBookmarkId() }, gateway)).rejects.toThrow('another order');
    await expect(readLockResult(envelope, result.order, of, { ...gateway, sign: base64(new Uint8Array(32).fill(9)) })).rejects.toThrow();
  });
});

describe('a server that lies', () => {
  it('makes no bookmark, and alters none', async () => {
    const key = await keyOf();
    const payload = fromBase64(signed.payload);
    payload[payload.length - 3]! ^= 1;
    await expect(readBookmark({ ...signed, payload: base64(payload) }, plain.org, () => key)).rejects.toThrow();
    await expect(readBookmark(signed, plain.org, () => undefined)).rejects.toThrow('does not know');
    await expect(readBookmark(signed, `org_${'0'.repeat(32)}`, () => key)).rejects.toThrow('another device or organisation');
    const other = await signer(`dev_${'9'.repeat(32)}`, new Uint8Array(32).fill(5));
    const inAnothersName = await signBookmark(plain, other);
    const others = base64(await signPublicKey(new Uint8Array(32).fill(5)));
    await expect(readBookmark(inAnothersName, plain.org, () => others)).rejects.toThrow('another device or organisation');
  });

  it('moves no note to another bookmark or camera', async () => {
    const video = fromBase64(vector.video);
    const key = await noteKey(video.slice(), plain.camera);
    await expect(openNote(key, newBookmarkId(), plain.note)).rejects.toThrow('does not open');
    await expect(openNote(await noteKey(video.slice(), `cam_${'0'.repeat(32)}`), plain.bookmark, plain.note)).rejects.toThrow('does not open');
    const cut = base64(fromBase64(plain.note).slice(0, 40));
    await expect(openNote(key, plain.bookmark, cut)).rejects.toThrow('does not open');
  });
});

/** A hostile server lists an old recording as one of now, so that the note is sealed with a key that devices have which were shut out since. */
it('seals a note with the key of its own time', () => {
  const [from, day] = [1_795_824_000_000, 86_400_000];
  for (const startedAt of [from - day, from - 1, from, from + 60_000]) expect(isNear(startedAt, from, from + 60_000)).toBe(true);
  for (const startedAt of [from - 365 * day, from - day - 1, from + 60_001]) expect(isNear(startedAt, from, from + 60_000)).toBe(false);
});

it('takes notes within their bounds, and the longest of them', async () => {
  const key = await noteKey(new Uint8Array(32).fill(3), plain.camera);
  const longest = { text: '\u0001'.repeat(NOTE_MAX), case: '"'.repeat(CASE_MAX) };
  const sealed = await sealNote(key, plain.bookmark, longest);
  expect(await openNote(key, plain.bookmark, sealed)).toEqual(longest);
  const made = await signer(plain.device, new Uint8Array(32).fill(5));
  const envelope = await signBookmark({ ...plain, note: sealed }, made);
  const own = base64(await signPublicKey(new Uint8Array(32).fill(5)));
  expect((await readBookmark(envelope, plain.org, () => own)).bookmark.note).toBe(sealed);
  for (const note of [{ text: 'x'.repeat(NOTE_MAX + 1), case: null }, { text: '', case: '' }, { text: '', case: '🚐'.repeat(51) }, { text: '', case: 'a\nb' }]) await expect(sealNote(key, plain.bookmark, note)).rejects.toThrow();
});

describe('what is read of a lock', () => {
  const of = (until: number | null | undefined, refused: LockResult['refused'] | undefined) =>
    lockState({ bookmark: { ...plain, lock: until === undefined ? null : { until } }, result: refused === undefined ? null : ({ refused } as LockResult) }, 1000);
  it('is what the gateway said, and nothing before', () => {
    expect(of(undefined, undefined)).toBe('none');
    expect(of(null, undefined)).toBe('waiting');
    expect(of(null, null)).toBe('locked');
    expect(of(1001, null)).toBe('locked');
    expect(of(1000, null)).toBe('over');
    expect(of(null, 'full')).toBe('refused');
  });
});

it('finds bookmarks by camera, case and words', () => {
  const marked = { bookmark: plain, note: { text: 'Blue van', case: 'Yard' } } as Marked;
  const about = (wish: Partial<Parameters<typeof isAbout>[1]>) => isAbout(marked, { camera: null, case: null, text: '', ...wish }, 'Gate');
  expect([about({}), about({ text: ' BLUE' }), about({ text: 'gate' }), about({ text: 'yard' }), about({ case: 'Yard' }), about({ camera: plain.camera })]).toEqual(Array(6).fill(true));
  expect([about({ text: 'red' }), about({ case: 'Other' }), about({ camera: 'cam_1' })]).toEqual([false, false, false]);
});
