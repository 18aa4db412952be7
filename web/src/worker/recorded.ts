// Recorded view of one camera: seek, play, step, speed. One `run` at a time reads chunks from a key frame on and decodes ahead by a few
// frames; a reel shows them when their time has come. A new seek ends the run before it, and so does turning back.

import { explain } from '../lib/api/client';
import type { Rendition } from '../lib/api/types';
import { openChunk } from '../lib/seal/chunk';
import { Backward } from './backward';
import { Catalogue, type OpenRecording } from './catalogue';
import { type Clock, mediaAt, wallNow } from './clock';
import type { Keyring } from './keyring';
import type { PlayerEvent } from './protocol';
import { GAP_MS, KEY_FRAMES_ABOVE, type Pace, Reel } from './reel';
import { Decoder, type Frame, type Screen, UnsupportedCodec } from './screen';
import { SoundDecoder } from './sound';

const AHEAD_MAX = 6;
const SPEED_MAX = 16;
const SPEED_MIN = 0.25;
/** Who begins beside others that play aims so far ahead of them, and farther each time that this was not enough. */
const LEAD_MS = 250;
const LEAD_MS_MAX = 4000;
/** A lead that was enough for so long may be shorter the next time. */
const SETTLED_MS = 10_000;

export class RecordedView {
  private readonly catalogue: Catalogue;
  /** While somebody drags, the small stream shows where they are: it comes and decodes sooner. Null where it is shown anyway. */
  private readonly previews: Catalogue | null;
  private run: Run | Backward | null = null;
  private playing = false;
  private speed = 1;
  private closed = false;
  private clock: Clock | null = null;
  private lead = LEAD_MS;
  private begun = 0;

  constructor(
    camera: string,
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
    this.start({ target: at, mode: preview ? 'key' : play ? this.way : 'at' });
  }

  /** Beside other cameras, at their time. */
  follow(clock: Clock, anew: boolean, preview: boolean): void {
    this.clock = clock;
    this.playing = clock.playing;
    this.speed = clock.speed;
    if (!anew) return this.run?.resume();
    this.lead = LEAD_MS;
    if (preview) this.start({ target: clock.media, mode: 'key' });
    else this.join();
  }

  /** Begins where the others are, or will be when there is a picture. */
  private join(): void {
    this.begun = wallNow();
    this.start({ target: mediaAt(this.clock!, this.begun + this.lead), mode: 'due' });
  }

  private behind(): void {
    this.lead = wallNow() - this.begun > SETTLED_MS ? LEAD_MS : Math.min(LEAD_MS_MAX, this.lead * 2);
    this.join();
  }

  play(): void {
    this.playing = true;
    if (this.run && !this.run.over && this.run.goesBack === this.speed < 0) {
      this.run.resume();
      this.state('playing');
    } else {
      const at = this.screen.at ?? Date.now();
      this.start({ target: this.speed < 0 ? at - 0.5 : at + 1, mode: this.way });
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
    if (this.run?.goesBack === by < 0 && this.run.showNext()) return;
    const at = this.screen.at ?? Date.now();
    // Going back, the pictures before it are decoded with it: the next steps find them.
    this.start(by === 1 ? { target: at + 0.5, mode: 'at' } : { target: at - 0.5, mode: 'back' });
  }

  setSpeed(speed: number): void {
    const turns = speed < 0 !== this.speed < 0;
    this.speed = Math.sign(speed) * Math.min(SPEED_MAX, Math.max(SPEED_MIN, Math.abs(speed)));
    if (turns && this.playing) this.play();
    else this.run?.resume();
  }

  setAudio(on: boolean): void {
    this.audioOn = on;
  }

  close(): void {
    this.closed = true;
    this.run?.stop();
  }

  private get way(): 'at' | 'back' {
    return this.speed < 0 ? 'back' : 'at';
  }

  private start({ target, mode }: { target: number; mode: Goal['mode'] | 'back' }): void {
    this.run?.stop();
    this.state('seeking');
    const around: Surroundings = {
      catalogue: this.catalogue,
      previews: mode === 'key' ? this.previews : null,
      screen: this.screen,
      emit: (event) => this.run === run && !this.closed && this.emit(event),
      playing: () => this.playing && this.run === run,
      // Who steps wants to see each picture.
      speed: () => (this.playing ? this.speed : 1),
      together: () => this.clock,
      behind: () => this.run === run && this.behind(),
      audio: () => this.audioOn && this.speed === 1 && this.playing,
      shown: () => this.run === run && this.state(this.playing ? 'playing' : 'paused'),
      fail(error) {
        if (error instanceof UnsupportedCodec) this.emit({ type: 'unsupported', codec: error.codec, rendition: this.catalogue.rendition });
        else this.emit({ type: 'error', message: explain(error) });
      },
    };
    const run: Run | Backward = mode === 'back' ? new Backward(target, around) : new Run({ target, mode }, around);
    this.run = run;
    void run.go();
  }

  private state(state: 'playing' | 'paused' | 'seeking'): void {
    if (!this.closed) this.emit({ type: 'state', state, note: null });
  }
}

/** `at`: the first picture at or after the target. `key`: the key frame before it, for scrubbing. `due`: what is to be seen at that time,
 * and nothing where nothing is recorded then. `at` and `due` go on from there. */
interface Goal {
  target: number;
  mode: 'at' | 'key' | 'due';
}

export interface Surroundings extends Pace {
  catalogue: Catalogue;
  previews: Catalogue | null;
  screen: Screen;
  emit: (event: PlayerEvent) => void;
  audio: () => boolean;
  shown: () => void;
  fail: (error: unknown) => void;
}

class Run {
  over = false;
  readonly goesBack = false;
  private readonly reel: Reel;
  private readonly abort = new AbortController();
  private decoder: Decoder | null = null;
  private sound: SoundDecoder | null = null;
  private found = false;
  /** The newest picture before the target, which may be due. */
  private candidate: Frame | null = null;

  constructor(
    private readonly goal: Goal,
    private readonly around: Surroundings,
  ) {
    this.reel = new Reel(around.screen, around);
  }

  hold = (): void => this.reel.hold();
  resume = (): void => this.reel.resume();
  showNext = (): boolean => this.reel.showNext();

  async go(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (!this.abort.signal.aborted) this.around.fail(error);
    } finally {
      this.over = true;
      this.closeDecoders();
    }
  }

  stop(): void {
    this.over = true;
    this.abort.abort();
    this.reel.close();
    this.candidate?.frame.close();
    this.candidate = null;
    this.closeDecoders();
  }

  private async read(): Promise<void> {
    const { catalogue, emit } = this.around;
    const { target, mode } = this.goal;
    if (await this.preview()) return;
    const together = this.around.together() !== null;
    const goesOn = mode === 'at' || mode === 'due';
    let listing = await catalogue.at(target);
    if (this.abort.signal.aborted) return;
    if (!listing) {
      if (together) emit({ type: 'nothing', from: target, to: null });
      else emit({ type: 'state', state: 'ended', note: 'There is no recording at or after this time yet.' });
      return;
    }
    let position = Math.max(target, listing.started_at);
    // Another moment than the one that was asked for is never shown without a word.
    if (position - target > GAP_MS && together) {
      emit({ type: 'nothing', from: target, to: position });
      if (!goesOn) return;
    } else if (mode === 'at' && position - target > GAP_MS) {
      emit({ type: 'skipped_gap', from: target, to: position });
    }
    while (listing && !this.abort.signal.aborted) {
      // As it is listed now: it may have been forwarded since it was opened.
      const opened: OpenRecording = { ...(await catalogue.openAt(listing)), listing };
      if (this.abort.signal.aborted) return;
      await this.readOne(opened, position);
      if (this.abort.signal.aborted || !goesOn) break;
      const end: number = listing.started_at + listing.duration_ms;
      const next = await catalogue.at(end + 1);
      if (this.abort.signal.aborted) return;
      if (!next || next.id === listing.id || next.started_at < listing.started_at) {
        if (together) emit({ type: 'nothing', from: end, to: null });
        break;
      }
      const isGap = next.started_at - end > GAP_MS;
      if (together) {
        // Others go on meanwhile: what is next is opened while the last pictures are shown.
        if (isGap) emit({ type: 'nothing', from: end, to: next.started_at });
      } else {
        await this.reel.room(0);
        if (isGap) {
          emit({ type: 'skipped_gap', from: end, to: next.started_at });
          this.reel.clock = null;
        }
      }
      listing = next;
      position = next.started_at;
    }
    if (this.abort.signal.aborted) return;
    await this.reel.room(0);
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
      const plain = await openChunk(recording.read, keys, chunk);
      if (plain === null) continue;
      await decoder.roomy();
      await this.reel.room(AHEAD_MAX - 1);
      if (this.abort.signal.aborted) return;
      // Fast forward shows key frames alone: reading is the same, decoding is not.
      if (this.around.speed() > KEY_FRAMES_ABOVE && this.found && !chunk.keyFrame) {
        decoder.skipToKeyFrame();
        continue;
      }
      const taken = decoder.decode(chunk, plain);
      if (this.goal.mode === 'key' && taken) break;
    }
    await decoder.flush();
    if (this.candidate && !this.found) this.first(this.candidate);
    this.candidate = null;
  }

  private take(frame: Frame): void {
    if (this.abort.signal.aborted) return frame.frame.close();
    const { mode, target } = this.goal;
    if (this.found) {
      this.reel.push(frame);
    } else if (mode === 'key') {
      this.first(frame);
    } else if (mode === 'at') {
      if (frame.at >= target) this.first(frame);
      else frame.frame.close();
    } else if (frame.at > target) {
      this.due(frame);
    } else {
      this.candidate?.frame.close();
      this.candidate = frame;
    }
  }

  /** It is known now which picture belongs to the target: the one before this. */
  private due(next: Frame): void {
    const shown = this.candidate;
    this.candidate = null;
    this.found = true;
    if (shown && this.around.playing()) this.reel.push({ ...shown, until: this.goal.target });
    else if (shown) this.around.screen.show(shown);
    this.around.shown();
    this.reel.push(next);
  }

  private first(frame: Frame): void {
    this.found = true;
    this.candidate = null;
    this.around.screen.show(frame);
    this.around.shown();
    this.reel.resume();
  }

  private async playSound(recording: OpenRecording['recording'], keys: OpenRecording['keys'], chunk: Parameters<typeof openChunk>[2]): Promise<void> {
    this.sound ??= await SoundDecoder.create(recording.read.header, ({ sampleRate, channels, at }) => {
      const { clock } = this.reel;
      if (!clock) return;
      const due = performance.timeOrigin + clock.wall + (at - clock.media);
      this.around.emit({ type: 'audio', sample_rate: sampleRate, channels, due });
    });
    if (this.sound?.audioTrack !== chunk.track) return;
    const plain = await openChunk(recording.read, keys, chunk);
    if (plain !== null) this.sound.decode(chunk, plain);
  }

  private closeDecoders(): void {
    this.decoder?.close();
    this.sound?.close();
    this.decoder = this.sound = null;
  }
}
