// Bookmarks, as they are listed, opened and changed. Everything that is read here was signed by a device of the roster, or by its gateway.

import type { OpenedBookmark } from '../../worker/bookmarks';
import { explain, get, post, remove } from '../api/client';
import type { components } from '../api/schema';
import type { Bookmark, Lock, LockResult, Note } from '../seal/bookmark';
import { type Envelope } from '../seal/dsse';
import { postSigned } from './confirmed';
import { call } from './keeper';
import type { Span } from './timeline';

type Page = components['schemas']['Bookmarks'];

export interface Marked {
  id: string;
  bookmark: Bookmark;
  /** Null where it does not open on this device, which `problem` explains. */
  note: Note | null;
  problem: string | null;
  result: LockResult | null;
  person: string | null;
  changeable: boolean;
}

export type LockState = 'none' | 'waiting' | 'locked' | 'refused' | 'over';

export function lockState({ bookmark: { lock }, result }: Pick<Marked, 'bookmark' | 'result'>, now: number): LockState {
  if (!lock) return 'none';
  if (lock.until !== null && lock.until <= now) return 'over';
  if (!result) return 'waiting';
  return result.refused === null ? 'locked' : 'refused';
}

export const REFUSALS: Record<NonNullable<LockResult['refused']>, string> = {
  not_allowed: 'The gateway’s roster does not let this device lock anything at this camera. It may be behind: the gateway looks again when it has a newer one.',
  older: 'The gateway took a later order of this bookmark before.',
  full: 'Locks may hold half of what the gateway may record, and this would be more. Lift others, lock less, or let the gateway record more.',
  too_many: 'The gateway remembers as many bookmarks as it can.',
};

export class Bookmarks {
  entries: Marked[] = $state.raw([]);
  /** What is not signed as it says is not shown, but counted. */
  unsigned = $state(0);
  more = $state(false);
  loaded = $state(false);
  problem: string | null = $state(null);
  private to: number | null = null;
  private turn = 0;

  /** `camera`: of this one alone. */
  constructor(private readonly camera: string | null = null) {}

  /** Those that reach into a stretch, in place of what was found before. */
  async look({ from, to }: Span): Promise<void> {
    await this.take(from, to, false);
  }

  /** Those before what is shown. */
  async older(): Promise<void> {
    if (this.to !== null) await this.take(0, this.to, true);
  }

  private async take(from: number, to: number, keeps: boolean): Promise<void> {
    const turn = (this.turn += 1);
    try {
      const of = this.camera === null ? '' : `camera=${this.camera}&`;
      const page = await get<Page>(`/api/v1/bookmarks?${of}from=${Math.max(0, Math.floor(from))}&to=${Math.ceil(to)}`);
      const opened = page.bookmarks.length === 0 ? [] : await call('openBookmarks', page.bookmarks.map(({ envelope, result }) => ({ envelope, result: result ?? null })));
      if (turn !== this.turn) return;
      const found = page.bookmarks.flatMap((listed, at) => marked(opened[at]!, listed));
      const kept = keeps ? this.entries.filter(({ id }) => !found.some((one) => one.id === id)) : [];
      this.entries = [...kept, ...found].sort((a, b) => b.bookmark.from - a.bookmark.from);
      this.unsigned = opened.filter(({ bookmark }) => bookmark === null).length + (keeps ? this.unsigned : 0);
      this.to = page.more_to ?? null;
      this.more = this.to !== null;
      this.loaded = true;
      this.problem = null;
    } catch (error) {
      if (turn === this.turn) this.problem = explain(error);
    }
  }
}

function marked({ bookmark, note, problem, result }: OpenedBookmark, listed: Page['bookmarks'][number]): Marked[] {
  if (!bookmark) return [];
  return [{ id: bookmark.bookmark, bookmark, note, problem, result, person: listed.person ?? null, changeable: listed.changeable }];
}

export interface Wanted {
  camera: string;
  range: Span;
  lock: Lock | null;
  note: Note;
}

export async function addBookmark({ camera, range: { from, to }, lock, note }: Wanted): Promise<void> {
  const envelope = await call('signBookmark', { camera, from, to, lock, note, at: Date.now(), before: null });
  if (!envelope) throw new Error('Nothing is recorded there yet, or nothing that is closed. A recording closes about a minute after it began: try again then.');
  await post('/api/v1/bookmarks', { envelope });
}

/** The rest stays as it is. To lock less than before takes a touch of the passkey. */
export async function changeBookmark({ bookmark, note }: Marked, change: { lock?: Lock | null; note?: Note }): Promise<void> {
  const { camera, from, to } = bookmark;
  const lock = change.lock === undefined ? bookmark.lock : change.lock;
  const envelope = await call('signBookmark', { camera, from, to, lock, note: change.note ?? note ?? { text: '', case: null }, at: Date.now(), before: bookmark });
  await postSigned('/api/v1/bookmarks', { envelope: envelope as Envelope });
}

export const removeBookmark = (id: string): Promise<void> => remove(`/api/v1/bookmarks/${id}`);

/** All of a case, in the order in which it happened. */
export const ofCase = (entries: readonly Marked[], name: string): Marked[] => entries.filter(({ note }) => note?.case === name).sort((a, b) => a.bookmark.from - b.bookmark.from);

/** Whether it is about what somebody looks for. */
export function isAbout({ bookmark, note }: Marked, { camera, case: name, text }: { camera: string | null; case: string | null; text: string }, cameraName: string): boolean {
  if (camera !== null && bookmark.camera !== camera) return false;
  if (name !== null && note?.case !== name) return false;
  const sought = text.trim().toLocaleLowerCase();
  return sought === '' || [note?.text ?? '', note?.case ?? '', cameraName].some((words) => words.toLocaleLowerCase().includes(sought));
}
