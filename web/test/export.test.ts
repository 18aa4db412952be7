// Taking footage out: which chunks, under which names, with what patience.

import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/lib/api/client';
import { fieldValue, rangeAround, withEnd } from '../src/lib/app/exportRange';
import { fileName } from '../src/lib/app/fileName';
import { type Bytes, concat } from '../src/lib/seal/bytes';
import type { Chunk } from '../src/lib/seal/chunk';
import type { Header } from '../src/lib/seal/header';
import type { Source } from '../src/lib/seal/reader';
import { Clips, Origin } from '../src/worker/clips';
import { patient } from '../src/worker/patience';
import type { Sink } from '../src/worker/sink';
import { lastTickAt, Wanted } from '../src/worker/wanted';

const START = 1_763_836_800_000;
const none = { description: null, width: 0, height: 0, sample_rate: 0, channels: 0 };
const video = { ...none, id: 0, kind: 'video' as const, codec: 'avc1.64001f', timescale: 90_000, description: 'AWQAH//hAAA=', width: 64, height: 48 };
const audio = { ...none, id: 1, kind: 'audio' as const, codec: 'ulaw', timescale: 8000, sample_rate: 8000, channels: 1 };
const header = (started_at = START, tracks: Header['tracks'] = [video, audio]) => ({ started_at, tracks }) as unknown as Header;
const chunk = (number: number, track: number, ms: number, keyFrame = false): Chunk => ({ number, track, time: (ms * (track === 0 ? 90_000 : 8000)) / 1000, keyFrame, discontinuity: false, length: 0, bytes: new Uint8Array(12) });

describe('a range', () => {
  const now = START + 600_000;

  it('is a minute around what is shown, and the last closed minute where that is live', () => {
    expect(rangeAround(START, now)).toEqual({ from: START - 30_000, to: START + 30_000 });
    expect(rangeAround(now, now)).toEqual({ from: now - 60_000, to: now });
    expect(rangeAround(null, now)).toEqual({ from: now - 120_000, to: now - 60_000 });
  });

  it('has ends that do not cross, and do not lie ahead', () => {
    const range = { from: START, to: START + 60_000 };
    expect(withEnd(range, 'from', START + 10_000.4, now)).toEqual({ from: START + 10_000, to: range.to });
    expect(withEnd(range, 'from', START + 90_000, now)).toEqual({ from: START + 90_000, to: START + 150_000 });
    expect(withEnd(range, 'to', START - 90_000, now)).toEqual({ from: START - 150_000, to: START - 90_000 });
    expect(withEnd(range, 'to', now + 5000, now)).toEqual({ from: START, to: now });
    expect(withEnd(range, 'from', now + 5000, now)).toEqual({ from: now - 1000, to: now });
    for (const end of ['from', 'to'] as const) for (let at = START - 100_000; at < now + 100_000; at += 777) {
      const moved = withEnd(range, end, at, now);
      expect(moved.to - moved.from).toBeGreaterThanOrEqual(1000);
      expect(moved.to).toBeLessThanOrEqual(now);
    }
  });

  it('is spelt for a field in the zone of the viewer', () => {
    expect(new Date(fieldValue(START)).getTime()).toBe(START);
  });
});

describe('names of files', () => {
  const at = new Date(2026, 10, 27, 9, 5, 7).getTime();

  it('are of camera and time, numbered from the second on', () => {
    expect(fileName('Front door', at, 'mp4')).toBe('Front door 2026-11-27 09.05.07.mp4');
    expect(fileName('Ladentür 店', at, 'lkproof', 2)).toBe('Ladentür 店 2026-11-27 09.05.07-2.lkproof');
  });

  it('lead nowhere, hide nothing and are not too long, whatever a camera is called', () => {
    const hostile = ['../../etc/passwd', 'a\\b', 'C:\\x', 'a\u0000b\nc', 'gpj.\u202E4pm', '\u2066x\u2069', '<b>"|?*', '.hidden', '~', '', ' ', '\u200b', 'x'.repeat(500), '💥'.repeat(300), 'e\u0301'.repeat(200)];
    for (const name of hostile) {
      const made = fileName(name, at, 'mp4');
      expect(made, name).toMatch(/^[\p{L}\p{M}\p{N}_][\p{L}\p{M}\p{N} _-]* 2026-11-27 09\.05\.07\.mp4$/u);
      expect([...made].length).toBeLessThan(90);
    }
  });
});

describe('chunks that are wanted', () => {
  const numbers = (wanted: Wanted, chunks: Chunk[]) => chunks.flatMap((each) => wanted.push(each)).map(({ number }) => number);
  // A key frame each second, two pictures and sound between them.
  const chunks = Array.from({ length: 40 }, (_, n) => (n % 4 === 3 ? chunk(n, 1, n * 250) : chunk(n, 0, n * 250, n % 4 === 0)));

  it('begin with the key frame at or before the beginning, and end before the end', () => {
    expect(numbers(new Wanted(new Origin(header(), true), { from: START + 2600, to: START + 4000 }), chunks)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    expect(numbers(new Wanted(new Origin(header(), true), { from: START + 2000, to: START + 2001 }), chunks)).toEqual([8]);
  });

  it('leave sound out where it is not wanted', () => {
    expect(numbers(new Wanted(new Origin(header(), false), { from: START + 2600, to: START + 4000 }), chunks)).toEqual([8, 9, 10, 12, 13, 14]);
  });

  it('are none of a recording outside of the time, whatever was listed', () => {
    for (const from of [START - 60_000, START + 60_000]) expect(numbers(new Wanted(new Origin(header(), true), { from, to: from + 5000 }), chunks)).toEqual([]);
  });

  it('say when nothing more can come', () => {
    const wanted = new Wanted(new Origin(header(), true), { from: START, to: START + 1000 });
    numbers(wanted, chunks.slice(0, 12));
    expect(wanted.isOver).toBe(false);
    numbers(wanted, chunks.slice(12, 17));
    expect(wanted.isOver).toBe(true);
  });

  it('are found by the last tick that has not passed the moment', () => {
    for (const timescale of [1000, 8000, 90_000, 12_345]) for (const ms of [0, 1, 33, 999, 1000, 59_999]) {
      const tick = lastTickAt(START + ms, START, timescale);
      expect(Math.floor((tick * 1000) / timescale)).toBeLessThanOrEqual(ms);
      expect(Math.floor(((tick + 1) * 1000) / timescale)).toBeGreaterThan(ms);
    }
    expect(lastTickAt(START - 5000, START, 90_000)).toBe(0);
  });
});

/** What the films of a test are written to. */
function place() {
  const files: { bytes: Bytes; state: 'open' | 'whole' | 'gone' }[] = [];
  const make = async (): Promise<Sink> => {
    const file = { bytes: new Uint8Array() as Bytes, state: 'open' as 'open' | 'whole' | 'gone' };
    files.push(file);
    return {
      write: async (bytes) => void (file.bytes = concat(file.bytes, bytes)),
      patch: async (at, bytes) => file.bytes.set(bytes, at),
      close: async () => ((file.state = 'whole'), { name: '', bytes: file.bytes.length, download: null }),
      abort: async () => void (file.state = 'gone'),
    };
  };
  return { files, make };
}
const picture = (text: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, text);

describe('films of several recordings', () => {
  it('begin with a key frame, and anew where parameters change', async () => {
    const { files, make } = place();
    const clips = new Clips(make);
    const first = new Origin(header(START, [video]), true);
    await clips.add(first, chunk(0, 0, 0), picture(1));
    await clips.add(first, chunk(1, 0, 40, true), picture(2));
    await clips.add(new Origin(header(START + 60_000, [video]), true), chunk(0, 0, 0, true), picture(3));
    await clips.add(new Origin(header(START + 90_000, [{ ...video, width: 128 }]), true), chunk(0, 0, 0, true), picture(4));
    expect([clips.from, clips.to]).toEqual([START + 40, START + 90_000]);
    const { files: written, length } = await clips.finish();
    expect(written).toHaveLength(2);
    expect(files.map(({ state }) => state)).toEqual(['whole', 'whole']);
    // The gap of a minute is a long picture; the last one lasts as long as the one before it, or a fifteenth of a second where there is none.
    expect(length).toBe(60_000 + 59_960 + 67);
  });

  it('are taken back, whole or not', async () => {
    const { files, make } = place();
    const clips = new Clips(make);
    await clips.add(new Origin(header(START, [video]), true), chunk(0, 0, 0, true), picture(1));
    await clips.add(new Origin(header(START, [{ ...video, width: 128 }]), true), chunk(0, 0, 0, true), picture(1));
    await clips.abort();
    expect(files.map(({ state }) => state)).toEqual(['gone', 'gone']);
  });

  it('hold no chunk of a track that is not wanted', async () => {
    const clips = new Clips(place().make);
    await expect(clips.add(new Origin(header(), false), chunk(0, 1, 0), Uint8Array.of(0, 1, 0))).rejects.toThrow('not wanted');
  });
});

describe('patience', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const lost = () => new ApiError(0, 'broken_off', 'The connection is lost.', '');
  const read = async (source: Source) => {
    const pieces = [];
    for await (const piece of source.stream(10, 90)) pieces.push(piece);
    return concat(...pieces);
  };
  /** Breaks off after each piece. */
  const breaking = (fail: () => Error): Source => ({
    size: bytes.length,
    range: async () => bytes,
    async *stream(from, to) {
      yield bytes.subarray(from, Math.min(from + 40, to));
      if (from + 40 < to) throw fail();
    },
  });

  it('goes on from the byte where the way broke off', async () => {
    const told: boolean[] = [];
    expect(await read(patient(breaking(lost), new AbortController().signal, (isWaiting) => told.push(isWaiting)))).toEqual(bytes.subarray(10, 90));
    expect(told).toEqual([true, false]);
  });

  it('takes an answer that is too short for one that broke off', async () => {
    const short: Source = { ...breaking(lost), async *stream(from, to) { yield bytes.subarray(from, Math.min(from + 60, to)); } };
    expect(await read(patient(short, new AbortController().signal, () => undefined))).toHaveLength(80);
  });

  it('has none with what another attempt does not mend', async () => {
    for (const error of [new ApiError(404, 'recording', 'Gone.', ''), new Error('does not open')]) {
      await expect(read(patient(breaking(() => error), new AbortController().signal, () => undefined))).rejects.toBe(error);
    }
  });

  it('ends at once when it is cancelled', async () => {
    const abort = new AbortController();
    const source = patient({ size: 1, range: () => new Promise(() => undefined), stream: () => { throw lost(); } }, abort.signal, () => undefined);
    const waiting = source.range(0, 1);
    abort.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await expect(read(source)).rejects.toThrow('cancelled');
  });
});
