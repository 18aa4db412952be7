// Recorded view of one camera: seek, play, step, speed. One `run` at a time reads chunks from a key frame on and decodes ahead by a few
// frames; the presenter shows them when their time has come. A new seek ends the run before it.

import { explain } from '../lib/api/client';
import type { Rendition } from '../lib/api/types';
import { openChunk } from '../lib/seal/chunk';
import { Catalogue, type OpenRecording } from './catalogue';
import type { Keyring } from './keyring';
import type { PlayerEvent } from './protocol';
import { Decoder, type Frame, type Screen, UnsupportedCodec } from './screen';
import { SoundDecoder } from './sound';

const AHEAD_MAX = 6;
/** Pauses in the footage shorter than this are frame intervals, not gaps. */
const GAP_MS = 1500;
/** A picture that is this late is left out. */
const LATE_MS = 120;

export class RecordedView {
  private readonly catalogue: Catalogue;
  /** While somebody drags, the small stream shows where they are: it comes and decodes sooner. Null where it is shown anyway. */
  private readonly previews: Catalogue | null;
  private run: Run | null = null;
  private playing = false;
  private speed = 1;
  private closed = false;

  constructor(
    private readonly camera: string,
    rendition: Rendition,
    keyring: Keyring,
    private readonly screen: Screen,
    private readonly emit: (event: PlayerEvent) => void,
    private audioOn: boolean,
  ) {
    this.catalogue = new Catalogue(camera, rendition, keyring);
    this.previews = rendition === 'main' ? new Catalogue(camera, 'sub', keyring) : null;
  }

  seek(at: number, play: boolean, preview: boolean): void {
    this.playing = play;
    this.start({ target: at, mode: preview ? 'key' : 'at' });
  }

  play(): void {
    this.playing = true;
    if (this.run && !this.run.over) {
      this.run.resume();
      this.state('playing');
    } else {
      this.start({ target: (this.screen.at ?? Date.now()) + 1, mode: 'at' });
    }
  }

  pause(): void {
    this.playing = false;
    this.run?.hold();
    this.state('paused');
  }

  step(by: 1 | -1): void {
    this.playing = false;
    this.state('paused');
    if (by === 1 && this.run?.showNext()) return;
    const at = this.screen.at ?? Date.now();
    this.start(by === 1 ? { target: at + 0.5, mode: 'at' } : { target: at - 0.5, mode: 'before' });
  }

  setSpeed(speed: number): void {
    this.speed = Math.min(16, Math.max(0.25, speed));
    this.run?.resume();
  }

  setAudio(on: boolean): void {
    this.audioOn = on;
  }

  close(): void {
    this.closed = true;
    this.run?.stop();
  }

  private start(goal: Goal): void {
    this.run?.stop();
    this.state('seeking');
    const run: Run = new Run(goal, {
      camera: this.camera,
      catalogue: this.catalogue,
      previews: goal.mode === 'key' ? this.previews : null,
      screen: this.screen,
      emit: (event) => this.run === run && !this.closed && this.emit(event),
      playing: () => this.playing && this.run === run,
      speed: () => this.speed,
      audio: () => this.audioOn && this.speed === 1 && this.playing,
      shown: () => this.run === run && this.state(this.playing ? 'playing' : 'paused'),
    });
    this.run = run;
    void run.go();
  }

  private state(state: 'playing' | 'paused' | 'seeking'): void {
    if (!this.closed) this.emit({ type: 'state', state, note: null });
  }
}

/** `at`: the first picture at or after the target. `before`: the last one before it. `key`: the key frame before it, for scrubbing. */
interface Goal {
  target: number;
  mode: 'at' | 'before' | 'key';
}

interface Surroundings {
  camera: string;
  catalogue: Catalogue;
  previews: Catalogue | null;
  screen: Screen;
  emit: (event: PlayerEvent) => void;
  playing: () => boolean;
  speed: () => number;
  audio: () => boolean;
  shown: () => void;
}

class Run {
  over = false;
  private readonly abort = new AbortController();
  private decoder: Decoder | null = null;
  private sound: SoundDecoder | null = null;
  private frames: Frame[] = [];
  private found = false;
  /** The newest picture before the target, for goals that look back. */
  private candidate: Frame | null = null;
  /** Media time `media` is shown at wall time `wall`. */
  private clock: { wall: number; media: number } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private spaceWaiters: (() => void)[] = [];

  constructor(
    private readonly goal: Goal,
    private readonly around: Surroundings,
  ) {}

  async go(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (this.abort.signal.aborted) return;
      if (error instanceof UnsupportedCodec) this.around.emit({ type: 'unsupported', codec: error.codec, rendition: this.around.catalogue.rendition });
      else this.around.emit({ type: 'error', message: explain(error) });
    } finally {
      this.over = true;
      this.closeDecoders();
    }
  }

  stop(): void {
    this.over = true;
    this.abort.abort();
    clearTimeout(this.timer);
    for (const { frame } of this.frames.splice(0)) frame.close();
    this.candidate?.frame.close();
    this.candidate = null;
    this.closeDecoders();
    this.wake();
  }

  hold(): void {
    clearTimeout(this.timer);
    this.clock = null;
  }

  resume(): void {
    this.clock = null;
    this.present();
  }

  /** Steps to a picture that is decoded already. */
  showNext(): boolean {
    this.hold();
    const next = this.frames.shift();
    if (!next) return false;
    this.around.screen.show(next);
    this.wake();
    return true;
  }

  private async read(): Promise<void> {
    const { catalogue, emit } = this.around;
    const { target, mode } = this.goal;
    if (await this.preview()) return;
    let listing = mode === 'before' ? await catalogue.before(target) : await catalogue.at(target);
    if (!listing) {
      emit({ type: 'state', state: 'ended', note: mode === 'before' ? 'There is nothing earlier.' : 'There is no recording at or after this time yet.' });
      return;
    }
    let position = Math.max(target, listing.started_at);
    // Another moment than the one that was asked for is never shown without a word.
    if (mode === 'at' && position - target > GAP_MS) emit({ type: 'skipped_gap', from: target, to: position });
    while (listing && !this.abort.signal.aborted) {
      // As it is listed now: it may have been forwarded since it was opened.
      const opened: OpenRecording = { ...(await catalogue.openAt(listing)), listing };
      if (this.abort.signal.aborted) return;
      await this.readOne(opened, position);
      if (this.abort.signal.aborted || mode !== 'at') break;
      const end = listing.started_at + listing.duration_ms;
      const next = await catalogue.at(end + 1);
      if (!next || next.id === listing.id || next.started_at < listing.started_at) break;
      await this.drained();
      if (next.started_at - end > GAP_MS) {
        emit({ type: 'skipped_gap', from: end, to: next.started_at });
        this.clock = null;
      }
      listing = next;
      position = next.started_at;
    }
    if (this.abort.signal.aborted) return;
    await this.drained();
    if (mode === 'at') emit({ type: 'state', state: 'ended', note: 'This is the end of what is recorded.' });
  }

  /** Whether the small stream has shown it. Whatever keeps it from that, the other one is asked. */
  private async preview(): Promise<boolean> {
    const { previews } = this.around;
    const { target } = this.goal;
    try {
      const listing = await previews?.holding(target);
      if (!previews || !listing) return false;
      await this.readOne({ ...(await previews.openAt(listing)), listing }, target);
    } catch {
      // The large one says what is wrong, if it fails as well.
    }
    return this.found || this.abort.signal.aborted;
  }

  private async readOne({ listing, recording, keys }: OpenRecording, position: number): Promise<void> {
    const { header } = recording.read;
    this.around.emit({ type: 'source', on_site: listing.on_site });
    this.closeDecoders();
    const decoder = await Decoder.create(header, (frame) => this.take(frame));
    this.decoder = decoder;
    const track = header.tracks.find(({ id }) => id === decoder.videoTrack)!;
    const ticks = Math.max(0, Math.floor(((position - header.started_at) * track.timescale) / 1000));
    const from = recording.keyFrameBefore(ticks);
    for await (const chunk of recording.chunks(from, this.abort.signal)) {
      if (this.abort.signal.aborted) return;
      if (chunk.track !== decoder.videoTrack) {
        if (this.around.audio() && this.found) await this.playSound(recording, keys, chunk);
        continue;
      }
      // Looking back: everything after the target in decode order comes too late to matter.
      if (this.goal.mode === 'before' && header.started_at + (chunk.time * 1000) / track.timescale > this.goal.target + 1000) break;
      const plain = await openChunk(recording.read, keys, chunk);
      if (plain === null) continue;
      await decoder.roomy();
      await this.space();
      if (this.abort.signal.aborted) return;
      // Fast forward shows key frames alone: reading is the same, decoding is not.
      if (this.around.speed() > 4 && this.found && !chunk.keyFrame) {
        decoder.skipToKeyFrame();
        continue;
      }
      const taken = decoder.decode(chunk, plain);
      if (this.goal.mode === 'key' && taken) break;
    }
    await decoder.flush();
    if (this.candidate && !this.found && this.goal.mode !== 'at') this.first(this.candidate);
    this.candidate = null;
  }

  private take(frame: Frame): void {
    if (this.abort.signal.aborted) return frame.frame.close();
    const { mode, target } = this.goal;
    if (this.found) {
      this.frames.push(frame);
      this.present();
    } else if (mode === 'key') {
      this.first(frame);
    } else if (mode === 'at') {
      if (frame.at >= target) this.first(frame);
      else frame.frame.close();
    } else if (frame.at < target) {
      this.candidate?.frame.close();
      this.candidate = frame;
    } else {
      frame.frame.close();
    }
  }

  private first(frame: Frame): void {
    this.found = true;
    this.candidate = null;
    this.around.screen.show(frame);
    this.around.shown();
    this.clock = null;
    this.present();
  }

  /** Shows what is due, and sets the timer for what comes. */
  private present(): void {
    clearTimeout(this.timer);
    if (!this.around.playing() || !this.found) return;
    for (let next = this.frames[0]; next; next = this.frames[0]) {
      const now = performance.now();
      this.clock ??= { wall: now, media: next.at };
      const due = this.clock.wall + (next.at - this.clock.media) / this.around.speed();
      if (due > now + 2) {
        this.timer = setTimeout(() => this.present(), Math.min(due - now, 1000));
        return;
      }
      this.frames.shift();
      this.wake();
      if (now - due > LATE_MS) {
        // Behind: either leave this picture out, or, if there is no other, let the clock wait for us.
        this.clock = null;
        if (this.frames.length > 0) {
          next.frame.close();
          continue;
        }
      }
      this.around.screen.show(next);
    }
  }

  private async playSound(recording: OpenRecording['recording'], keys: OpenRecording['keys'], chunk: Parameters<typeof openChunk>[2]): Promise<void> {
    this.sound ??= await SoundDecoder.create(recording.read.header, ({ sampleRate, channels, at }) => {
      const { clock } = this;
      if (!clock) return;
      const due = performance.timeOrigin + clock.wall + (at - clock.media);
      this.around.emit({ type: 'audio', sample_rate: sampleRate, channels, due });
    });
    if (this.sound?.audioTrack !== chunk.track) return;
    const plain = await openChunk(recording.read, keys, chunk);
    if (plain !== null) this.sound.decode(chunk, plain);
  }

  private async space(): Promise<void> {
    while (this.frames.length >= AHEAD_MAX && !this.abort.signal.aborted) await this.woken();
  }

  private async drained(): Promise<void> {
    while (this.frames.length > 0 && !this.abort.signal.aborted) await this.woken();
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => this.spaceWaiters.push(resolve));
  }

  private wake(): void {
    for (const resume of this.spaceWaiters.splice(0)) resume();
  }

  private closeDecoders(): void {
    this.decoder?.close();
    this.sound?.close();
    this.decoder = this.sound = null;
  }
}
