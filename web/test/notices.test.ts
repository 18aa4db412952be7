// Notifications: what is ordered, what a notice says, and what is shown of it.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isPath, shownOf, silencesOf, UNREADABLE } from '../src/lib/app/notification';
import { FIRST_CHOICE, keysWith, wishesOf } from '../src/lib/app/notices.svelte';
import { isQuiet, quietTimes } from '../src/lib/app/quiet';
import { fromBase64, fromUtf8 } from '../src/lib/seal/bytes';
import { aesKey, signer } from '../src/lib/seal/crypto';
import { readEnvelope } from '../src/lib/seal/dsse';
import { hpkeOpen } from '../src/lib/seal/hpke';
import { associated, NOTICE_BYTES, openNotice, unpadded } from '../src/lib/seal/notice';
import { LIFE_MS_MAX } from '../src/lib/seal/noticeLimits';
import { placeOrder, writeWishes } from '../src/lib/seal/noticeOrder';

const vector = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../crates/seal/tests/it/vectors/${name}.json`, import.meta.url), 'utf8'));

// A zone whose clocks change.
process.env.TZ = 'Europe/Berlin';

const DAY = 86_400_000;
const camera = (n: number): string => `cam_${String(n).repeat(32)}`;
const gateway = (n: number): string => `gw_${String(n).repeat(32)}`;

describe('a notice', () => {
  const { notice, order } = vector('notice') as {
    notice: { text: object; sealed: string };
    order: { wishes: { key: string; rules: never[]; quiet: never[]; pause_ms: number; pictures: boolean }; payload: { org: string; gateway: string; device: string } };
  };
  const channel = order.payload;

  it('opens with the key of its order, and not if a byte or the device is another', async () => {
    const [key, sealed] = [await aesKey(fromBase64(order.wishes.key)), fromBase64(notice.sealed)];
    expect(await openNotice(sealed, key, channel)).toEqual(notice.text);
    for (const at of [0, 11, 12, 300, NOTICE_BYTES - 1]) {
      const altered = sealed.slice();
      altered[at]! ^= 1;
      await expect(openNotice(altered, key, channel)).rejects.toThrow('does not open');
    }
    await expect(openNotice(sealed, key, { ...channel, device: `dev_${'9'.repeat(32)}` })).rejects.toThrow('does not open');
    await expect(openNotice(sealed.slice(1), key, channel)).rejects.toThrow('bytes');
  });

  it('is ordered as the other implementation writes it', () => {
    const { key, ...wishes } = order.wishes;
    const written = fromUtf8(unpadded(writeWishes(wishes, fromBase64(key))));
    expect(written).toBe(JSON.stringify(order.wishes));
    expect(writeWishes(wishes, fromBase64(key)).length).toBe(4096);
    expect(fromUtf8(writeWishes({ ...wishes, pictures: false }, fromBase64(key)))).not.toContain('pictures');
  });
});

describe('an order', () => {
  it('is signed by the device, opens for its gateway, and its key cannot be read in the browser', async () => {
    const keys = vector('keys') as { kem_seed: string; kem_public: string; sign_public: string };
    const to = { id: gateway(1), name: 'Shop', kem: keys.kem_public, sign: keys.sign_public };
    const device = `dev_${'2'.repeat(32)}`;
    const org = `org_${'3'.repeat(32)}`;
    const wishes = { rules: [{ cameras: null, kinds: ['motion' as const] }], quiet: [], pause_ms: 0, pictures: true };
    const { envelope, key } = await placeOrder(org, to, wishes, 1_000, await signer(device, new Uint8Array(32).fill(7)));
    expect(key.extractable).toBe(false);
    const payload = JSON.parse(fromUtf8(fromBase64(readEnvelope(envelope).payload))) as { expires_at: number; sealed: { enc: string; ciphertext: string } };
    expect([payload.expires_at, readEnvelope(envelope).signatures[0]!.keyid]).toEqual([1_000 + LIFE_MS_MAX, device]);
    const label = 'lenskeep notice order v1';
    const plain = await hpkeOpen(fromBase64(keys.kem_seed), label, associated(label, { org, gateway: to.id, device }), fromBase64(payload.sealed.enc), fromBase64(payload.sealed.ciphertext));
    expect(JSON.parse(fromUtf8(unpadded(plain)))).toMatchObject(wishes);
  });

  it('goes to the gateways of the cameras that were chosen, and names no camera of another', () => {
    const cameras = [{ id: camera(1), gateway: gateway(1) }, { id: camera(2), gateway: gateway(1) }, { id: camera(3), gateway: gateway(2) }];
    const all = wishesOf(FIRST_CHOICE, cameras, 0);
    expect([...all.keys()]).toEqual([gateway(1), gateway(2)]);
    expect(all.get(gateway(1))!.rules[0]!.cameras).toBeNull();
    const some = wishesOf({ ...FIRST_CHOICE, cameras: [camera(2)], pause_minutes: 5 }, cameras, 0);
    expect([...some]).toEqual([[gateway(1), { rules: [{ cameras: [camera(2)], kinds: FIRST_CHOICE.kinds }], quiet: [], pause_ms: 300_000, pictures: true }]]);
    expect(wishesOf({ ...FIRST_CHOICE, kinds: [] }, cameras, 0).size).toBe(0);
  });
});

describe('quiet times', () => {
  const at = (day: number, hour: number): number => new Date(2026, 9, day, hour).getTime();
  const night = { from: 22 * 60, to: 7 * 60 };

  it('are each night for as long as an order lives, in the zone of the browser, whatever its clocks do', () => {
    const now = at(20, 12);
    const times = quietTimes({ quiet: night, snoozed_until: 0 }, now);
    expect(times[0]).toEqual({ from: at(20, 22), to: at(21, 7) });
    // The night of the 25th has an hour more.
    expect(times[4]!.to - times[4]!.from).toBe(10 * 3_600_000);
    expect(times[5]).toEqual({ from: at(25, 22), to: at(26, 7) });
    expect(times.at(-1)!.to).toBeGreaterThan(now + 60 * DAY);
    expect(times.length).toBeLessThanOrEqual(128);
    for (const [n, { from }] of times.slice(1).entries()) expect(from).toBeGreaterThan(times[n]!.to);
  });

  it('begin with the night that goes on, and with what is put off', () => {
    const now = at(20, 3);
    expect(quietTimes({ quiet: night, snoozed_until: now + 1 }, now).slice(0, 2)).toEqual([{ from: 0, to: now + 1 }, { from: at(19, 22), to: at(20, 7) }]);
    expect(quietTimes({ quiet: { from: 600, to: 660 }, snoozed_until: now }, now)[0]).toEqual({ from: at(20, 10), to: at(20, 11) });
    expect(quietTimes({ quiet: { from: 600, to: 600 }, snoozed_until: 0 }, now)).toEqual([]);
    expect([at(20, 3), at(20, 8), at(20, 22)].map((time) => isQuiet({ quiet: night, snoozed_until: 0 }, time))).toEqual([true, false, true]);
    expect(isQuiet({ quiet: null, snoozed_until: now }, now - 1)).toBe(true);
  });
});

it('keys of earlier orders stay for what is on its way, and no longer', () => {
  const key = (name: string) => name as unknown as CryptoKey;
  const hour = 3_600_000;
  const first = keysWith({}, { [gateway(1)]: key('a'), [gateway(2)]: key('b') }, 0);
  expect(first[gateway(1)]).toEqual([{ key: 'a', until: null }]);
  const second = keysWith(first, { [gateway(1)]: key('c') }, hour);
  expect(second).toEqual({ [gateway(1)]: [{ key: 'c', until: null }, { key: 'a', until: 4 * hour }], [gateway(2)]: [{ key: 'b', until: 4 * hour }] });
  expect(keysWith(second, { [gateway(1)]: key('d') }, 4 * hour)).toEqual({ [gateway(1)]: [{ key: 'd', until: null }, { key: 'c', until: 7 * hour }] });
});

describe('a notification', () => {
  const notice = { event: `ev_${'1'.repeat(32)}`, camera: camera(1), at: Date.UTC(2026, 10, 27, 12), kind: 'person' as const, rule: 'Yard' };

  it('says what, where and when, and leads to the moment before', () => {
    const shown = shownOf(notice, 'Front door', true, notice.at + 1_000);
    expect(shown.title).toBe('Person · Front door');
    expect(shown.body).toMatch(/^Yard · .*\d/);
    expect([shown.tag, shown.silent, shown.data.path]).toEqual([notice.event, false, `/cameras/${camera(1)}?at=2026-11-27T11:59:57.000Z`]);
    expect(isPath(shown.data.path)).toBe(true);
  });

  it('that was shown before, or says when it was long ago, is told so', () => {
    expect(shownOf(notice, 'Front door', false, notice.at).silent).toBe(true);
    expect(shownOf({ ...notice, rule: null }, null, true, notice.at + 30 * DAY)).toMatchObject({ title: 'Person · a camera', body: expect.stringContaining('2026') });
  });

  it('shows words of strangers as text that does not turn round', () => {
    expect(shownOf({ ...notice, rule: '<img onerror=alert(1)>\u202egpj' }, 'A\u202eB\u0000', true, notice.at)).toMatchObject({ title: 'Person · AB', body: expect.stringContaining('<img onerror=alert(1)>gpj') });
    expect(UNREADABLE.silent).toBe(true);
  });

  it('of trouble says what is wrong and what to do, and of a cause that is not known the kind alone', () => {
    const down = { ...notice, kind: 'camera_down' as const, rule: 'camera_unreachable' };
    const shown = shownOf(down, 'Front door', true, notice.at + 1_000);
    expect(shown.title).toBe('Camera does not answer · Front door');
    expect(shown.body).toMatch(/^The camera could not be reached\. Look at its power and network\..*\d/);
    expect(shownOf({ ...down, rule: 'toString' }, 'Front door', true, notice.at).body).toMatch(/^toString · /);
    // A camera that calls its rule so has told no trouble.
    expect(shownOf({ ...notice, rule: 'camera_unreachable' }, 'Front door', true, notice.at)).toMatchObject({ title: 'Person · Front door', body: expect.stringContaining('camera_unreachable') });
  });

  it('of silence is the server’s word, and says so first', () => {
    const names = { [gateway(1)]: 'Shop\u202e', [gateway(2)]: 'Barn' };
    const at = (n: number) => ({ gateway: gateway(n), since: notice.at });
    const told = (silent: number[], back: number[], more = 0) => silencesOf({ silent: silent.map(at), back: back.map(at), more }, names, false, notice.at + 1_000)!;
    expect(told([1], [])).toMatchObject({ title: 'Your server hears nothing of Shop', tag: `silence ${gateway(1)}`, silent: false, data: { path: '/health' } });
    expect(isPath(told([1], []).data.path)).toBe(true);
    expect(told([3], []).title).toBe('Your server hears nothing of a gateway');
    expect(told([1, 2], [], 40)).toMatchObject({ title: 'Your server hears nothing of 42 gateways', body: expect.stringMatching(/^Shop, Barn · /) });
    expect(told([], [2]).title).toBe('Your server hears Barn again');
    expect(told([], [1, 2]).title).toBe('Your server hears 2 gateways again');
    expect(silencesOf({ silent: [], back: [], more: 9 }, names, false, 0)).toBeNull();
    expect(silencesOf({ silent: [{ gateway: 'toString', since: 0 }], back: [], more: 0 }, names, true, 0)).toMatchObject({ title: 'Your server hears nothing of a gateway', silent: true });
  });

  it('of silence takes the place of what was told of the same gateways, and of no others', () => {
    const at = (n: number) => ({ gateway: gateway(n), since: notice.at });
    const told = (silent: number[], back: number[], isQuiet = false) => silencesOf({ silent: silent.map(at), back: back.map(at), more: 0 }, {}, isQuiet, notice.at)!;
    expect(told([2], []).tag).not.toBe(told([1], []).tag);
    expect(told([], [1]).tag).not.toBe(told([2], []).tag);
    expect(told([], [1]).tag).toBe(told([1], []).tag);
    expect(told([], [2, 1]).tag).toBe(told([1, 2], []).tag);
    expect(told([2], [1]).tag).toBe(told([1, 2], []).tag);
    // That one is silent again is heard; that it is back makes no second sound, and in a quiet time nothing does.
    expect([told([1], []), told([], [1]), told([1], [], true)].map(({ renotify }) => renotify)).toEqual([true, false, false]);
    const many = Array.from({ length: 100 }, (_, n) => ({ gateway: `gw_${String(n).padStart(32, '0')}`, since: 0 }));
    expect(silencesOf({ silent: many, back: many, more: 0 }, {}, false, 0)!.tag.length).toBeLessThan(600);
  });

  it('leads nowhere else', () => {
    for (const path of ['https://evil.example', '//evil.example', '/setup', `/cameras/${camera(1)}`, `/cameras/${camera(1)}?at=x`, 'javascript:alert(1)', null, {}]) expect(isPath(path)).toBe(false);
  });
});
