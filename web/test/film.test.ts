// Films that were written, parsed again by the words of ISO/IEC 14496-12.

import { describe, expect, it } from 'vitest';
import { type Bytes, concat, fromUtf8, view } from '../src/lib/seal/bytes';
import { cameraSignatures } from '../src/lib/media/signing';
import { Film, frameTicks, type Sample } from '../src/lib/media/film';

const none = { description: null, width: 0, height: 0, sample_rate: 0, channels: 0 };
const video = { ...none, id: 0, kind: 'video' as const, codec: 'avc1.64001f', timescale: 90_000, description: 'AWQAH//hAAA=', width: 640, height: 360 };
const sound = { ...none, id: 3, kind: 'audio' as const, codec: 'mp4a.40.2', timescale: 48_000, description: 'EZA=', sample_rate: 48_000, channels: 2 };
const STARTED = 1_763_836_800_123;

interface Box {
  type: string;
  at: number;
  body: Uint8Array;
}

function boxes(bytes: Uint8Array, from = 0): Box[] {
  const found: Box[] = [];
  for (let at = from; at < bytes.length; ) {
    const size = view(bytes).getUint32(at);
    expect(size).toBeGreaterThanOrEqual(8);
    expect(at + size).toBeLessThanOrEqual(bytes.length);
    found.push({ type: fromUtf8(bytes.subarray(at + 4, at + 8)), at, body: bytes.subarray(at + 8, at + size) });
    at += size;
  }
  return found;
}
const inside = (bytes: Uint8Array, ...path: string[]): Uint8Array => path.reduce((body, type) => boxes(body).find((box) => box.type === type)!.body, bytes);
const u64 = (bytes: Uint8Array, at: number) => Number(view(bytes).getBigUint64(at));

interface Found {
  track: number;
  time: number;
  duration: number;
  flags: number;
  delta: number;
  data: Uint8Array;
}

/** Every sample of every fragment, by the offsets that stand there. */
function samples(file: Uint8Array): Found[] {
  return boxes(file).filter(({ type }) => type === 'moof').flatMap(({ at, body }) =>
    boxes(body).filter(({ type }) => type === 'traf').flatMap(({ body: traf }) => {
      const track = view(inside(traf, 'tfhd')).getUint32(4);
      let time = u64(inside(traf, 'tfdt'), 4);
      const run = inside(traf, 'trun');
      expect(view(run).getUint32(0)).toBe(0x01000f01);
      let offset = at + view(run).getUint32(8);
      return Array.from({ length: view(run).getUint32(4) }, (_, i): Found => {
        const [duration, size, flags, delta] = [0, 4, 8, 12].map((field) => view(run).getInt32(12 + 16 * i + field)) as [number, number, number, number];
        const sample = { track, time, duration, flags: flags >>> 0, delta, data: file.subarray(offset, offset + size) };
        [time, offset] = [time + duration, offset + size];
        return sample;
      });
    }),
  );
}

async function film(list: Sample[], tracks = [video, sound]): Promise<{ file: Bytes; length: number; pieces: number }> {
  let file: Bytes = new Uint8Array();
  let pieces = 0;
  const out = { write: async (bytes: Bytes) => ((pieces += 1), void (file = concat(file, bytes))), patch: async (at: number, bytes: Bytes) => file.set(bytes, at) };
  const made = await Film.begin(out, tracks, STARTED);
  for (const sample of list) await made.add(sample);
  return { length: await made.finish(), file, pieces };
}
const pictures = (count: number, step = 3600): Sample[] => Array.from({ length: count }, (_, n) => ({ track: 0, time: n * step, presentationDelta: n % 2 ? -1800 : 1800, keyFrame: n % 10 === 0, data: new Uint8Array(n + 1).fill(n) }));

describe('a film', () => {
  it('describes its tracks, and says how long it is', async () => {
    const { file, length } = await film(pictures(25));
    expect(boxes(file).slice(0, 2).map(({ type }) => type)).toEqual(['ftyp', 'moov']);
    expect(length).toBe(1000);
    expect(u64(inside(file, 'moov', 'mvex', 'mehd'), 4)).toBe(1000);
    const [first, second] = boxes(inside(file, 'moov')).filter(({ type }) => type === 'trak');
    expect(u64(inside(file, 'moov', 'mvhd'), 4)).toBe(Math.floor(STARTED / 1000) + 2_082_844_800);
    const entry = (track: Box) => boxes(inside(track.body, 'mdia', 'minf', 'stbl', 'stsd'), 8)[0]!;
    expect([entry(first!).type, entry(second!).type]).toEqual(['avc1', 'mp4a']);
    expect([view(entry(first!).body).getUint16(24), view(entry(first!).body).getUint16(26)]).toEqual([640, 360]);
    expect(boxes(entry(first!).body, 78)[0]).toMatchObject({ type: 'avcC', body: Uint8Array.of(1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0) });
    expect(view(entry(second!).body).getUint32(24)).toBe(48_000 * 65_536);
    expect(view(inside(second!.body, 'mdia', 'mdhd')).getUint32(20)).toBe(48_000);
  });

  it('gives back every sample with its time, a group of pictures for each fragment', async () => {
    const list = pictures(30);
    const { file } = await film(list);
    expect(boxes(file).filter(({ type }) => type === 'moof')).toHaveLength(3);
    expect(samples(file).map(({ time, delta, flags, data }) => ({ time, presentationDelta: delta, keyFrame: flags === 0x02000000, data: [...data] }))).toEqual(
      list.map(({ time, presentationDelta, keyFrame, data }) => ({ time, presentationDelta, keyFrame, data: [...data] })),
    );
  });

  it('keeps sound beside the pictures that it was recorded with', async () => {
    const heard: Sample[] = Array.from({ length: 40 }, (_, n) => ({ track: 3, time: 12_000 + n * 1024, presentationDelta: 0, keyFrame: true, data: Uint8Array.of(n) }));
    const all = [...pictures(30), ...heard].sort((a, b) => a.time / (a.track === 0 ? 90_000 : 48_000) - b.time / (b.track === 0 ? 90_000 : 48_000));
    const found = samples((await film(all)).file).filter(({ track }) => track === 2);
    expect(found.map(({ time }) => time)).toEqual(heard.map(({ time }) => time));
    expect(found.every(({ flags }) => flags === 0x02000000)).toBe(true);
  });

  it('stands still for as long as nothing was recorded', async () => {
    const list = [...pictures(11), ...pictures(2).map((sample) => ({ ...sample, time: sample.time + 90_000 * 3600 }))];
    const found = samples((await film(list)).file);
    expect(found[10]!.duration).toBe(90_000 * 3600 - 10 * 3600);
    expect(found[11]!.time).toBe(90_000 * 3600);
  });

  it('writes what it has while it goes on, and holds no more than a fragment', async () => {
    const big = pictures(100).map((sample) => ({ ...sample, keyFrame: sample.time === 0, data: new Uint8Array(500_000) }));
    const { pieces, file } = await film(big);
    expect(pieces).toBeGreaterThan(5);
    for (const { type, body } of boxes(file)) if (type === 'mdat') expect(body.length).toBeLessThanOrEqual(8 * 1024 * 1024);
    expect(samples(file)).toHaveLength(100);
  });

  it('takes G.711, whose frames are as long as they say', async () => {
    const track = { ...sound, codec: 'ulaw', description: null, timescale: 8000, sample_rate: 8000, channels: 1 } as unknown as typeof sound;
    expect([frameTicks(track, 160), frameTicks(sound, 160)]).toEqual([160, 1024]);
    const { file } = await film([{ track: 3, time: 0, presentationDelta: 0, keyFrame: true, data: new Uint8Array(160) }], [track as never]);
    expect(samples(file)[0]!.duration).toBe(160);
  });

  it('refuses what has no place in it', async () => {
    const odd = { ...video, codec: 'vp09.00' };
    await expect(film([], [odd as never])).rejects.toThrow('does not go into an MP4');
    await expect(film([], [{ ...video, description: null } as never])).rejects.toThrow('without its parameters');
    await expect(film([{ ...pictures(1)[0]!, track: 7 }])).rejects.toThrow('no track 7');
    await expect(film([pictures(2)[1]!, pictures(1)[0]!])).rejects.toThrow('back in time');
  });
});

describe('signatures of cameras', () => {
  const uuid = [...'Signed Video...0'].map((letter) => letter.charCodeAt(0));
  const onvif = [0x00, 0x5b, 0xc9, 0x3f, 0x2d, 0x71, 0x5e, 0x95, 0xad, 0xa4, 0x79, 0x6f, 0x90, 0x87, 0x7a, 0x6f];
  const unit = (...bytes: number[]) => Uint8Array.of(0, 0, 0, bytes.length, ...bytes);

  it('are named where they stand', () => {
    expect(cameraSignatures('avc1', concat(unit(6, 5, 18, ...uuid, 1, 2, 0x80), unit(0x65, 1)))).toEqual(['Axis Signed Video']);
    expect(cameraSignatures('hvc1', unit(40 << 1, 1, 4, 1, 9, 5, 16, ...onvif, 0x80))).toEqual(['ONVIF Media Signing']);
    expect(cameraSignatures('hvc1', unit(39 << 1, 1, 255, 0, 2, 0, 0, 3, 5, 16, ...uuid))).toEqual(['Axis Signed Video']);
    expect(cameraSignatures('avc1', unit(6, 5, 20, ...uuid, 0, 0, 3, 1, 2, 0x80))).toEqual(['Axis Signed Video']);
  });

  it('are in no other unit, no other message, and in nothing that is torn', () => {
    expect(cameraSignatures('avc1', unit(0x65, 5, 16, ...uuid))).toEqual([]);
    expect(cameraSignatures('avc1', unit(6, 4, 16, ...uuid))).toEqual([]);
    expect(cameraSignatures('avc1', unit(6, 5, 15, ...uuid))).toEqual([]);
    const whole = unit(6, 5, 16, ...uuid);
    for (let length = 0; length < whole.length; length += 1) expect(cameraSignatures('avc1', whole.subarray(0, length))).toEqual([]);
  });
});
