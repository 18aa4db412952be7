// Boxes of ISO/IEC 14496-12, and the description of tracks in them. Written here and not taken from a library: G.711 goes into MP4 by
// QuickTime's entries, parameter sets go in as the camera made them, and decode times are the gateway's own; all that the command line
// writes likewise (crates/media). The code also runs where the keys are, where foreign code is best kept out.

import { type Bytes, concat, fromBase64, refuse, u32, utf8 } from '../seal/bytes';
import type { Track } from '../seal/header';

/** Ticks in a second of the movie's own clock. */
export const MOVIE_TIMESCALE = 1000;
/** Seconds from 1904-01-01, where MP4 counts from, to 1970-01-01. */
const EPOCH_1904 = 2_082_844_800;
/** As a matrix says that nothing is turned or stretched (section 6.2.2). */
const UNITY = concat(...[0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(u32));
const LANGUAGE_UNDETERMINED = 0x55c4;

export type Codec = 'avc1' | 'hvc1' | 'mp4a' | 'ulaw' | 'alaw';

export function codecOf({ codec }: Track): Codec {
  if (codec === 'ulaw' || codec === 'alaw') return codec;
  if (codec.startsWith('avc1.')) return 'avc1';
  if (codec.startsWith('hvc1.')) return 'hvc1';
  return codec.startsWith('mp4a.40.') ? 'mp4a' : refuse(`the codec ${codec} does not go into an MP4 file`);
}

export const box = (type: string, ...parts: readonly Uint8Array[]): Bytes => concat(u32(8 + parts.reduce((sum, { length }) => sum + length, 0)), utf8(type), ...parts);
export const fullBox = (type: string, version: number, flags: number, ...parts: readonly Uint8Array[]): Bytes => box(type, u32((version << 24) | flags), ...parts);
export const u64 = (value: number): Bytes => concat(u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32));
const u16 = (value: number): Bytes => Uint8Array.of(value >> 8, value & 0xff);
const zeros = (length: number): Bytes => new Uint8Array(length);
const short = (value: number): number => Math.min(value, 0xffff);

export interface Head {
  bytes: Bytes;
  /** Where the length of the whole, in ticks of the movie's clock, is to be filled in: 64 bits. */
  durationAt: number;
}

/** What a file begins with: `ftyp`, and `moov` without samples. `startedAt` becomes the time of creation. */
export function fileHead(tracks: readonly Track[], startedAt: number): Head {
  const created = Math.floor(startedAt / 1000) + EPOCH_1904;
  const ftyp = box('ftyp', utf8('iso6'), u32(0), utf8('iso6isommp41'));
  const mvhd = fullBox('mvhd', 1, 0, u64(created), u64(created), u32(MOVIE_TIMESCALE), u64(0), u32(0x10000), u16(0x100), zeros(10), UNITY, zeros(24), u32(tracks.length + 1));
  const defaults = tracks.map((_, i) => fullBox('trex', 0, 0, u32(i + 1), u32(1), zeros(12)));
  const mvex = box('mvex', fullBox('mehd', 1, 0, u64(0)), ...defaults);
  const bytes = concat(ftyp, box('moov', mvhd, ...tracks.map((track, i) => trackBox(track, i + 1, created)), mvex));
  return { bytes, durationAt: bytes.length - concat(...defaults).length - 8 };
}

function trackBox(track: Track, number: number, created: number): Bytes {
  const isVideo = track.kind === 'video';
  const size = [track.width, track.height].map((pixels) => u32(short(pixels) * 0x10000));
  // Enabled, and part of the movie (section 8.3.2).
  const tkhd = fullBox('tkhd', 1, 3, u64(created), u64(created), u32(number), zeros(4), u64(0), zeros(8), u16(0), u16(0), u16(isVideo ? 0 : 0x100), u16(0), UNITY, ...size);
  const mdhd = fullBox('mdhd', 1, 0, u64(created), u64(created), u32(track.timescale), u64(0), u16(LANGUAGE_UNDETERMINED), u16(0));
  const hdlr = fullBox('hdlr', 0, 0, zeros(4), utf8(isVideo ? 'vide' : 'soun'), zeros(12), utf8(isVideo ? 'Video\0' : 'Audio\0'));
  const kind = isVideo ? fullBox('vmhd', 0, 1, zeros(8)) : fullBox('smhd', 0, 0, zeros(4));
  const dinf = box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1)));
  const empty = ['stts', 'stsc', 'stco'].map((type) => fullBox(type, 0, 0, u32(0)));
  const stbl = box('stbl', fullBox('stsd', 0, 0, u32(1), sampleEntry(track)), ...empty, fullBox('stsz', 0, 0, zeros(8)));
  return box('trak', tkhd, box('mdia', mdhd, hdlr, box('minf', kind, dinf, stbl)));
}

function sampleEntry(track: Track): Bytes {
  const codec = codecOf(track);
  const parameters = track.description === null ? zeros(0) : fromBase64(track.description);
  if (parameters.length === 0 && codec !== 'ulaw' && codec !== 'alaw') refuse(`${track.codec} comes without its parameters`);
  switch (codec) {
    // ISO/IEC 14496-15 sections 5.4.2 and 8.4.1.
    case 'avc1':
      return box('avc1', visual(track), box('avcC', parameters));
    case 'hvc1':
      return box('hvc1', visual(track), box('hvcC', parameters));
    case 'mp4a':
      return box('mp4a', audio(track), fullBox('esds', 0, 0, elementaryStream(parameters)));
    // QuickTime File Format, sound sample descriptions.
    default:
      return box(codec, audio(track));
  }
}

const visual = ({ width, height }: Track): Bytes =>
  concat(zeros(6), u16(1), zeros(16), u16(short(width)), u16(short(height)), u32(0x480000), u32(0x480000), u32(0), u16(1), zeros(32), u16(24), u16(0xffff));

/** Of 16 bits once expanded. Rates from 65 536 on stand as 0 and are read from the decoder's parameters (section 12.2.3). */
const audio = ({ channels, sample_rate }: Track): Bytes =>
  concat(zeros(6), u16(1), zeros(8), u16(short(Math.max(1, channels))), u16(16), u32(0), u16(sample_rate > 0xffff ? 0 : sample_rate), u16(0));

/** ES_Descriptor of ISO/IEC 14496-1 section 7.2.6.5 for AAC. Lengths are of 7 bits here: an AudioSpecificConfig is far shorter. */
function elementaryStream(foreign: Bytes): Bytes {
  const config = foreign.subarray(0, 64);
  // Object type 0x40 is ISO/IEC 14496-3 audio, stream type 5 is audio; buffer size and bit rates are unknown.
  const decoder = concat(Uint8Array.of(0x04, 13 + 2 + config.length, 0x40, (5 << 2) | 1), zeros(11), Uint8Array.of(0x05, config.length), config);
  return concat(Uint8Array.of(0x03, 3 + decoder.length + 3, 0, 0, 0), decoder, Uint8Array.of(0x06, 1, 2));
}
