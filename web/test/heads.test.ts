// A cloud that shows a gateway another roster than its people.

import { describe, expect, it } from 'vitest';
import { UNHEARD_MS } from '../src/lib/seal/limits';
import { Heads } from '../src/worker/heads';

const [first, second, other] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];

const dated = (hash: string, at = 0) => ({ hash, at });

function viewer(shown: (heads: Heads) => void) {
  const told: string[] = [];
  let fetches = 0;
  const heads = new Heads(async () => {
    fetches += 1;
    shown(heads);
  }, (signer) => told.push(signer));
  heads.learn(0, [dated(first)]);
  return { heads, told, fetches: () => fetches };
}

describe('the roster that a gateway goes by', () => {
  it('is known, or was only newer: then it is fetched once', async () => {
    const { heads, told, fetches } = viewer((heads) => heads.learn(1, [dated(second)]));
    await heads.check(first, 'gw_1');
    expect(fetches()).toBe(0);
    await heads.check(second, 'gw_1');
    await heads.check(second, 'gw_1');
    expect([fetches(), told]).toEqual([1, []]);
  });

  it('is refused where the viewer is frozen while the gateway has gone on', async () => {
    const { heads, told, fetches } = viewer(() => undefined);
    await expect(heads.check(second, 'gw_1')).rejects.toMatchObject({ code: 'split', message: expect.stringContaining('another roster') });
    expect([fetches(), told]).toEqual([1, ['gw_1']]);
    await heads.check(first, 'gw_1');
  });

  it('is refused where the log was forked for the viewer', async () => {
    const { heads, told } = viewer((heads) => heads.learn(1, [dated(other)]));
    await expect(heads.check(second, 'gw_1')).rejects.toMatchObject({ code: 'split' });
    expect(told).toEqual(['gw_1']);
  });

  it('is not judged when the roster does not come', async () => {
    const { heads, told } = viewer(() => {
      throw new Error('away');
    });
    await expect(heads.check(second, 'gw_1')).rejects.toThrow('away');
    expect(told).toEqual([]);
  });

  it('is forgotten with the roster: another log begins anew', async () => {
    const { heads } = viewer(() => undefined);
    heads.learn(0, [dated(other)]);
    await expect(heads.check(first, 'gw_1')).rejects.toMatchObject({ code: 'split' });
  });

  it('is noticed where a statement was kept from it, long after an epoch that had begun before', () => {
    const { heads } = viewer(() => undefined);
    const revoked = 1_763_836_800_000;
    heads.learn(1, [dated(second, revoked)]);
    expect(heads.unheard(first, revoked + UNHEARD_MS + 1)).toBe(revoked);
    expect(heads.unheard(first, revoked + UNHEARD_MS)).toBeNull();
    expect(heads.unheard(second, revoked + 100 * UNHEARD_MS)).toBeNull();
    expect(heads.unheard(other, revoked + 100 * UNHEARD_MS)).toBeNull();
    heads.learn(2, [dated(other, revoked + 1)]);
    expect(heads.unheard(first, revoked + 100 * UNHEARD_MS)).toBe(revoked);
  });
});
