// What a person is told about a camera before it is added.

import { describe, expect, it } from 'vitest';
import { adviceOf, chooseStreams, REFUSALS } from '../src/lib/app/advice';
import type { Look, Offer, Profile, Seen } from '../src/lib/seal/cameraAnswer';

const seen = (more: Partial<Seen> = {}, codec = 'avc1.64001f', audio: string | null = null): Seen => ({
  stream: { video_codec: codec, width: 1920, height: 1080, audio_codec: audio, key_frame_after_ms: 300 },
  bits_per_second: 3_000_000,
  frames_per_second: 25,
  key_frame_every_ms: 2000,
  for_ms: 2000,
  ...more,
});
const small = seen({ bits_per_second: 400_000 });
const look = (main: Seen | null, sub: Seen | null = small): Look => ({ type: 'look', main, sub, certificate: null, picture: null });
const offer = (clock_off_seconds: number | null): Offer => ({ type: 'offer', manufacturer: null, model: null, firmware: null, clock_off_seconds, certificate: null, profiles: [] });
const busy = (at: Look, of: Offer | null = null) => adviceOf(at, of).filter(({ tone }) => tone === 'busy').map(({ text }) => text);

describe('advice', () => {
  it('has nothing to say against a camera that is set well', () => {
    expect(busy(look(seen()), offer(3))).toEqual([]);
    expect(adviceOf(look(null), null)).toEqual([]);
    const good = adviceOf(look(seen()), null).map(({ text }) => text).join(' ');
    expect(good).toContain('every browser plays');
    expect(good).toContain('3.4 Mbit/s now, and about 36.7 GB a day');
    expect(good).toContain('No sound');
    expect(adviceOf(look(seen({}, 'avc1.64001f', 'ulaw')), null).map(({ text }) => text).join(' ')).toContain('Sound comes with the picture');
  });

  it.each([
    ['H.265', look(seen({}, 'hvc1.1.6.L93.B0')), null, 'some browsers and older machines cannot play it'],
    ['a small stream of H.265', look(seen(), seen({ bits_per_second: 400_000 }, 'hvc1.1.6.L93.B0')), null, 'The small stream is H.265'],
    ['no small stream', look(seen(), null), null, 'There is no small stream'],
    ['a large small stream', look(seen(), seen()), null, 'The small stream takes 3.0 Mbit/s'],
    ['a wide full-size stream', look(seen({ bits_per_second: 12_000_000 })), null, 'The full-size stream takes 12.0 Mbit/s'],
    ['rare key frames', look(seen({ key_frame_every_ms: 4800 })), null, 'only every 5 seconds'],
    ['no second key frame', look(seen({ key_frame_every_ms: null, for_ms: 5000 })), null, 'less than every 5 seconds'],
    ['a wrong clock', look(seen()), offer(7200), 'wrong by 2 hours'],
  ])('says what to set otherwise: %s', (_, at, of, words) => {
    const said = busy(at, of);
    expect(said.length).toBe(1);
    expect(said[0]).toContain(words);
  });

  it('chooses the largest stream that can be recorded, and a small one for walls', () => {
    const profile = (name: string, width: number, height: number, codec = 'H264'): Profile => ({ name, url: `rtsp://192.0.2.10/${name}`, codec, width, height, frames_per_second: null, kilobits_max: null, key_frame_every: null, has_audio: false });
    const [huge, jpeg, full, middle, tiny] = [profile('4k', 3840, 2160), profile('jpeg', 8000, 6000, 'JPEG'), profile('full', 1920, 1080), profile('middle', 1280, 720), profile('tiny', 640, 360)];
    const names = (...of: Profile[]) => { const { main, sub } = chooseStreams(of); return [main?.name ?? null, sub?.name ?? null]; };
    expect(names(tiny, jpeg, huge, full)).toEqual(['4k', 'tiny']);
    expect(names(full, middle, tiny)).toEqual(['full', 'middle']);
    expect(names(huge, full)).toEqual(['4k', null]);
    expect(names(full)).toEqual(['full', null]);
    expect(names(jpeg)).toEqual([null, null]);
    expect(names()).toEqual([null, null]);
  });

  it('has a cause and a next step for every refusal', () => {
    for (const { title, next } of Object.values(REFUSALS)) expect(title.length > 10 && next.length > 40).toBe(true);
  });
});
