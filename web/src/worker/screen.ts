// Decodes the video of one recording after the other and draws frames to a canvas.
// The decoder's queue is bounded: who feeds it asks `room` first, or drops to the next key frame.

import { refuse } from '../lib/seal/bytes';
import { type Chunk, readAccessUnit } from '../lib/seal/chunk';
import type { Bytes } from '../lib/seal/bytes';
import type { Header, Track } from '../lib/seal/header';
import { fromBase64 } from '../lib/seal/bytes';

export interface Frame {
  /** As it came out of the decoder, or a copy. */
  frame: VideoFrame | ImageBitmap;
  /** Wall time of the picture, milliseconds. */
  at: number;
  /** No other picture is due before this time, if that is known. */
  until?: number;
}

export class UnsupportedCodec extends Error {
  constructor(readonly codec: string) {
    super(`this browser does not decode ${codec}`);
  }
}

const QUEUE_MAX = 8;

export class Decoder {
  private readonly decoder: VideoDecoder;
  private readonly track: Track;
  private waiting: (() => void)[] = [];
  private needKeyFrame = true;
  failed: Error | null = null;

  private constructor(
    private readonly header: Header,
    config: VideoDecoderConfig,
    onFrame: (frame: Frame) => void,
  ) {
    this.track = videoTrack(header);
    this.decoder = new VideoDecoder({
      output: (frame) => onFrame({ frame, at: header.started_at + frame.timestamp / 1000 }),
      error: (error) => {
        this.failed = error;
        this.wake();
      },
    });
    this.decoder.ondequeue = () => this.wake();
    this.decoder.configure(config);
  }

  static async create(header: Header, onFrame: (frame: Frame) => void): Promise<Decoder> {
    const track = videoTrack(header);
    const config: VideoDecoderConfig = { codec: track.codec, optimizeForLatency: true };
    if (track.width > 0 && track.height > 0) Object.assign(config, { codedWidth: track.width, codedHeight: track.height });
    if (track.description !== null) config.description = fromBase64(track.description);
    if (typeof VideoDecoder === 'undefined') throw new UnsupportedCodec(track.codec);
    const supported = await VideoDecoder.isConfigSupported(config).catch(() => ({ supported: false }));
    if (!supported.supported) throw new UnsupportedCodec(track.codec);
    return new Decoder(header, config, onFrame);
  }

  get videoTrack(): number {
    return this.track.id;
  }

  /** Whether the decoder keeps up. */
  get room(): boolean {
    return this.failed === null && this.decoder.state === 'configured' && this.decoder.decodeQueueSize < QUEUE_MAX;
  }

  async roomy(): Promise<void> {
    while (this.failed === null && this.decoder.state === 'configured' && this.decoder.decodeQueueSize >= QUEUE_MAX) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    if (this.failed) throw this.failed;
  }

  /** Wall time of a chunk's picture. */
  at(chunk: Chunk, plain: Bytes): number {
    return this.header.started_at + this.micros(chunk, plain) / 1000;
  }

  /** Feeds one access unit. What cannot be decoded without an earlier frame is passed over. */
  decode(chunk: Chunk, plain: Bytes): boolean {
    if (this.failed) throw this.failed;
    if (this.needKeyFrame && !chunk.keyFrame) return false;
    this.needKeyFrame = false;
    this.decoder.decode(new EncodedVideoChunk({ type: chunk.keyFrame ? 'key' : 'delta', timestamp: this.micros(chunk, plain), data: readAccessUnit(plain).nalUnits }));
    return true;
  }

  /** Frames were left out; the next picture is a key frame. */
  skipToKeyFrame(): void {
    this.needKeyFrame = true;
  }

  async flush(): Promise<void> {
    if (this.decoder.state !== 'configured' || this.failed) return;
    await this.decoder.flush().catch(() => undefined);
    this.needKeyFrame = true;
  }

  close(): void {
    if (this.decoder.state !== 'closed') this.decoder.close();
    this.wake();
  }

  private micros(chunk: Chunk, plain: Bytes): number {
    return Math.round(((chunk.time + readAccessUnit(plain).presentationDelta) * 1_000_000) / this.track.timescale);
  }

  private wake(): void {
    for (const resume of this.waiting.splice(0)) resume();
  }
}

export function videoTrack(header: Header): Track {
  return header.tracks.find((track) => track.kind === 'video') ?? refuse('the recording has no picture');
}

export class Screen {
  private readonly context: OffscreenCanvasRenderingContext2D;
  /** Wall time of the picture that is shown. */
  at: number | null = null;

  constructor(
    readonly canvas: OffscreenCanvas,
    private readonly onPicture: (at: number, width: number, height: number, late: number | null) => void,
  ) {
    this.context = canvas.getContext('2d', { alpha: false }) ?? refuse('this browser has no canvas in Workers');
  }

  /** Draws and closes the frame. `late` by how many milliseconds, if somebody counts them. */
  show({ frame, at }: Frame, late: number | null = null): void {
    const [width, height] = frame instanceof ImageBitmap ? [frame.width, frame.height] : [frame.displayWidth, frame.displayHeight];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.drawImage(frame, 0, 0, width, height);
    frame.close();
    this.at = at;
    this.onPicture(at, width, height, late);
  }

  async snapshot(): Promise<Blob | null> {
    return this.at === null ? null : this.canvas.convertToBlob({ type: 'image/png' });
  }
}
