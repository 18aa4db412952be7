// A film as fragmented MP4 (ISO/IEC 14496-12 section 8.8): samples in, bytes out, one `moof` and `mdat` for each group of pictures. Holds
// one fragment in memory, whatever the length of the film. Time that has no samples becomes a long sample before it, so that what follows
// stands where it belongs. Decodes nothing and encodes nothing again.

import { type Bytes, concat, refuse, u32, utf8 } from '../seal/bytes';
import type { Track } from '../seal/header';
import { box, codecOf, fileHead, fullBox, type Head, MOVIE_TIMESCALE, u64 } from './boxes';

/** A fragment ends at a key frame, or when it holds this much. */
const FRAGMENT_BYTES_MAX = 8 * 1024 * 1024;
const FRAGMENT_SAMPLES_MAX = 8192;
/** Section 8.8.3.1: depends on no other sample, or on others and is no sync sample. */
const SYNC = 0x0200_0000;
const NOT_SYNC = 0x0101_0000;
/** For each sample: duration, size, flags, and offset of its presentation; and where the data begins (section 8.8.8). */
const RUN_FLAGS = 0x000f01;
const BASE_IS_MOOF = 0x020000;
const U32_MAX = 0xffff_ffff;

export interface Sample {
  track: number;
  /** Decode time in ticks since the film began; does not decrease within a track. */
  time: number;
  presentationDelta: number;
  keyFrame: boolean;
  data: Bytes;
}

/** What a film is written to. `patch` overwrites what was written before. */
export interface Output {
  write(bytes: Bytes): Promise<void>;
  patch(at: number, bytes: Bytes): Promise<void>;
}

interface Waiting {
  track: Track;
  number: number;
  /** Waits for the next one, which says how long it lasts. */
  held: Sample | null;
  /** Of the sample before, for the last one of all. */
  duration: number;
  /** Decode time of the first sample of the fragment. */
  from: number;
  entries: Bytes[];
  data: Bytes[];
}

export class Film {
  private readonly head: Head;
  private readonly tracks: Waiting[];
  private sequence = 0;
  private bytes = 0;
  private samples = 0;
  private end = 0;

  private constructor(
    private readonly out: Output,
    tracks: readonly Track[],
    startedAt: number,
  ) {
    this.head = fileHead(tracks, startedAt);
    this.tracks = tracks.map((track, i) => ({ track, number: i + 1, held: null, duration: 0, from: 0, entries: [], data: [] }));
  }

  /** `startedAt` is the wall time of tick 0. */
  static async begin(out: Output, tracks: readonly Track[], startedAt: number): Promise<Film> {
    const film = new Film(out, tracks, startedAt);
    await out.write(film.head.bytes);
    return film;
  }

  async add(sample: Sample): Promise<void> {
    const waiting = this.tracks.find(({ track }) => track.id === sample.track) ?? refuse(`the film has no track ${sample.track}`);
    const before = waiting.held;
    waiting.held = sample;
    if (!before) return;
    if (sample.time < before.time) refuse('a sample that goes back in time');
    waiting.duration = Math.min(sample.time - before.time, U32_MAX);
    await this.push(waiting, before, waiting.duration);
  }

  /** Not optional: without it the end is missing. Says how long the film is, in milliseconds. */
  async finish(): Promise<number> {
    for (const waiting of this.tracks) {
      const last = waiting.held;
      waiting.held = null;
      if (last) await this.push(waiting, last, lastDuration(waiting, last));
    }
    await this.flush();
    const length = Math.round(this.end * MOVIE_TIMESCALE);
    await this.out.patch(this.head.durationAt, u64(length));
    return length;
  }

  private async push(waiting: Waiting, sample: Sample, duration: number): Promise<void> {
    const isVideo = waiting.track.kind === 'video';
    const isFull = this.bytes + sample.data.length > FRAGMENT_BYTES_MAX || this.samples >= FRAGMENT_SAMPLES_MAX;
    if (isFull || (isVideo && sample.keyFrame && waiting.entries.length > 0)) await this.flush();
    if (waiting.entries.length === 0) waiting.from = sample.time;
    waiting.entries.push(concat(u32(duration), u32(sample.data.length), u32(isVideo && !sample.keyFrame ? NOT_SYNC : SYNC), u32(sample.presentationDelta >>> 0)));
    waiting.data.push(sample.data);
    this.bytes += sample.data.length;
    this.samples += 1;
    this.end = Math.max(this.end, (sample.time + duration) / waiting.track.timescale);
  }

  private async flush(): Promise<void> {
    if (this.samples === 0) return;
    this.sequence += 1;
    const runs = this.tracks.filter(({ entries }) => entries.length > 0);
    // Offsets count from the start of the `moof`, whose length does not depend on their values.
    const { length } = this.moof(runs, 0);
    await this.out.write(concat(this.moof(runs, length + 8), u32(this.bytes + 8), utf8('mdat'), ...runs.flatMap(({ data }) => data)));
    for (const run of runs) [run.entries, run.data] = [[], []];
    this.bytes = this.samples = 0;
  }

  private moof(runs: readonly Waiting[], dataAt: number): Bytes {
    let offset = dataAt;
    const parts = runs.map(({ number, from, entries, data }) => {
      const run = fullBox('trun', 1, RUN_FLAGS, u32(entries.length), u32(offset), ...entries);
      offset += data.reduce((sum, { length }) => sum + length, 0);
      return box('traf', fullBox('tfhd', 0, BASE_IS_MOOF, u32(number)), fullBox('tfdt', 1, 0, u64(from)), run);
    });
    return box('moof', fullBox('mfhd', 0, 0, u32(this.sequence)), ...parts);
  }
}

function lastDuration({ track, duration }: Waiting, { data }: Sample): number {
  if (track.kind === 'audio') return frameTicks(track, data.length);
  // A film of one picture shows it for a fifteenth of a second.
  return duration === 0 ? Math.floor(track.timescale / 15) : duration;
}

/** docs/format.md section 5: an AAC frame has 1 024 samples, G.711 one for each byte and channel. */
export function frameTicks(track: Track, length: number): number {
  return codecOf(track) === 'mp4a' ? 1024 : Math.floor(length / Math.max(1, track.channels));
}
