// Finds the recording of a camera at a time, and opens it by byte ranges. Keeps the few that were used last.

import { ask as askServer, get } from '../lib/api/client';
import { ApiError, failure } from '../lib/api/errors';
import type { RecordingListing, RecordingPage, Rendition, Timeline } from '../lib/api/types';
import { locale } from '../lib/say';
import { refuse } from '../lib/seal/bytes';
import type { RecordingKeys } from '../lib/seal/header';
import { memorySource, Recording, type Source } from '../lib/seal/reader';
import type { Keyring } from './keyring';

/** Recordings are closed after a minute; this looks back far enough to find one that began before the wanted time. */
const LOOK_BACK_MS = 3 * 60_000;
const LOOK_AHEAD_MS = 30 * 60_000;
const OPEN_MAX = 4;
const WINDOW_LIFE_MS = 20_000;
/** The longest stretch that the server adds up, in its most parts. */
const SUMMED_MS_MAX = 400 * 86_400_000;
const PARTS = 1000;

export interface OpenRecording {
  listing: RecordingListing;
  recording: Recording;
  keys: RecordingKeys;
}

interface Window_ {
  from: number;
  to: number;
  fetchedAt: number;
  recordings: RecordingListing[];
}

export class Catalogue {
  private window: Window_ | null = null;
  private readonly open = new Map<string, Promise<OpenRecording>>();

  constructor(
    private readonly camera: string,
    readonly rendition: Rendition,
    private readonly keyring: Keyring,
  ) {}

  /** The recording that holds this time, or else the next one after it. */
  async at(time: number): Promise<RecordingListing | null> {
    const found = pick(await this.around(time), time);
    if (found) return found;
    // A long gap: ask from here to now.
    const { recordings } = await this.fetch(time - LOOK_BACK_MS, Date.now() + 60_000);
    return pick(recordings, time);
  }

  /** The recording that holds this time. */
  async holding(time: number): Promise<RecordingListing | null> {
    const found = pick(await this.around(time), time);
    return found && found.started_at <= time ? found : null;
  }

  /** The last recording that began before this time, if that is not long ago. */
  async before(time: number): Promise<RecordingListing | null> {
    return lastOf(await this.around(time, LOOK_AHEAD_MS, LOOK_BACK_MS), time);
  }

  /** The same, however long ago: the server says in which part of the time before there was one. */
  async last(time: number): Promise<RecordingListing | null> {
    const found = await this.before(time);
    if (found) return found;
    for (let [from, to] = [time - SUMMED_MS_MAX, time]; ; ) {
      const { part_ms, parts } = await this.sum(from, to);
      const part = parts.findLast(({ recorded_ms }) => recorded_ms > 0);
      if (!part) return null;
      to = Math.min(to, from + (part.part + 1) * part_ms);
      from += part.part * part_ms;
      // It began before the part that says so, perhaps.
      if (part_ms <= LOOK_AHEAD_MS) return lastOf((await this.fetch(from - LOOK_BACK_MS, to)).recordings, time);
    }
  }

  async openAt(listing: RecordingListing): Promise<OpenRecording> {
    let found = this.open.get(listing.id);
    if (!found) {
      found = this.load(listing);
      found.catch(() => this.open.delete(listing.id));
      this.open.set(listing.id, found);
      if (this.open.size > OPEN_MAX) this.open.delete(this.open.keys().next().value!);
    }
    return found;
  }

  private async load(listing: RecordingListing): Promise<OpenRecording> {
    const recording = await Recording.open(httpSource(listing), (id) => this.keyring.gateway(id));
    if (recording.id !== listing.id) refuse('the server sent another recording than the one asked for');
    return { listing, recording, keys: await this.keyring.keysOf(recording.read, this.camera) };
  }

  private async around(time: number, back = LOOK_BACK_MS, ahead = LOOK_AHEAD_MS): Promise<RecordingListing[]> {
    const known = this.window;
    const fresh = known && (known.to < Date.now() - 2 * LOOK_BACK_MS || Date.now() - known.fetchedAt < WINDOW_LIFE_MS);
    if (known && fresh && known.from + LOOK_BACK_MS <= time && time + LOOK_BACK_MS <= known.to) return known.recordings;
    const [from, to] = [time - back, time + ahead];
    const { recordings } = await this.fetch(from, to);
    this.window = { from, to, fetchedAt: Date.now(), recordings };
    return recordings;
  }

  private sum(from: number, to: number): Promise<Timeline> {
    return get<Timeline>(`/api/v1/cameras/${this.camera}/timeline?from=${Math.max(0, Math.floor(from))}&to=${Math.ceil(to)}&parts=${PARTS}&rendition=${this.rendition}`);
  }

  private fetch(from: number, to: number): Promise<RecordingPage> {
    return get<RecordingPage>(`/api/v1/cameras/${this.camera}/recordings?from=${Math.max(0, Math.floor(from))}&to=${Math.floor(to)}&rendition=${this.rendition}`);
  }
}

function pick(recordings: RecordingListing[], time: number): RecordingListing | null {
  return recordings.find((entry) => entry.available && entry.started_at + entry.duration_ms > time) ?? null;
}

function lastOf(recordings: RecordingListing[], time: number): RecordingListing | null {
  return recordings.findLast((entry) => entry.available && entry.started_at < time) ?? null;
}

/** All of a small recording, in one request. */
export async function wholeSource(listing: RecordingListing): Promise<Source> {
  return memorySource(new Uint8Array(await httpSource(listing).range(0, listing.bytes)));
}

export function httpSource(listing: RecordingListing): Source {
  // With the camera, so that it is found also where its gateway has it alone.
  const path = `/api/v1/recordings/${listing.id}?camera=${listing.camera}`;
  return {
    size: listing.bytes,
    async range(from, to) {
      const response = await ask(path, from, to);
      return new Uint8Array(await response.arrayBuffer());
    },
    async *stream(from, to, signal) {
      if (from >= to) return;
      const response = await ask(path, from, to, signal);
      const reader = response.body!.getReader();
      try {
        let left = to - from;
        while (left > 0) {
          const { done, value } = await reader.read().catch((error: unknown) => {
            if (signal?.aborted) throw error;
            throw brokenOff(listing);
          });
          if (done) return;
          yield value.subarray(0, left);
          left -= value.length;
        }
      } finally {
        void reader.cancel().catch(() => undefined);
      }
    },
  };
}

function brokenOff({ on_site, started_at }: RecordingListing): ApiError {
  const where = on_site ? 'is on the gateway alone, and the way there broke off' : 'broke off on its way here';
  return new ApiError(0, 'broken_off', `The recording that began at ${new Date(started_at).toLocaleTimeString(locale())} ${where}.`, 'Play it again in a moment.');
}

async function ask(path: string, from: number, to: number, signal: AbortSignal | null = null): Promise<Response> {
  const response = await askServer(path, { headers: { range: `bytes=${from}-${to - 1}` }, signal });
  // A server that ignores ranges answers 200 with everything; only the part asked for is of use.
  if (response.status === 206) return response;
  // A gateway that is away, or lets wait: the server says so in words.
  if (response.status >= 500) throw failure(response.status, await response.text());
  void response.body?.cancel();
  throw new ApiError(response.status, 'recording', response.status === 404 ? 'This recording is no longer there.' : `The server answered ${response.status} instead of a part of the recording.`, 'Load the page again.');
}
