// What happened at the cameras of this person, page by page into the past, and what of it they have looked at. Everything is opened and
// searched on this device: the server knows that something happened, and not what.

import { explain, get, post } from '../api/client';
import type { EventPage, RecordingPage } from '../api/types';
import { type Happening, Happenings } from './happenings';
import { call } from './keeper';

/** How far one page reaches where a site is asked camera by camera. */
const SITE_PAGE_MS = 86_400_000;
/** A gateway forwards late what it kept while it was cut off. */
const LATE_MS = 15 * 60_000;
/** Clocks of gateways and of this device differ. */
const AHEAD_MS = 86_400_000;
/** What did not open is tried again after this: a grant can come late. */
const RETRY_MS = 60_000;
/** Cameras asked about at the same time, so that a gateway is not flooded. */
const AT_ONCE = 4;
/** Of one refresh, should there be very much that is new. */
const PAGES_MAX = 20;
/** Of one request to the server. */
const MARKED_AT_ONCE = 500;
const DAY_MS = 86_400_000;
/** Nothing older is asked for. */
export const OLDEST_DAYS = 90;

export class Inbox {
  private readonly found = new Happenings();
  private olderFrom: number | null;
  entries: Happening[] = $state.raw([]);
  reviewed: ReadonlySet<string> = $state.raw(new Set());
  /** Recordings that this device cannot open, and why the last of them did not. */
  unopened: { count: number; why: string } | null = $state.raw(null);
  leftOut = $state(0);
  loaded = $state(false);
  loading = $state(false);
  /** There may be more before what is shown. */
  more = $state(true);
  problem: string | null = $state(null);
  private readonly unread = new Map<string, string>();
  private readonly retryAt = new Map<string, number>();
  /** Marks that were taken away here. */
  private readonly unmarked = new Set<string>();
  private refreshing = false;
  private freshTo: number;
  private readonly left = new Map<string, number>();

  /** `site`: the cameras of a gateway that is asked without the cloud, which knows nobody's marks. */
  constructor(
    private readonly site: readonly string[] | null,
    private readonly start: number,
  ) {
    this.olderFrom = this.freshTo = start;
  }

  get knowsReviewed(): boolean {
    return this.site === null;
  }

  /** What is new since this was asked last. */
  async refresh(now: number): Promise<void> {
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      let to: number | null | undefined = now + AHEAD_MS;
      for (let page = 0; page < PAGES_MAX && typeof to === 'number'; page += 1) to = await this.ask(Math.min(this.freshTo, now) - LATE_MS, to);
      if (to === null) this.freshTo = now;
    } finally {
      this.refreshing = false;
    }
  }

  async older(): Promise<void> {
    if (this.olderFrom === null || this.loading) return;
    this.loading = true;
    try {
      const oldest = this.start - OLDEST_DAYS * DAY_MS;
      const from = this.site === null ? oldest : this.olderFrom - SITE_PAGE_MS;
      const more = await this.ask(from, this.olderFrom + (this.loaded ? 0 : AHEAD_MS));
      if (more === undefined) return;
      // A site tells all of a stretch; the page before it is the stretch before.
      this.olderFrom = more ?? (from > oldest ? from : null);
      this.more = this.olderFrom !== null;
      this.loaded = true;
    } finally {
      this.loading = false;
    }
  }

  async mark(events: Happening[], reviewed: boolean): Promise<void> {
    this.show(events, reviewed);
    try {
      for (let at = 0; at < events.length; at += MARKED_AT_ONCE) {
        const part = events.slice(at, at + MARKED_AT_ONCE).map(({ id, from }) => ({ id, at: from }));
        await post('/api/v1/events/reviewed', { events: part, reviewed });
      }
      this.problem = null;
    } catch (error) {
      this.show(events, !reviewed);
      this.problem = explain(error);
    }
  }

  private show(events: Happening[], reviewed: boolean): void {
    const changed = new Set(this.reviewed);
    for (const { id } of events) {
      if (reviewed) changed.add(id);
      else changed.delete(id);
      if (reviewed) this.unmarked.delete(id);
      else this.unmarked.add(id);
    }
    this.reviewed = changed;
  }

  /** Where a page before it ends; null if there is none, undefined if it failed, which is said. */
  private async ask(from: number, to: number): Promise<number | null | undefined> {
    try {
      const page = await this.page(Math.max(0, from), to);
      const now = Date.now();
      const unknown = page.recordings.filter(({ id }) => !this.found.has(id) && now >= (this.retryAt.get(id) ?? 0));
      for (const opened of unknown.length === 0 ? [] : await call('events', unknown)) {
        this.found.take(opened);
        if (opened.problem === null) this.unread.delete(opened.recording);
        else {
          this.unread.set(opened.recording, opened.problem);
          this.retryAt.set(opened.recording, now + RETRY_MS);
        }
        if (opened.left_out > 0) this.left.set(opened.recording, opened.left_out);
      }
      this.entries = this.found.all();
      // What was changed here meanwhile is not undone by an older answer.
      this.reviewed = new Set([...this.reviewed, ...page.reviewed.filter((id) => !this.unmarked.has(id))]);
      const why = [...this.unread.values()].at(-1);
      this.unopened = why === undefined ? null : { count: this.unread.size, why };
      this.leftOut = [...this.left.values()].reduce((sum, count) => sum + count, 0);
      this.problem = null;
      return page.more_to;
    } catch (error) {
      this.problem = explain(error);
      return undefined;
    }
  }

  private async page(from: number, to: number): Promise<EventPage> {
    if (this.site === null) return get<EventPage>(`/api/v1/events?from=${Math.floor(from)}&to=${Math.ceil(to)}`);
    const lists: RecordingPage[] = [];
    const left = [...this.site];
    const work = async () => {
      for (let camera = left.pop(); camera; camera = left.pop()) {
        for (let start: number | null = Math.floor(from); start !== null; ) {
          const page: RecordingPage = await get<RecordingPage>(`/api/v1/cameras/${camera}/recordings?rendition=events&from=${start}&to=${Math.ceil(to)}`);
          lists.push(page);
          start = page.more_from !== null && page.more_from > start ? page.more_from : null;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return { recordings: lists.flatMap(({ recordings }) => recordings), more_to: null, reviewed: [] };
  }
}
