// What one camera told in the part of time that is shown. Of more than a day it is not asked: the page of all events is there for that.

import { get } from '../api/client';
import type { RecordingPage } from '../api/types';
import { goesOn, type Happening, Happenings } from './happenings';
import { call } from './keeper';
import type { Span } from './timeline';

const SHOWN_MS_MAX = 25 * 3_600_000;
/** An event that began so long before may still go on. */
const BEFORE_MS = 11 * 60_000;
const PAGES_MAX = 3;

export class CameraEvents {
  private readonly found = new Happenings();
  private turn = 0;
  /** The newest first; those of the view, and others that were seen before. */
  entries: Happening[] = $state.raw([]);

  constructor(private readonly camera: string) {}

  async look({ from, to }: Span): Promise<void> {
    if (to - from > SHOWN_MS_MAX) return;
    const turn = (this.turn += 1);
    let start: number | null = Math.max(0, Math.floor(from - BEFORE_MS));
    for (let page = 0; page < PAGES_MAX && start !== null && turn === this.turn; page += 1) {
      const { recordings, more_from }: RecordingPage = await get<RecordingPage>(`/api/v1/cameras/${this.camera}/recordings?rendition=events&from=${start}&to=${Math.ceil(to)}`);
      const unknown = recordings.filter(({ id }) => !this.found.has(id));
      for (const opened of unknown.length === 0 ? [] : await call('events', unknown)) this.found.take(opened);
      start = more_from !== null && more_from > start ? more_from : null;
    }
    this.entries = this.found.all();
  }

  /** Those that reach into a view, with the end of what goes on. */
  within({ from, to }: Span, now: number): (Happening & { until: number })[] {
    if (to - from > SHOWN_MS_MAX) return [];
    return this.entries.map((event) => ({ ...event, until: event.to ?? (goesOn(event, now) ? now : event.from) })).filter((event) => event.from < to && event.until >= from);
  }
}
