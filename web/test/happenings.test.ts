import { describe, expect, it } from 'vitest';
import { goesOn, type Happening, Happenings, isWanted } from '../src/lib/app/happenings';
import type { CameraEvent } from '../src/lib/seal/event';

const told = (id: number, at: number, phase: CameraEvent['phase'], change: Partial<CameraEvent> = {}): CameraEvent => ({ id: `ev_${id}`, at, phase, kind: 'person', rule: 'Yard', source: 'onvif', topic: 'RuleEngine/X', ...change });
const opened = (recording: string, ...events: CameraEvent[]) => ({ recording, camera: 'cam_1', events, left_out: 0, problem: null });
const brief = (all: Happening[]) => all.map(({ id, from, to }) => [id, from, to]);

describe('happenings', () => {
  it('are one for a beginning and its end, whichever recording came first', () => {
    for (const order of [[0, 1], [1, 0]]) {
      const parts = [opened('a', told(1, 1000, 'began')), opened('b', told(2, 2000, 'happened'), told(1, 5000, 'ended'))];
      const found = new Happenings();
      for (const n of order) found.take(parts[n]!);
      expect(brief(found.all())).toEqual([['ev_2', 2000, 2000], ['ev_1', 1000, 5000]]);
    }
  });

  it('are apart where gateways drew the same id', () => {
    const found = new Happenings();
    found.take(opened('a', told(1, 1000, 'began')));
    found.take({ ...opened('b', told(1, 2000, 'ended')), camera: 'cam_2' });
    expect(brief(found.all())).toEqual([['ev_1', 1000, null]]);
  });

  it('change nothing when they are taken again, and take nothing that did not open', () => {
    const found = new Happenings();
    found.take({ ...opened('a', told(1, 1000, 'began')), problem: 'no key' });
    expect(found.has('a')).toBe(false);
    found.take(opened('a', told(1, 1000, 'began')));
    found.take(opened('a', told(1, 1000, 'ended')));
    expect(brief(found.all())).toEqual([['ev_1', 1000, null]]);
  });

  it('show no end whose beginning is not known, and none before its beginning', () => {
    const found = new Happenings();
    found.take(opened('a', told(1, 1000, 'ended')));
    expect(found.all()).toEqual([]);
    found.take(opened('b', told(1, 1500, 'began')));
    expect(brief(found.all())).toEqual([['ev_1', 1500, 1500]]);
  });

  it('go on until they end, and not for ever where nobody told the end', () => {
    const found = new Happenings();
    found.take(opened('a', told(1, 1000, 'began')));
    const [event] = found.all() as [Happening];
    expect(goesOn(event, 2000)).toBe(true);
    expect(goesOn(event, 1000 + 12 * 60_000)).toBe(false);
    expect(goesOn({ ...event, to: 1500 }, 1600)).toBe(false);
  });

  it('go on for as long as trouble lasts, until its end or the next one is told', () => {
    const down = (id: number, at: number, phase: CameraEvent['phase']) => told(id, at, phase, { kind: 'camera_down', rule: 'stalled', source: 'gateway', topic: 'lenskeep/camera_down' });
    const found = new Happenings();
    found.take(opened('a', down(1, 1000, 'began')));
    const goes = () => found.all().map((event) => goesOn(event, 1000 + 86_400_000));
    expect(goes()).toEqual([true]);
    found.take(opened('b', down(2, 9000, 'began')));
    expect(goes()).toEqual([true, false]);
    found.take(opened('c', down(2, 9900, 'ended')));
    expect(goes()).toEqual([false, false]);
  });

  it('are one where a gateway tells trouble of its own in the tracks of all its cameras', () => {
    const full = (phase: CameraEvent['phase'], at: number) => told(1, at, phase, { kind: 'disk', rule: 'full', source: 'gateway', topic: 'lenskeep/disk' });
    const found = new Happenings();
    for (const n of [1, 2, 3]) found.take({ ...opened(`${n}`, full('began', 1000)), camera: `cam_${n}` });
    found.take({ ...opened('4', full('ended', 5000)), camera: 'cam_2' });
    expect(brief(found.all())).toEqual([['ev_1', 1000, 5000]]);
    const [event] = found.all() as [Happening];
    const wanted = { kinds: new Set<never>(), text: '', unreviewed: false };
    expect(['cam_1', 'cam_3', 'cam_4'].map((camera) => isWanted(event, { ...wanted, camera }, new Set(), 'Shop'))).toEqual([true, true, false]);
  });

  it('are found by camera, kind, words and what is new', () => {
    const event: Happening = { id: 'ev_1', key: 'cam_1 ev_1', camera: 'cam_1', cameras: ['cam_1'], kind: 'person', rule: 'Einfahrt', topic: 'RuleEngine/FieldDetector', from: 0, to: 1 };
    const all = { camera: null, kinds: new Set<'person' | 'motion'>(), text: '', unreviewed: false };
    const wanted = (change: object, reviewed: string[] = []) => isWanted(event, { ...all, ...change }, new Set(reviewed), 'Gate');
    expect([{}, { camera: 'cam_1' }, { kinds: new Set(['person']) }, { text: ' EINF ' }, { text: 'gate' }, { text: 'field' }, { unreviewed: true }].map((change) => wanted(change))).toEqual(Array(7).fill(true));
    expect([{ camera: 'cam_2' }, { kinds: new Set(['motion']) }, { text: 'door' }].map((change) => wanted(change))).toEqual([false, false, false]);
    expect(wanted({ unreviewed: true }, ['ev_1'])).toBe(false);
  });
});
