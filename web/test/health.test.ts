import { describe, expect, it } from 'vitest';
import type { Gap, GapReason, StreamStatus } from '../src/lib/api/types';
import { type Facts, troubles } from '../src/lib/app/health';

const NOW = 1_800_000_000_000;
const stream = (change: Partial<StreamStatus> = {}): StreamStatus => ({ camera: 'cam_1', rendition: 'main', state: 'recording', since: NOW - 3_600_000, reason: null, bits_per_second: 1, codec: 'h264', width: 1, height: 1, has_audio: false, ...change }) as StreamStatus;
const facts = (change: Partial<Facts> = {}): Facts => ({
  now: NOW,
  administrator: true,
  serverVersion: '0.1.0',
  clockAheadMs: 0,
  cameras: [{ id: 'cam_1', name: 'Door', gateway: 'gw_1', streams: [stream()] }],
  gateways: [{ id: 'gw_1', name: 'Shop', connected: true, version: '0.1.0', certificate_expires_at: NOW + 86_400_000 }],
  gaps: new Map(),
  silences: [],
  ...change,
});
const gap = (reason: GapReason, fromMinutes: number, minutes: number): Gap => ({ camera: 'cam_1', rendition: 'main', from: NOW - fromMinutes * 60_000, to: NOW - (fromMinutes - minutes) * 60_000, reason }) as unknown as Gap;
const said = (change: Partial<Facts>) => troubles(facts(change)).map(({ tone, about, what }) => `${tone} ${about}: ${what}`);
const camera = (...streams: StreamStatus[]) => ({ cameras: [{ id: 'cam_1', name: 'Door', gateway: 'gw_1', streams }] });
const shop = (change: Partial<Facts['gateways'][number]>) => ({ gateways: [{ ...facts().gateways[0]!, ...change }] });

describe('troubles', () => {
  it('are none where all is well', () => {
    expect(troubles(facts())).toEqual([]);
    expect(said({ clockAheadMs: null })).toEqual([]);
    expect(said(camera(stream({ state: 'connecting', since: NOW - 5000 })))).toEqual([]);
  });

  it('name what is not recorded, and why', () => {
    expect(said(camera(stream({ state: 'failed', reason: 'it refused the password.' })))).toEqual(['bad Door: Not recording: it refused the password.']);
    expect(said(camera(stream({ state: 'connecting', since: NOW - 120_000 })))).toEqual(['bad Door: Not recording: the gateway has been connecting for 2 minutes.']);
    expect(said(camera(stream(), stream({ rendition: 'sub', state: 'failed' })))).toEqual(['bad Door: Not recording (small stream): it does not say why.']);
    expect(said(camera())).toEqual(['bad Door: The gateway says nothing of it.']);
    expect(said(camera(stream({ reason: 'its clock is 3 minutes behind' })))).toEqual(['busy Door: Recording, but its clock is 3 minutes behind.']);
  });

  it('say of a gateway that is away that it is, and not that each camera is', () => {
    expect(said({ ...shop({ connected: false }), ...camera(stream({ state: 'failed' })) })).toEqual(['bad Shop: The gateway does not reach the server. One camera cannot be watched live from here.']);
    expect(said(shop({ version: '0.0.9' }))).toEqual(['busy Shop: It runs version 0.0.9, the server 0.1.0.']);
    expect(said(shop({ certificate_expires_at: NOW + 60_000 }))).toEqual(['busy Shop: Its certificate ends soon, and it has not renewed it.']);
  });

  it('add up what is missing of the last day, by the reason for most of it', () => {
    const gaps = [gap('stalled', 30, 1), gap('camera_unreachable', 100, 20), gap('camera_unreachable', 2200, 600)];
    // What lies before the day does not count.
    expect(said({ gaps: new Map([['cam_1', gaps]]) })).toEqual(['busy Door: 21 minutes of the last day are missing, mostly because the camera could not be reached.']);
    expect(said({ gaps: new Map([['cam_1', [gap('restarted', 30, 1)]]]) })).toEqual([]);
    const [found] = troubles(facts({ gaps: new Map([['cam_1', [gap('disk_full', 30, 20)]]]) }));
    expect(found!.todo).toBe('Let the gateway keep less, or give it a larger disk.');
  });

  it('compare clocks, and come the worst first', () => {
    expect(said({ clockAheadMs: -90_000 })).toEqual(['busy This device: The clock of this device is 1 minute 30 seconds behind the server’s.']);
    expect(said({ clockAheadMs: 90_000, ...camera(stream({ state: 'failed' })) }).map((text) => text.slice(0, 4))).toEqual(['bad ', 'busy']);
    expect(said({ clockAheadMs: 600_000 })[0]).toMatch(/^bad /);
  });

  it('lead nobody to a page that they may not use', () => {
    const hrefs = (administrator: boolean) => troubles(facts({ administrator, ...shop({ version: '9' }), ...camera(stream({ state: 'failed' })) })).map(({ link }) => link?.href);
    expect(hrefs(true)).toEqual(['/cameras/cam_1/access', '/gateways']);
    expect(hrefs(false)).toEqual(['/cameras/cam_1', undefined]);
  });
});
