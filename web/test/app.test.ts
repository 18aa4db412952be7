// The parts of pages that only work things out.

import { writePairing } from '../src/lib/seal/pairing';
import { type Assignment, policyDigest, rolesState, sortedRoles } from '../src/lib/seal/action';
import { describe, expect, it } from 'vitest';
import type { Gap, HistoryEntry, RecordingListing } from '../src/lib/api/types';
import { splitCameraUrl } from '../src/lib/app/cameraUrl';
import { minuteOf, timeOf } from '../src/lib/app/forwarding';
import { rows } from '../src/lib/app/history';
import { invitationLink, readDeviceLink, readInvitation } from '../src/lib/app/invitation';
import { readReturn } from '../src/lib/app/returned';
import { momentOf } from '../src/lib/app/moment';
import { Panning } from '../src/lib/app/panning';
import { activityOf, activityOfSummary, bars, coverage, LONGEST_MS, marks, missing, SHORTEST_MS, summed, within, zoomed } from '../src/lib/app/timeline';
import { lengthOf } from '../src/lib/app/words';

const recording = (started_at: number, duration_ms: number, available = true) => ({ started_at, duration_ms, available }) as RecordingListing;
const gap = (from: number, to: number, reason: Gap['reason']) => ({ from, to, reason }) as Gap;

describe('a timeline', () => {
  it('joins recordings that follow each other, in any order', () => {
    expect(coverage([recording(60_000, 60_000), recording(0, 59_980), recording(200_000, 1000)])).toEqual([{ from: 0, to: 120_000 }, { from: 200_000, to: 201_000 }]);
  });
  it('leaves out what the store does not have', () => {
    expect(coverage([recording(0, 1000, false)])).toEqual([]);
  });
  it('says why something is missing, by the reason that holds longest', () => {
    const spans = [{ from: 0, to: 100 }, { from: 200, to: 300 }, { from: 400, to: 500 }];
    expect(missing(spans, [gap(95, 120, 'restarted'), gap(110, 210, 'camera_unreachable')])).toEqual([
      { from: 100, to: 200, reason: 'camera_unreachable' },
      { from: 300, to: 400, reason: null },
    ]);
  });
  it('knows what is inside', () => {
    expect([0, 99, 100].map((time) => within([{ from: 0, to: 100 }], time))).toEqual([true, true, false]);
  });
  it('tells whole parts of a summary from those with holes', () => {
    const part = (number: number, recorded_ms: number) => ({ part: number, recorded_ms, bytes: 1 });
    expect(summed({ from: 1000, part_ms: 100, parts: [part(0, 100), part(1, 95), part(2, 40), part(5, 1)] })).toEqual({
      whole: [{ from: 1000, to: 1200 }],
      some: [{ from: 1200, to: 1300 }, { from: 1500, to: 1600 }],
    });
  });
  it('shows where more goes on than at most times, and nothing where all is alike', () => {
    const sized = (at: number, bytes: number) => ({ ...recording(at * 60_000, 60_000), bytes });
    const quiet = Array.from({ length: 50 }, (_, at) => sized(at, 600_000 + at));
    expect(activityOf(quiet)).toEqual([]);
    expect(activityOf([])).toEqual([]);
    const found = activityOf([...quiet, sized(50, 1_200_000), sized(51, 2_400_000)]);
    expect(found.find(({ from }) => from === 51 * 60_000)).toEqual({ from: 51 * 60_000, to: 52 * 60_000, level: 1 });
    expect(found.find(({ from }) => from === 0)).toBeUndefined();
    // By the time that was recorded, not by that of the part.
    const parts = [...Array.from({ length: 50 }, (_, part) => ({ part, recorded_ms: 1000, bytes: 1000 })), { part: 50, recorded_ms: 100, bytes: 100 }];
    expect(activityOfSummary({ from: 0, part_ms: 1000, parts })).toEqual([]);
    expect(activityOfSummary({ from: 0, part_ms: 1000, parts: [...parts, { part: 51, recorded_ms: 100, bytes: 400 }] }).map(({ from }) => from)).toEqual([51_000]);
  });
  it('zooms around a time, between a few pictures and a month', () => {
    expect(zoomed({ from: 1000, to: 101_000 }, 0.5, 26_000)).toEqual({ from: 13_500, to: 63_500 });
    const narrow = zoomed({ from: 0, to: 3000 }, 0.1, 3000);
    expect([narrow.to - narrow.from, narrow.to]).toEqual([SHORTEST_MS, 3000]);
    const wide = zoomed({ from: 0, to: LONGEST_MS }, 9, LONGEST_MS);
    expect([wide.to - wide.from, wide.to]).toEqual([LONGEST_MS, LONGEST_MS]);
  });
  it('draws what is in the window, and nothing too thin to be seen', () => {
    const view = { from: 0, to: 1000 };
    expect(bars([{ from: -50, to: 100 }, { from: 500, to: 500.1, level: 0.5 }, { from: 2000, to: 3000 }], view, 100, 10)).toBe('M0.0,10v-10.0h10.0v10.0zM50.0,10v-5.0h2.0v5.0z');
  });
  it('marks round times of the viewer, and few of them', () => {
    // A night in which many zones change their clocks.
    const from = new Date(2026, 2, 28, 0, 7, 30).getTime();
    for (const span of [2000, 60_000, 600_000, 3_600_000, 86_400_000, 3 * 86_400_000, 30 * 86_400_000]) {
      const found = marks({ from, to: from + span }, 8);
      expect(found.length).toBeGreaterThanOrEqual(2);
      expect(found.length).toBeLessThanOrEqual(9);
      for (const { at, names } of found) {
        const date = new Date(at);
        if (names !== 'second') expect(date.getSeconds()).toBe(0);
        expect([date.getHours(), date.getMinutes(), date.getSeconds()].every((part) => part === 0), `${date}`).toBe(names === 'day');
      }
    }
    // They stay where they are while the window moves, by whole days too.
    const days = (from_: number) => marks({ from: from_, to: from_ + 30 * 86_400_000 }, 8).map(({ at }) => at);
    const [here, there] = [days(from), days(from + 86_400_000)];
    expect(there.filter((at) => at <= here.at(-1)!)).toEqual(here.filter((at) => at >= from + 86_400_000));
    // By the clock on the wall also after it was changed.
    const hours = marks({ from, to: from + 3 * 86_400_000 }, 8).map(({ at }) => new Date(at).getHours());
    expect(hours.every((hour) => hour % 12 === 0), `${hours}`).toBe(true);
  });
  it('says how much it shows', () => {
    expect([60_000, 86_400_000, 4_800_000, 5_000, 30 * 86_400_000].map(lengthOf)).toEqual(['1 minute', '1 day', '1 hour 20 minutes', '5 seconds', '30 days']);
    // Rounded before it is divided.
    expect([7_199_999, 7 * 86_400_000 - 1, 59_999, 900].map(lengthOf)).toEqual(['2 hours', '7 days', '1 minute', '1 second']);
  });
});

describe('a link to a moment', () => {
  it('names one that was, and nothing else', () => {
    const now = Date.UTC(2026, 10, 27, 8);
    expect(momentOf('?at=2026-11-27T07:59:59.250Z', now)).toBe(now - 750);
    expect(momentOf('?at=2026-11-27T07:59:59Z', now)).toBe(now - 1000);
    for (const bad of ['', '?at=', '?at=5', '?at=2026-11-27T08:05:01Z', '?at=2026-13-40T08:00:00Z', '?at=1960-01-01T00:00:00Z', '?at=2026-11-27T07:59:59%2B01:00', '?at=javascript:alert(1)']) {
      expect(momentOf(bad, now), bad).toBeNull();
    }
  });
});

describe('fingers on a band', () => {
  const moved = () => {
    const log: (string | number)[][] = [];
    const panning = new Panning({ pan: (by) => log.push(['pan', by]), zoom: (factor, at) => log.push(['zoom', factor, at]) });
    return { log, panning };
  };
  it('tap, where one hardly moves', () => {
    const { panning } = moved();
    panning.start(1, 50, 0);
    panning.move(1, 52, 20);
    expect(panning.end(1, 40)).toBe(true);
    expect(panning.glide(16)).toBe(false);
  });
  it('pan, and what was thrown runs on and comes to rest', () => {
    const { log, panning } = moved();
    panning.start(1, 0, 0);
    for (let step = 1; step <= 5; step += 1) panning.move(1, step * 20, step * 16);
    expect(panning.end(1, 90)).toBe(false);
    expect(log).toEqual(Array.from({ length: 5 }, () => ['pan', 20]));
    let frames = 0;
    while (panning.glide(16)) frames += 1;
    expect(frames).toBeGreaterThan(20);
    expect(frames).toBeLessThan(200);
    // A finger that rested before it was lifted throws nothing.
    panning.start(1, 0, 5000);
    panning.move(1, 90, 5016);
    panning.end(1, 5400);
    expect(panning.glide(16)).toBe(false);
  });
  it('zoom, where two spread, around their middle', () => {
    const { log, panning } = moved();
    panning.start(1, 100, 0);
    panning.start(2, 200, 10);
    panning.move(2, 300, 20);
    expect(log).toEqual([['zoom', 0.5, 150], ['pan', 50]]);
    expect(panning.end(2, 30)).toBe(false);
    panning.end(1, 40);
    expect(panning.active).toBe(false);
  });
});

describe('times of the day', () => {
  it('go to UTC and come back, over midnight too', () => {
    for (const offset of [0, -120, 600, -345]) {
      for (const time of ['00:00', '05:30', '23:59']) expect(timeOf(minuteOf(time, offset), offset)).toBe(time);
    }
    expect(minuteOf('01:00', -120)).toBe(23 * 60);
    expect(minuteOf('20:00', 300)).toBe(60);
  });
});

describe('the address of a camera', () => {
  it.each([
    ['rtsp://192.168.1.20/stream1', 'rtsp://192.168.1.20/stream1', null, null],
    [' RTSPS://ada:secret@cam.local:322/a?b=c ', 'rtsps://cam.local:322/a?b=c', 'ada', 'secret'],
    ['rtsp://ada:p@ss:w%20rd@cam/1', 'rtsp://cam/1', 'ada', 'p@ss:w rd'],
    ['rtsp://ada:100%@cam/1', 'rtsp://cam/1', 'ada', '100%'],
    ['rtsp://ada@[fe80::1]/1', 'rtsp://[fe80::1]/1', 'ada', null],
  ])('%s', (text, url, username, password) => {
    expect(splitCameraUrl(text)).toEqual({ url, username, password });
  });
  it.each(['http://cam/1', 'rtsp://', 'rtsp://ada:b@/1', 'rtsp://cam/a b', 'cam'])('refuses %s', (text) => {
    expect(() => splitCameraUrl(text)).toThrow(/address/);
  });
});

describe('an invitation', () => {
  const invitation = { token: 'a+b/c=&d', anchor: 'ab'.repeat(32), pairing: `${'12'.repeat(16)}${'cd'.repeat(32)}` };
  it('goes through a link and back', () => {
    const link = new URL(invitationLink('https://example.org', invitation));
    expect(link.pathname + link.search).toBe('/join');
    const read = readInvitation(link.hash)!;
    expect([read.token, read.anchor, writePairing(read.pairing!)]).toEqual(Object.values(invitation));
  });
  it('is taken without what a code is worked out from: then fingerprints are compared', () => {
    expect(readInvitation(`#token=a&anchor=${'ab'.repeat(32)}&pairing=12`)).toEqual({ token: 'a', anchor: 'ab'.repeat(32), pairing: null });
  });
  it('for a further device says whose it is, and is taken whole or not at all', () => {
    const parts = { org: `org_${'1'.repeat(32)}`, person: `usr_${'2'.repeat(32)}`, token: 'ef'.repeat(32), anchor: 'ab'.repeat(32), pairing: '12'.repeat(48) };
    const { pairing: _, ...rest } = parts;
    expect(readDeviceLink(`#${new URLSearchParams(parts)}`)).toMatchObject(rest);
    for (const name of Object.keys(parts)) {
      const without = new URLSearchParams(parts);
      without.set(name, 'x');
      expect(readDeviceLink(`#${without}`)).toBeNull();
    }
  });
  it.each(['', '#token=a', `#anchor=${'ab'.repeat(32)}`, '#token=a&anchor=ab', `#token=${'a'.repeat(513)}&anchor=${'ab'.repeat(32)}`])('refuses %s', (fragment) => {
    expect(readInvitation(fragment)).toBeNull();
  });
});

describe('the history', () => {
  const entry = (seq: number, action: string, resource: string) => ({ seq, at: seq * 10, actor: 'a', action, resource, hash: '', leaf: '', device: null, signature: null, policy: null, posture: null, request: null, refused: null }) satisfies HistoryEntry;
  it('makes one row of entries that say the same in a row', () => {
    const found = rows([entry(4, 'playback', 'r1'), entry(3, 'playback', 'r1'), entry(2, 'live', 'c'), entry(1, 'playback', 'r1')]);
    expect(found.map(({ seq, times, since }) => [seq, times, since])).toEqual([[4, 2, 30], [2, 1, 20], [1, 1, 10]]);
  });
});

describe('roles and policies', () => {
  const [person, camera] = [`usr_${'1'.repeat(32)}`, `cam_${'2'.repeat(32)}`];
  it('writes assignments in the order in which the server writes them', async () => {
    const mixed: Assignment[] = [
      { role: 'operator', place: 'group:b' },
      { role: 'viewer', place: `camera:${camera}` },
      { role: 'operator', place: 'all' },
      { role: 'viewer', place: 'group:a' },
    ];
    expect(sortedRoles(mixed).map(({ role, place }) => `${role} ${place}`)).toEqual(['viewer group:a', `viewer camera:${camera}`, 'operator all', 'operator group:b']);
    // The same as roles_state of crates/seal, whose test has these figures too.
    expect(await rolesState(person, mixed)).toBe('711098e3d9efba1693b48253d81ef35c660063d7e4c1b6a3196a9fa807e1ea31');
    expect(await policyDigest({ 'b.cedar': 'permit', 'a.cedar': 'ü\n"' })).toBe('e2f131370177ccd855fb91302eaaaba210ebe4ad18fae9f04a77b1048965a820');
  });
});

describe('coming back from an identity provider', () => {
  it('is read from the address of that provider alone', () => {
    const back = (pathname: string, search: string) => readReturn({ pathname, search });
    expect(back('/sign-in/corp', '?code=c&state=s&iss=https%3A%2F%2Fid.example.org')).toEqual({ provider: 'corp', code: 'c', state: 's', iss: 'https://id.example.org', error: null });
    expect(back('/sign-in/corp', '?error=access_denied&state=s')).toMatchObject({ code: null, error: 'access_denied' });
    for (const path of ['/sign-in/', '/sign-in/Corp', '/sign-in/a/b', '/x/sign-in/corp', `/sign-in/${'a'.repeat(41)}`]) expect(back(path, '?code=c&state=s')).toBeNull();
  });
});
