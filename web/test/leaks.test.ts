import { describe, expect, it } from 'vitest';
import { bySecret, counted, openCameras } from '../src/lib/app/leaks';
import type { Leak, SweptCamera } from '../src/lib/seal/cameraAnswer';

const [GATE, YARD] = [`cam_${'1'.repeat(32)}`, `cam_${'2'.repeat(32)}`] as const;
const leak = (fingerprint: string, severity: Leak['severity'], place = 'parameters'): Leak => ({
  fingerprint,
  rule: 'rule',
  title: 'Title',
  opens: 'Opens',
  remedy: 'Remedy',
  severity,
  place,
  parameter: null,
  line: null,
  redacted: '…',
  ends_at: null,
  first_at: 1,
});
const swept = (camera: string, ...findings: Leak[]): SweptCamera => ({ camera, swept_at: 1, read: 1, error: null, findings, left_out: 0 });

describe('secrets in cameras', () => {
  it('of one fingerprint are one secret with all its places, by its gravest', () => {
    const key = 'a'.repeat(32);
    const [first, second] = bySecret([swept(GATE, leak('b'.repeat(32), 'low'), leak(key, 'medium')), swept(YARD, leak(key, 'critical', 'system log'))]);
    expect(first!.places.map(({ camera }) => camera)).toEqual([GATE, YARD]);
    expect(first!.leak.severity).toBe('critical');
    expect(second!.leak.severity).toBe('low');
  });

  it('that people chose are not taken for the same in two cameras', () => {
    // Twelve bits: one in four thousand is another password.
    const cameras = [swept(GATE, leak('abc', 'high'), leak('abc', 'high', 'system log')), swept(YARD, leak('abc', 'high'))];
    expect(bySecret(cameras).map(({ places }) => places.length)).toEqual([2, 1]);
    expect(counted(cameras)).toEqual({ grave: 2, others: 0 });
  });

  it('put the camera with the gravest first, and leave out where nothing lies open', () => {
    expect(openCameras([swept(GATE, leak('abc', 'low')), swept(YARD, leak('abd', 'high')), swept(`cam_${'3'.repeat(32)}`)]).map(({ camera }) => camera)).toEqual([YARD, GATE]);
  });
});
