// Signs bookmarks, and opens those of others: their notes have the key of the footage that they are about.

import { explain } from '../lib/api/client';
import { type Bookmark, type Lock, type LockResult, newBookmarkId, type Note, openNote, readBookmark, readLockResult, sealNote, signBookmark } from '../lib/seal/bookmark';
import { refuse } from '../lib/seal/bytes';
import type { Envelope } from '../lib/seal/dsse';
import { Catalogue } from './catalogue';
import type { Keyring } from './keyring';

const AT_ONCE = 8;
/** A note about a time without pictures has the key of what was recorded last, if that was within a day. */
const NEAR_MS = 86_400_000;

/** What a person wants to mark, or to change of what is marked. */
export interface BookmarkOrder {
  camera: string;
  from: number;
  to: number;
  lock: Lock | null;
  note: Note;
  at: number;
  /** What is changed: it stays at its gateway, and the note under its key. */
  before: Pick<Bookmark, 'bookmark' | 'gateway' | 'epoch' | 'issued_at'> | null;
}

/** As the server lists it. */
export interface SignedBookmark {
  envelope: unknown;
  result: unknown;
}

export interface OpenedBookmark {
  /** Null if it is none, or not signed as it says. */
  bookmark: Bookmark | null;
  note: Note | null;
  result: LockResult | null;
  /** Why something of it is missing. */
  problem: string | null;
}

export async function signOrder(order: BookmarkOrder, keyring: Keyring): Promise<Envelope | null> {
  const { camera, from, to, lock, note } = order;
  const place = order.before ?? (await placeOf(order, keyring));
  if (!place) return null;
  const { bookmark, gateway, epoch } = place;
  const sealed = await sealNote(await keyring.noteKey(gateway, epoch, camera), bookmark, note);
  const issued_at = Math.max(order.at, (order.before?.issued_at ?? 0) + 1);
  const { signer, organisation } = keyring;
  return signBookmark({ org: organisation, gateway, camera, bookmark, device: signer.keyid, from, to, lock, issued_at, epoch, note: sealed }, signer);
}

/** Whether the key of what was recorded then may seal a note: one of another time would open it to devices that had access then. */
export function isNear(startedAt: number, from: number, to: number): boolean {
  return startedAt <= to && startedAt >= from - NEAR_MS;
}

/** Gateway and epoch of what is recorded there, as the recording itself says. */
async function placeOf({ camera, from, to }: BookmarkOrder, keyring: Keyring): Promise<Pick<Bookmark, 'bookmark' | 'gateway' | 'epoch'> | null> {
  const catalogue = new Catalogue(camera, 'main', keyring);
  const after = await catalogue.at(from);
  const listing = after && after.started_at <= to ? after : await catalogue.before(from);
  if (!listing || !isNear(listing.started_at, from, to)) return null;
  const { gateway, epoch, started_at } = (await catalogue.openAt(listing)).recording.read.header;
  // The server says when it was; the gateway signed it.
  if (!isNear(started_at, from, to)) refuse('the server sent a recording of another time than the one that is marked');
  return { bookmark: newBookmarkId(), gateway, epoch };
}

export async function openAll(listed: SignedBookmark[], keyring: Keyring): Promise<OpenedBookmark[]> {
  const opened: OpenedBookmark[] = new Array(listed.length);
  let next = 0;
  const work = async () => {
    for (let at = next++; at < listed.length; at = next++) opened[at] = await open(listed[at]!, keyring);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return opened;
}

async function open({ envelope, result }: SignedBookmark, keyring: Keyring): Promise<OpenedBookmark> {
  const found: OpenedBookmark = { bookmark: null, note: null, result: null, problem: null };
  try {
    const { bookmark, order } = await readBookmark(envelope, keyring.organisation, keyring.author);
    found.bookmark = bookmark;
    if (result !== null) found.result = await readLockResult(result, order, bookmark, keyring.gateway(bookmark.gateway));
    found.note = await openNote(await keyring.noteKey(bookmark.gateway, bookmark.epoch, bookmark.camera), bookmark.bookmark, bookmark.note);
  } catch (error) {
    found.problem = explain(error);
  }
  return found;
}
