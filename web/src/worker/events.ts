// Opens recordings of events. They are small, so each comes in one piece; and since lists are asked for again and again, what was opened
// stays until this device is locked.

import { explain } from '../lib/api/client';
import type { RecordingListing } from '../lib/api/types';
import { refuse } from '../lib/seal/bytes';
import { openChunk } from '../lib/seal/chunk';
import { type CameraEvent, readEventBatch } from '../lib/seal/event';
import { Recording } from '../lib/seal/reader';
import { wholeSource } from './catalogue';
import type { Keyring } from './keyring';

/** Recordings that stay opened. */
const KEPT_MAX = 10_000;
const AT_ONCE = 8;
/** Far above what a minute of events takes. */
const BYTES_MAX = 4 * 1024 * 1024;

export interface OpenedEvents {
  recording: string;
  camera: string;
  events: CameraEvent[];
  /** Events that the gateway did not keep, since the camera told too many. */
  left_out: number;
  /** Why it does not open. */
  problem: string | null;
}

export class EventReader {
  private opened = new Map<string, OpenedEvents>();

  constructor(private readonly keyring: Keyring) {}

  async read(listings: RecordingListing[]): Promise<OpenedEvents[]> {
    const found: OpenedEvents[] = [];
    const left = [...listings];
    const opened = this.opened;
    const work = async () => {
      for (let next = left.pop(); next; next = left.pop()) {
        const known = opened.get(next.id) ?? (await this.open(next));
        // What does not open now may open later: a grant can come after the recording.
        if (known.problem === null && opened === this.opened) opened.set(next.id, known);
        found.push(known);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    while (opened.size > KEPT_MAX) opened.delete(opened.keys().next().value!);
    return found;
  }

  forget(): void {
    this.opened = new Map();
  }

  private async open(listing: RecordingListing): Promise<OpenedEvents> {
    const result: OpenedEvents = { recording: listing.id, camera: listing.camera, events: [], left_out: 0, problem: null };
    try {
      if (listing.bytes > BYTES_MAX) refuse(`a recording of events of ${listing.bytes} bytes`);
      const recording = await Recording.open(await wholeSource(listing), (id) => this.keyring.gateway(id));
      if (recording.id !== listing.id || recording.read.header.rendition !== 'events') refuse('the server sent another recording than the one asked for');
      const [track, ...others] = recording.read.header.tracks;
      if (track?.codec !== 'events.v1' || others.length > 0) refuse('events in a form that this version of the app does not read. Load the page again');
      const keys = await this.keyring.keysOf(recording.read, listing.camera);
      await recording.verify(keys);
      for await (const chunk of recording.chunks({ offset: recording.read.length, chunk: 0, time: 0 })) {
        const batch = readEventBatch((await openChunk(recording.read, keys, chunk))!);
        result.events.push(...batch.events);
        result.left_out += batch.left_out;
      }
    } catch (error) {
      result.problem = explain(error);
    }
    return result;
  }
}
