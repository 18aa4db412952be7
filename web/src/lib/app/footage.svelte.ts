// What is recorded of one camera in the part of time that is shown. Grows as the person looks around; asks again for the newest part.

import { get } from '../api/client';
import type { Gap, RecordingListing, RecordingPage, Rendition } from '../api/types';
import { coverage, missing, type Span } from './timeline';

const PAGES_MAX = 10;
const RECORDINGS_MAX = 20_000;

export class Footage {
  private recordings = new Map<string, RecordingListing>();
  private gaps = new Map<string, Gap>();
  spans: Span[] = $state.raw([]);
  holes: ReturnType<typeof missing> = $state.raw([]);
  loaded = $state(false);
  /** The gateway did not say what it has and has not forwarded. */
  siteUnreachable = $state(false);

  constructor(
    private readonly camera: string,
    private readonly rendition: Rendition,
  ) {}

  async look({ from, to }: Span): Promise<void> {
    let unreachable = false;
    let start: number | null = Math.max(0, Math.floor(from));
    for (let page = 0; page < PAGES_MAX && start !== null; page += 1) {
      const found: RecordingPage = await get<RecordingPage>(`/api/v1/cameras/${this.camera}/recordings?from=${start}&to=${Math.ceil(to)}&rendition=${this.rendition}`);
      if (this.recordings.size > RECORDINGS_MAX) this.recordings = new Map();
      for (const recording of found.recordings) this.recordings.set(recording.id, recording);
      unreachable ||= found.site_unreachable;
      for (const gap of found.gaps) this.gaps.set(`${gap.from}`, gap);
      start = found.more_from !== null && found.more_from > start ? found.more_from : null;
    }
    this.spans = coverage(this.recordings.values());
    this.holes = missing(this.spans, [...this.gaps.values()]);
    this.siteUnreachable = unreachable;
    this.loaded = true;
  }
}
