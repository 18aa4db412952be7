// What is recorded of one camera in the part of time that is shown. Grows as the person looks around; asks again for the newest part.
// A day is listed, recording by recording; of more the server adds up as much as a screen can show.

import { get } from '../api/client';
import type { Gap, RecordingListing, RecordingPage, Rendition, Timeline } from '../api/types';
import { type Activity, activityOf, activityOfSummary, coverage, joined, missing, type Span, type Summary, summed } from './timeline';

const PAGES_MAX = 10;
const RECORDINGS_MAX = 20_000;
/** Longest window that is listed: a day, and the hour by which one may be longer. */
const LISTED_MS_MAX = 25 * 3_600_000;
/** The server's most. The window lies in the middle half of them. */
const PARTS = 1000;
/** What is older does not change, but by what a gateway forwards late. */
const SETTLED_MS = 600_000;
/** The newest part grows all the time. It is asked for again when it would show, and no later than this. */
const FRESH_MS_MAX = 60_000;
/** Somewhat more than a clock may be ahead of the server's. */
const AHEAD_MS = 60_000;

interface Asked extends Summary {
  to: number;
  gaps: Gap[];
  unreachable: boolean;
  at: number;
}

export class Footage {
  private recordings = new Map<string, RecordingListing>();
  private gaps = new Map<string, Gap>();
  /** What was listed, since between two stretches that were not nobody knows what is missing. */
  private listed: Span[] = [];
  private asked: Asked | null = null;
  private turn = 0;
  /** Of the newest question that was answered: answers to older ones come too late. */
  private shown = 0;
  spans: Span[] = $state.raw([]);
  /** Stretches of which only some was recorded; only where many hours are shown. */
  some: Span[] = $state.raw([]);
  activity: Activity[] = $state.raw([]);
  holes: ReturnType<typeof missing> = $state.raw([]);
  /** Shorter holes than this do not show, where many hours are. */
  shortest = $state(0);
  loaded = $state(false);
  /** The gateway did not say what it has and has not forwarded. */
  siteUnreachable = $state(false);

  constructor(
    private readonly camera: string,
    private readonly rendition: Rendition,
  ) {}

  async look(view: Span): Promise<void> {
    const turn = (this.turn += 1);
    const isNewest = () => turn >= this.shown && ((this.shown = turn), true);
    try {
      const show = view.to - view.from > LISTED_MS_MAX ? await this.summary(view) : await this.list(view);
      if (!isNewest()) return;
      show();
      this.loaded = true;
    } catch (error) {
      // Something newer was answered since.
      if (isNewest()) throw error;
    }
  }

  private async list({ from, to }: Span): Promise<() => void> {
    let unreachable = false;
    let start: number | null = Math.max(0, Math.floor(from));
    for (let page = 0; page < PAGES_MAX && start !== null; page += 1) {
      const found: RecordingPage = await get<RecordingPage>(`${this.path('recordings')}from=${start}&to=${Math.ceil(to)}`);
      if (this.recordings.size > RECORDINGS_MAX) ((this.recordings = new Map()), (this.listed = []));
      for (const recording of found.recordings) this.recordings.set(recording.id, recording);
      unreachable ||= found.site_unreachable;
      for (const gap of found.gaps) this.gaps.set(`${gap.from}`, gap);
      start = found.more_from !== null && found.more_from > start ? found.more_from : null;
    }
    // Not to its end if there was more than fits.
    this.listed = joined([...this.listed, { from, to: start ?? to }].sort((a, b) => a.from - b.from), 0);
    return () => {
      this.spans = coverage(this.recordings.values());
      this.some = [];
      // Of what is shown alone: what is quiet at night may be busy by day.
      this.activity = activityOf([...this.recordings.values()].filter(({ started_at, duration_ms }) => started_at < to && started_at + duration_ms > from));
      this.holes = missing(this.spans, [...this.gaps.values()]).filter((hole) => this.listed.some((known) => known.from <= hole.from && hole.to <= known.to));
      this.shortest = 0;
      this.siteUnreachable = unreachable;
    };
  }

  private async summary(view: Span): Promise<() => void> {
    const length = view.to - view.from;
    const now = Date.now();
    const known = this.asked;
    const covers = known && known.from <= view.from && Math.min(view.to, now) <= known.to + FRESH_MS_MAX && known.part_ms <= (length / PARTS) * 4;
    const isFresh = known && (known.to < known.at - SETTLED_MS ? now - known.at < SETTLED_MS : now - known.at < Math.min(known.part_ms, FRESH_MS_MAX));
    const found = covers && isFresh ? known : await this.sum({ from: view.from - length / 2, to: Math.min(view.to + length / 2, now + AHEAD_MS) });
    return () => {
      this.asked = found;
      const { whole, some } = summed(found);
      this.spans = whole;
      this.some = some;
      this.activity = activityOfSummary(found);
      const any = [...whole, ...some].sort((a, b) => a.from - b.from);
      this.holes = missing(any, found.gaps).filter(({ from, to }) => to > from);
      this.shortest = 2 * found.part_ms;
      this.siteUnreachable = found.unreachable;
    };
  }

  private async sum({ from, to }: Span): Promise<Asked> {
    const start = Math.max(0, Math.floor(from));
    const found = await get<Timeline>(`${this.path('timeline')}from=${start}&to=${Math.ceil(to)}&parts=${PARTS}`);
    return { from: start, to, part_ms: found.part_ms, parts: found.parts, gaps: found.gaps, unreachable: found.site_unreachable, at: Date.now() };
  }

  private path(what: 'recordings' | 'timeline'): string {
    return `/api/v1/cameras/${this.camera}/${what}?rendition=${this.rendition}&`;
  }
}
