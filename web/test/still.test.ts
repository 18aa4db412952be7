// Pictures of notifications in the service worker: what a hostile server makes of them, and that no notification waits for its picture.

import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromBase64 } from '../src/lib/seal/bytes';
import { aesKey } from '../src/lib/seal/crypto';
import { STILL_SEALED_BYTES_MAX, StillSecret } from '../src/lib/seal/still';

const { notice, order, still } = JSON.parse(readFileSync(new URL('../../crates/seal/tests/it/vectors/notice.json', import.meta.url), 'utf8')) as {
  notice: { text: { event: string; camera: string; still: string }; sealed: string };
  order: { wishes: { key: string }; payload: { org: string; gateway: string; device: string } };
  still: { id: string; picture: string; sealed: string };
};
const { org, gateway, device } = order.payload;
const { camera, event, still: secret } = notice.text;
const place = { org, gateway, camera, event };
const picture = `data:image/jpeg;base64,${still.picture}`;

// A browser that ordered notices.
const memory = { org, device, keys: {} as Record<string, unknown>, names: { [camera]: 'Gate' }, shown: [] as string[] };
vi.mock('../src/lib/device/store', () => ({ loadLanguage: async () => 'en', loadNotices: async () => memory, changeNotices: async (change: (before: unknown) => { shown: string[] } | null) => Object.assign(memory, change(memory)) }));

const listeners = new Map<string, (event: Record<string, unknown>) => void>();
const notified: { title: string; tag: string; silent: boolean; image?: string }[] = [];
let open: { tag: string }[] = [];
vi.stubGlobal('self', {
  addEventListener: (type: string, listener: (event: Record<string, unknown>) => void) => void listeners.set(type, listener),
  registration: {
    showNotification: async (title: string, options: { tag: string; silent: boolean; image?: string }) => {
      notified.push({ title, ...options });
      open = [{ tag: options.tag }];
    },
    getNotifications: async ({ tag }: { tag: string }) => open.filter((each) => each.tag === tag),
  },
});
const asked: [string, RequestInit | undefined][] = [];
let answer: () => Response = () => new Response(null, { status: 404 });
vi.stubGlobal('fetch', async (path: string, init?: RequestInit) => (asked.push([path, init]), answer()));
const { stillPicture } = await import('../src/service-worker/still');
await import('../src/service-worker/main');

async function push(): Promise<void> {
  let work: unknown;
  listeners.get('push')!({ data: { text: () => JSON.stringify({ gateway, notice: notice.sealed }) }, waitUntil: (promise: unknown) => (work = promise) });
  await work;
}
const gives = (bytes: Uint8Array) => (answer = () => new Response(bytes as BodyInit));

beforeEach(async () => {
  asked.length = notified.length = 0;
  open = [];
  memory.shown = [];
  memory.keys = { [gateway]: [{ key: await aesKey(fromBase64(order.wishes.key)), until: null }] };
  answer = () => new Response(null, { status: 404 });
});

describe('a picture', () => {
  it('is found and opened by what the notice says, without a session', async () => {
    expect((await StillSecret.of(secret)).id).toBe(still.id);
    gives(fromBase64(still.sealed));
    expect(await stillPicture(secret, place)).toBe(picture);
    expect(asked).toHaveLength(1);
    expect(asked[0]![0]).toBe(`/api/v1/stills/${still.id}`);
    expect(asked[0]![1]).toMatchObject({ credentials: 'omit', redirect: 'error' });
  });

  it('that the server has altered, swapped or made up is none', async () => {
    const sealed = fromBase64(still.sealed);
    for (let at = 0; at < sealed.length; at += 1) {
      const altered = sealed.slice();
      altered[at]! ^= 1;
      gives(altered);
      await expect(stillPicture(secret, place)).rejects.toThrow('does not open');
    }
    // Another event's, another camera's, another gateway's.
    gives(sealed);
    for (const other of [{ event: `ev_${'9'.repeat(32)}` }, { camera: `cam_${'9'.repeat(32)}` }, { gateway: `gw_${'9'.repeat(32)}` }, { org: `org_${'9'.repeat(32)}` }]) {
      await expect(stillPicture(secret, { ...place, ...other })).rejects.toThrow('does not open');
    }
    gives(new TextEncoder().encode('<html><script>alert(1)</script>'));
    await expect(stillPicture(secret, place)).rejects.toThrow('does not open');
  });

  it('that does not come, or does not end, is given up', async () => {
    expect(await stillPicture(secret, place, 50, 5)).toBeNull();
    expect(asked.length).toBeGreaterThan(1);
    answer = () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(STILL_SEALED_BYTES_MAX / 4)) }));
    await expect(stillPicture(secret, place)).rejects.toThrow('more than a picture');
  });
});

describe('a notification', () => {
  it('is shown at once, and its picture is put into it without a sound', async () => {
    gives(fromBase64(still.sealed));
    await push();
    expect(notified.map(({ title, tag, silent, image }) => [title, tag, silent, image])).toEqual([
      ['Person · Gate', event, false, undefined],
      ['Person · Gate', event, true, picture],
    ]);
  });

  it('is shown without one that the server has altered', async () => {
    gives(fromBase64(still.sealed).fill(1));
    await push();
    expect(notified.map(({ title, image }) => [title, image])).toEqual([['Person · Gate', undefined]]);
  });

  it('that was put away does not come back', async () => {
    answer = () => ((open = []), new Response(fromBase64(still.sealed)));
    await push();
    expect(notified).toHaveLength(1);
  });
});
