// Recorded pictures backward. A picture is decoded from the key frame before it on, so each group of pictures is decoded forward, and what
// of it is to be shown is kept and shown from its end. A group whose pictures do not fit into memory is decoded again for each part of it.

import type { Bytes } from '../lib/seal/bytes';
import { type Chunk, openChunk } from '../lib/seal/chunk';
import type { KeyFrame } from '../lib/seal/tail';
import type { OpenRecording } from './catalogue';
import { bitmapsThatFit, goingBack, groupsOf, pieces } from './groups';
import type { Surroundings } from './recorded';
import { GAP_MS, KEY_FRAMES_ABOVE, Reel } from './reel';
import { Decoder, type Frame } from './screen';

/** Sealed bytes that are asked for at once, unless one group has more. */
const PIECE_BYTES = 2 * 1024 * 1024;
/** The screen shows no more in a second. */
const PICTURES_A_SECOND = 60;
/** So many are copied out of the decoder at a time: it has few of its own. */
const COPYING_MAX = 3;
/** Cameras do not keep their intervals to the millisecond. */
const LEEWAY = 0.9;

interface Opened {
  chunk: Chunk;
  plain: Bytes;
  at: number;
}

export class Backward {
  over = false;
  readonly goesBack = true;
  private readonly abort = new AbortController();
  private readonly reel: Reel;
  private decoder: Decoder | null = null;
  /** Times of pictures that are to be kept, of those that the decoder puts out. */
  private wanted = new Set<number>();
  private kept: Frame[] = [];
  private copying: Promise<void>[] = [];
  private found = false;
  /** Nothing later is shown any more. */
  private before: number;

  constructor(
    target: number,
    private readonly around: Surroundings,
  ) {
    this.before = target;
    this.reel = new Reel(around.screen, around);
  }

  hold = (): void => this.reel.hold();
  resume = (): void => this.reel.resume();
  showNext = (): boolean => this.reel.showNext();

  stop(): void {
    this.over = true;
    this.abort.abort();
    this.reel.close();
    this.forget();
    this.decoder?.close();
  }

  async go(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (!this.abort.signal.aborted) this.around.fail(error);
    } finally {
      this.over = true;
      this.decoder?.close();
    }
  }

  private async read(): Promise<void> {
    const { catalogue, emit } = this.around;
    let edge = this.before;
    for (;;) {
      const listing = await catalogue.last(Math.min(edge, this.before));
      if (this.abort.signal.aborted) return;
      if (!listing) break;
      const end = listing.started_at + listing.duration_ms;
      if (edge - end > GAP_MS) {
        await this.reel.room(0);
        if (this.abort.signal.aborted) return;
        emit({ type: 'skipped_gap', from: end, to: edge });
        this.reel.clock = null;
      }
      await this.readOne({ ...(await catalogue.openAt(listing)), listing });
      if (this.abort.signal.aborted) return;
      edge = listing.started_at;
    }
    await this.reel.room(0);
    if (!this.abort.signal.aborted) emit({ type: 'state', state: 'ended', note: 'This is the beginning of what is recorded.' });
  }

  private async readOne({ listing, recording, keys }: OpenRecording): Promise<void> {
    const { header } = recording.read;
    this.around.emit({ type: 'source', on_site: listing.on_site });
    this.decoder?.close();
    const decoder = (this.decoder = await Decoder.create(header, (frame) => this.take(frame)));
    const track = header.tracks.find(({ id }) => id === decoder.videoTrack)!;
    const ticks = Math.max(0, ((this.before - header.started_at) * track.timescale) / 1000);
    for (const { from, to } of pieces(recording.keyFrames, recording.end, ticks, PIECE_BYTES)) {
      const chunks = await this.fetched(recording, from, to, decoder.videoTrack);
      for (const group of groupsOf(chunks).reverse()) {
        const opened: Opened[] = [];
        // At speed, key frames alone: reading is the same, decoding is not.
        for (const chunk of Math.abs(this.around.speed()) > KEY_FRAMES_ABOVE ? group.slice(0, 1) : group) {
          const plain = await openChunk(recording.read, keys, chunk);
          if (plain !== null) opened.push({ chunk, plain, at: decoder.at(chunk, plain) });
          if (this.abort.signal.aborted) return;
        }
        await this.show(decoder, opened, bitmapsThatFit(track));
        if (this.abort.signal.aborted) return;
      }
    }
  }

  private async fetched(recording: OpenRecording['recording'], from: KeyFrame, to: number, track: number): Promise<Chunk[]> {
    const found: Chunk[] = [];
    for await (const chunk of recording.chunks(from, this.abort.signal, to)) if (chunk.track === track) found.push(chunk);
    return found;
  }

  /** One group, from its end: as many pictures at a time as may wait. */
  private async show(decoder: Decoder, group: Opened[], most: number): Promise<void> {
    const times = group.map(({ at }) => at);
    for (;;) {
      // What is shown and what is decoded for after it share the memory.
      await this.reel.room(Math.floor(most / 2));
      const apart = (Math.abs(this.around.speed()) * 1000 * LEEWAY) / PICTURES_A_SECOND;
      const next = goingBack(times, this.before, apart, Math.max(1, Math.floor(most / 2)));
      if (next.length === 0 || this.abort.signal.aborted) return;
      this.wanted = new Set(next);
      let left = next.length;
      for (const { chunk, plain, at } of group) {
        await decoder.roomy();
        while (this.copying.length >= COPYING_MAX) await Promise.race(this.copying);
        if (this.abort.signal.aborted) return this.forget();
        if (decoder.decode(chunk, plain) && this.wanted.has(at)) left -= 1;
        if (left === 0) break;
      }
      await decoder.flush();
      await Promise.all(this.copying);
      if (this.abort.signal.aborted) return this.forget();
      this.before = next.at(-1)! - apart;
      this.pass(this.kept.splice(0).sort((a, b) => b.at - a.at));
    }
  }

  private take({ frame, at }: Frame): void {
    if (this.abort.signal.aborted || !this.wanted.has(at)) return frame.close();
    // A decoder has few pictures of its own, and waits until they are given back.
    const copy = createImageBitmap(frame as VideoFrame).then((bitmap) => {
      if (this.abort.signal.aborted) bitmap.close();
      else this.kept.push({ frame: bitmap, at });
    }, () => undefined).finally(() => {
      frame.close();
      this.copying.splice(this.copying.indexOf(copy), 1);
    });
    this.copying.push(copy);
  }

  private pass(frames: Frame[]): void {
    if (!this.found && frames.length > 0) {
      this.found = true;
      this.around.screen.show(frames.shift()!);
      this.around.shown();
    }
    this.reel.push(...frames);
  }

  private forget(): void {
    for (const { frame } of this.kept.splice(0)) frame.close();
  }
}
