// Live view of one camera: WebSocket → chunks → opened → decoded → canvas, all in the Worker.
// Shows each picture as soon as it is decoded. When it cannot keep up it drops to the next key frame; nothing queues without bound.

import { explain } from '../lib/api/client';
import type { Rendition } from '../lib/api/types';
import type { Bytes } from '../lib/seal/bytes';
import { type Chunk, openChunk } from '../lib/seal/chunk';
import type { ReadHeader, RecordingKeys } from '../lib/seal/header';
import { readLiveFrame, readNotice } from '../lib/seal/live';
import type { Keyring } from './keyring';
import type { LiveStats, PlayerEvent } from './protocol';
import { Decoder, type Screen, UnsupportedCodec } from './screen';
import { liveSocket } from './socket';
import { SoundDecoder } from './sound';

const BACKLOG_MAX = 120;
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15_000];
const STATS_EVERY_MS = 1000;
const SAMPLES_MAX = 600;

interface Arrived {
  bytes: Bytes;
  at: number;
}

export class LiveView {
  private socket: WebSocket | null = null;
  private closed = false;
  private attempt = 0;
  /** Why the server ended the stream last, until another begins. */
  private told: string | null = null;
  private backlog: Arrived[] = [];
  private working = false;
  private read: ReadHeader | null = null;
  private keys: RecordingKeys | null = null;
  private decoder: Decoder | null = null;
  private sound: SoundDecoder | null = null;
  private lastNumber = -1;
  private readonly statistics = new Statistics();
  private readonly ticker: ReturnType<typeof setInterval>;
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly camera: string,
    private readonly rendition: Rendition,
    private readonly keyring: Keyring,
    private readonly screen: Screen,
    private readonly emit: (event: PlayerEvent) => void,
    private audioOn: boolean,
  ) {
    this.ticker = setInterval(() => this.emit({ type: 'stats', stats: this.statistics.read() }), STATS_EVERY_MS);
    void this.connect();
  }

  setAudio(on: boolean): void {
    this.audioOn = on;
  }

  close(): void {
    this.closed = true;
    clearInterval(this.ticker);
    clearTimeout(this.retry);
    this.socket?.close();
    this.stopDecoding();
    this.backlog = [];
  }

  private async connect(): Promise<void> {
    this.emit({ type: 'state', state: 'connecting', note: this.told });
    const socket = await liveSocket(this.camera, this.rendition).catch((error: unknown) => this.reconnect(explain(error)));
    if (!socket) return;
    if (this.closed) return socket.close();
    socket.onmessage = ({ data }) => (typeof data === 'string' ? this.notice(data) : this.arrive({ bytes: new Uint8Array(data as ArrayBuffer), at: performance.now() }));
    socket.onclose = () => this.reconnect(this.told ?? 'The live stream ended.');
    this.socket = socket;
  }

  private reconnect(note: string): void {
    if (this.closed) return;
    this.socket = null;
    this.stopDecoding();
    const wait = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)]!;
    this.attempt += 1;
    this.emit({ type: 'state', state: 'connecting', note: `${note} Trying again.` });
    this.retry = setTimeout(() => void this.connect(), wait * (0.75 + Math.random() / 2));
  }

  private notice(json: string): void {
    try {
      const notice = readNotice(json);
      if (notice?.type === 'waiting') this.emit({ type: 'state', state: 'waiting', note: 'Waiting for the camera.' });
      if (notice?.type === 'ended') {
        this.told = `The stream ended: ${notice.reason}.`;
        this.emit({ type: 'state', state: 'waiting', note: this.told });
      }
      if (notice?.type === 'skipped') this.skip(notice.chunks);
    } catch (error) {
      this.fail(error);
    }
  }

  private arrive(arrived: Arrived): void {
    this.backlog.push(arrived);
    if (this.backlog.length > BACKLOG_MAX) this.dropBacklog();
    if (!this.working) void this.work();
  }

  /** Keeps headers, because what follows is sealed under them. */
  private dropBacklog(): void {
    const kept = this.backlog.filter(({ bytes }) => bytes[0] === 1);
    this.skip(this.backlog.length - kept.length);
    this.backlog = kept;
  }

  private skip(chunks: number): void {
    this.statistics.skipped += chunks;
    this.decoder?.skipToKeyFrame();
  }

  private async work(): Promise<void> {
    this.working = true;
    try {
      for (let next = this.backlog.shift(); next && !this.closed; next = this.backlog.shift()) {
        const frame = await readLiveFrame(next.bytes);
        if (frame.kind === 'header') await this.begin(frame.read);
        else await this.take(frame.chunk, next.at);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.working = false;
    }
  }

  private async begin(read: ReadHeader): Promise<void> {
    this.told = null;
    // The last pictures of the recording before are still in the decoder.
    await this.decoder?.flush();
    this.stopDecoding();
    const keys = await this.keyring.keysOf(read, this.camera);
    if (read.header.rendition !== this.rendition) throw new Error('the server sent another stream than the one asked for');
    const decoder = await Decoder.create(read.header, (frame) => {
      if (this.closed) return frame.frame.close();
      this.statistics.pictured();
      this.screen.show(frame);
    });
    this.read = read;
    this.keys = keys;
    this.decoder = decoder;
    this.lastNumber = -1;
    this.attempt = 0;
    this.sound = keys.audio ? await SoundDecoder.create(read.header, (sound) => this.hear(sound.sampleRate, sound.channels)) : null;
    this.emit({ type: 'sound', available: this.sound !== null });
    this.emit({ type: 'state', state: 'playing', note: null });
  }

  private async take(chunk: Chunk, arrivedAt: number): Promise<void> {
    const { read, keys, decoder } = this;
    if (!read || !keys || !decoder) return;
    if (chunk.number <= this.lastNumber) throw new Error('the server sent a chunk again or out of order');
    this.lastNumber = chunk.number;
    const isSound = chunk.track === this.sound?.audioTrack;
    if (chunk.track !== decoder.videoTrack && !(isSound && this.audioOn)) return;
    const plain = await openChunk(read, keys, chunk);
    if (plain === null || this.decoder !== decoder) return;
    if (isSound) return this.sound?.decode(chunk, plain);
    const track = read.header.tracks.find(({ id }) => id === chunk.track)!;
    this.statistics.opened(performance.now() - arrivedAt, Date.now() - (read.header.started_at + (chunk.time * 1000) / track.timescale));
    if (!decoder.room && !chunk.keyFrame) return this.skip(1);
    if (decoder.failed) throw decoder.failed;
    decoder.decode(chunk, plain);
  }

  private hear(sampleRate: number, channels: Float32Array<ArrayBuffer>[]): void {
    this.emit({ type: 'audio', sample_rate: sampleRate, channels, due: performance.timeOrigin + performance.now() });
  }

  private fail(error: unknown): void {
    if (this.closed) return;
    this.stopDecoding();
    this.backlog = [];
    if (error instanceof UnsupportedCodec) {
      this.emit({ type: 'unsupported', codec: error.codec, rendition: this.rendition });
      this.close();
      return;
    }
    this.emit({ type: 'error', message: explain(error) });
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
    }
    this.reconnect(explain(error));
  }

  private stopDecoding(): void {
    this.decoder?.close();
    this.sound?.close();
    this.decoder = this.sound = this.read = this.keys = null;
  }
}

/** Sliding figures over the newest chunks. */
class Statistics {
  private readonly opens: number[] = [];
  private readonly behinds: number[] = [];
  private chunks = 0;
  skipped = 0;
  private readonly startedAt = performance.now();
  private firstPicture: number | null = null;

  opened(openMs: number, behindMs: number): void {
    this.chunks += 1;
    for (const [list, value] of [[this.opens, openMs], [this.behinds, behindMs]] as const) {
      list.push(value);
      if (list.length > SAMPLES_MAX) list.shift();
    }
  }

  pictured(): void {
    this.firstPicture ??= performance.now() - this.startedAt;
  }

  read(): LiveStats {
    const at = (list: number[], share: number) => list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))] ?? 0;
    return {
      chunks: this.chunks,
      open_ms_p50: at(this.opens, 0.5),
      open_ms_p99: at(this.opens, 0.99),
      behind_ms_p50: at(this.behinds, 0.5),
      behind_ms_p99: at(this.behinds, 0.99),
      skipped: this.skipped,
      first_picture_ms: this.firstPicture,
    };
  }
}
