// Bookmarks (docs/format.md section 12): a stretch of a camera's time with a note, and, if it is locked, the order to its gateway to delete
// nothing of it. The note is sealed with the key of the footage: whoever opens the picture reads what was written about it.

import { base64, type Bytes, concat, fromBase64, hex, refuse, utf8 } from './bytes';
import { aesKey, aesOpen, aesSeal, hkdf, random, type Signer } from './crypto';
import { type Envelope, openSignedBy, readEnvelope, sign } from './dsse';
import { b64, hash, id, int, literal, nullable, object, type Of, readCanonical, type Shape, text } from './shape';
import type { Gateway } from './statements';

export const STRETCH_MS_MAX = 7 * 86_400_000;
export const NOTE_MAX = 2000;
export const CASE_MAX = 100;
const LOCK_MS_MAX = 3653 * 86_400_000;
const PADDING = 512;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PADDED_BYTES_MAX = Math.ceil((6 * (NOTE_MAX + CASE_MAX) + 64) / PADDING) * PADDING;
const LABEL = 'lenskeep bookmark v1';

const lockShape = object({ until: nullable(int) });
export type Lock = Of<typeof lockShape>;
const bookmarkShape = object({
  org: id('org_'),
  gateway: id('gw_'),
  camera: id('cam_'),
  bookmark: id('bm_'),
  device: id('dev_'),
  from: int,
  to: int,
  lock: nullable(lockShape),
  issued_at: int,
  epoch: id('ep_'),
  note: b64(NONCE_BYTES + PADDING + TAG_BYTES, NONCE_BYTES + PADDED_BYTES_MAX + TAG_BYTES),
});
export type Bookmark = Of<typeof bookmarkShape>;

const caseName: Shape<string> = (value, at) => {
  const found = text(CASE_MAX, 1)(value, at);
  return /\p{Cc}/u.test(found) ? refuse(`${at} is not printable`) : found;
};
const noteShape = object({ text: text(NOTE_MAX), case: nullable(caseName) });
export type Note = Of<typeof noteShape>;

export const LOCK_REFUSALS = ['not_allowed', 'older', 'full', 'too_many'] as const;
const resultShape = object({
  org: id('org_'),
  gateway: id('gw_'),
  bookmark: id('bm_'),
  order: hash,
  at: int,
  refused: nullable(literal(...LOCK_REFUSALS)),
  recordings: int,
  bytes: int,
  recorded_ms: int,
});
export type LockResult = Of<typeof resultShape>;

export const newBookmarkId = (): string => `bm_${hex(random(16))}`;

/** `video` is the camera's key of the epoch that bookmarks name. */
export async function noteKey(video: Bytes, camera: string): Promise<CryptoKey> {
  const raw = await hkdf(video, utf8(camera), utf8(LABEL));
  const key = await aesKey(raw);
  raw.fill(0);
  return key;
}

export async function sealNote(key: CryptoKey, bookmark: string, note: Note, nonce = random(NONCE_BYTES)): Promise<string> {
  const plain = utf8(JSON.stringify(noteShape({ text: note.text, case: note.case }, 'the note')));
  const padded = new Uint8Array(Math.ceil(plain.length / PADDING) * PADDING);
  padded.set(plain);
  return base64(concat(nonce, await aesSeal(key, nonce, associated(bookmark), padded)));
}

export async function openNote(key: CryptoKey, bookmark: string, note: string): Promise<Note> {
  const sealed = fromBase64(note);
  const failed = () => refuse('the note does not open: it was altered, or sealed with another key');
  const padded = await aesOpen(key, sealed.slice(0, NONCE_BYTES), associated(bookmark), sealed.subarray(NONCE_BYTES)).catch(failed);
  return readCanonical(noteShape, padded.subarray(0, padded.findLastIndex((byte) => byte !== 0) + 1), 'the note');
}

const associated = (bookmark: string) => utf8(`${LABEL}|${bookmark}`);

export const signBookmark = ({ org, gateway, camera, bookmark, device, from, to, lock, issued_at, epoch, note }: Bookmark, signer: Signer): Promise<Envelope> =>
  sign('bookmark.v1+json', { org, gateway, camera, bookmark, device, from, to, lock: lock && { until: lock.until }, issued_at, epoch, note }, signer);

/** As the device signed it that it names. `keyOf` knows devices that were shut out since, too. */
export async function readBookmark(value: unknown, org: string, keyOf: (device: string) => string | undefined): Promise<{ bookmark: Bookmark; order: string }> {
  const envelope = readEnvelope(value);
  const device = envelope.signatures[0]!.keyid;
  const key = keyOf(device) ?? refuse('the bookmark is signed by a device that your roster does not know');
  const { document, hash: digest } = await openSignedBy(envelope, 'bookmark.v1+json', bookmarkShape, device, fromBase64(key));
  const { from, to, lock, issued_at } = document;
  if (envelope.signatures.length !== 1 || document.device !== device || document.org !== org) refuse('the bookmark belongs to another device or organisation');
  if (from > to || to - from > STRETCH_MS_MAX || (lock && from === to)) refuse('the bookmark covers no stretch that there can be');
  if (lock?.until != null && (lock.until <= issued_at || lock.until > issued_at + LOCK_MS_MAX)) refuse('the lock ends before it begins, or after more than ten years');
  if ((fromBase64(document.note).length - NONCE_BYTES - TAG_BYTES) % PADDING !== 0) refuse('the note has a length that it cannot have');
  return { bookmark: document, order: hex(digest) };
}

/** What the gateway says of this very order. */
export async function readLockResult(value: unknown, order: string, bookmark: Bookmark, gateway: Gateway): Promise<LockResult> {
  const { document } = await openSignedBy(readEnvelope(value), 'lock-result.v1+json', resultShape, gateway.id, fromBase64(gateway.sign));
  if (document.order !== order || document.gateway !== bookmark.gateway || document.bookmark !== bookmark.bookmark || document.org !== bookmark.org) refuse('the gateway’s answer is about another order');
  return document;
}
