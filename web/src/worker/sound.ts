// Sound: G.711 by table, AAC through WebCodecs where the browser has it. Gives float samples to the page, which owns the speakers.
// Off until somebody turns it on; then nothing is opened or decoded beforehand.

import { type Bytes, fromBase64 } from '../lib/seal/bytes';
import { type Chunk, readAudioFrames } from '../lib/seal/chunk';
import type { Header, Track } from '../lib/seal/header';

export interface Sound {
  sampleRate: number;
  channels: Float32Array<ArrayBuffer>[];
  /** Wall time of the first sample, milliseconds. */
  at: number;
}

export class SoundDecoder {
  private aac: AudioDecoder | null = null;

  private constructor(
    private readonly header: Header,
    private readonly track: Track,
    private readonly onSound: (sound: Sound) => void,
  ) {}

  /** `null` where the recording has no sound that this browser can decode. */
  static async create(header: Header, onSound: (sound: Sound) => void): Promise<SoundDecoder | null> {
    const track = header.tracks.find(({ kind }) => kind === 'audio');
    if (!track || track.sample_rate < 4000 || track.sample_rate > 192_000 || track.channels < 1 || track.channels > 8) return null;
    const decoder = new SoundDecoder(header, track, onSound);
    if (track.codec === 'ulaw' || track.codec === 'alaw') return decoder;
    return (await decoder.startAac()) ? decoder : null;
  }

  get audioTrack(): number {
    return this.track.id;
  }

  decode(chunk: Chunk, plain: Bytes): void {
    let ticks = chunk.time;
    for (const frame of readAudioFrames(plain)) {
      if (this.aac) {
        if (this.aac.state === 'configured' && this.aac.decodeQueueSize < 64) {
          this.aac.decode(new EncodedAudioChunk({ type: 'key', timestamp: Math.round((ticks * 1_000_000) / this.track.timescale), data: frame }));
        }
        ticks += 1024;
      } else {
        const { channels } = this.track;
        this.onSound({ sampleRate: this.track.sample_rate, channels: g711(frame, channels, this.track.codec === 'alaw' ? A_LAW : U_LAW), at: this.wall(ticks) });
        ticks += Math.floor(frame.length / channels);
      }
    }
  }

  close(): void {
    if (this.aac && this.aac.state !== 'closed') this.aac.close();
  }

  private async startAac(): Promise<boolean> {
    if (typeof AudioDecoder === 'undefined') return false;
    const { codec, sample_rate, channels, description } = this.track;
    const config: AudioDecoderConfig = { codec, sampleRate: sample_rate, numberOfChannels: channels };
    if (description !== null) config.description = fromBase64(description);
    const { supported } = await AudioDecoder.isConfigSupported(config).catch(() => ({ supported: false }));
    if (!supported) return false;
    this.aac = new AudioDecoder({ output: (data) => this.give(data), error: () => undefined });
    this.aac.configure(config);
    return true;
  }

  private give(data: AudioData): void {
    const channels: Float32Array<ArrayBuffer>[] = [];
    for (let plane = 0; plane < data.numberOfChannels; plane += 1) {
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex: plane, format: 'f32-planar' });
      channels.push(samples);
    }
    this.onSound({ sampleRate: data.sampleRate, channels, at: this.header.started_at + data.timestamp / 1000 });
    data.close();
  }

  private wall(ticks: number): number {
    return this.header.started_at + (ticks * 1000) / this.track.timescale;
  }
}

export function g711(bytes: Uint8Array, channelCount: number, table: Float32Array): Float32Array<ArrayBuffer>[] {
  const length = Math.floor(bytes.length / channelCount);
  return Array.from({ length: channelCount }, (_, channel) => {
    const samples = new Float32Array(length);
    for (let i = 0; i < length; i += 1) samples[i] = table[bytes[i * channelCount + channel]!]!;
    return samples;
  });
}

// ITU-T G.711: µ-law is a 14-bit, A-law a 13-bit logarithmic code; here as fractions of full scale.
export const U_LAW = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
  return (bits & 0x80 ? -magnitude : magnitude) / 32_768;
});

export const A_LAW = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = code ^ 0x55;
  const segment = (bits & 0x70) >> 4;
  const step = ((bits & 0x0f) << 4) + (segment === 0 ? 8 : 0x108);
  const magnitude = segment > 1 ? step << (segment - 1) : step;
  return (bits & 0x80 ? magnitude : -magnitude) / 32_768;
});
