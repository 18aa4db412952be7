// The service worker as a browser runs it, with a browser that is not there: what it does with a message and with a press.

import { beforeEach, expect, it, vi } from 'vitest';

type Listener = (event: Record<string, unknown>) => void;

const listeners = new Map<string, Listener>();
const notified: { title: string; tag: string }[] = [];
const pages: { visibilityState: string; focus: () => Promise<void>; postMessage: (message: unknown) => void }[] = [];
const opened: string[] = [];
const worker = {
  addEventListener: (type: string, listener: Listener) => void listeners.set(type, listener),
  registration: { showNotification: async (title: string, { tag }: { tag: string }) => void notified.push({ title, tag }) },
  clients: { matchAll: async () => pages, openWindow: async (path: string) => void opened.push(path), claim: async () => undefined },
  skipWaiting: async () => undefined,
};

vi.stubGlobal('self', worker);
await import('../src/service-worker/main');

async function fire(type: string, event: Record<string, unknown>): Promise<void> {
  let work: unknown;
  listeners.get(type)!({ ...event, waitUntil: (promise: unknown) => (work = promise) });
  await work;
}
const push = (text: string | null) => fire('push', { data: text === null ? null : { text: () => text } });
const press = (data: unknown) => fire('notificationclick', { notification: { close: () => undefined, data } });

beforeEach(() => {
  notified.length = opened.length = pages.length = 0;
});

it('answers no request of a page, so that there is nothing to poison', () => {
  expect([...listeners.keys()].sort()).toEqual(['activate', 'install', 'notificationclick', 'push']);
});

it('shows something for every message, and of one that it cannot read nothing', async () => {
  // There is no store here, as in a browser that has forgotten its key.
  for (const text of [null, '', '{', '[]', '{"title":"Pay"}', `{"gateway":"gw_${'1'.repeat(32)}","notice":"AAAA"}`]) await push(text);
  expect(notified.map(({ title, tag }) => [title, tag])).toEqual(Array(6).fill(['Lenskeep', 'unreadable']));
  await push('{"test":true}');
  expect(notified.at(-1)!.tag).toBe('test');
});

it('says that the server says so, whatever a message of the server holds', async () => {
  const since = Date.UTC(2026, 10, 27);
  const silence = { silent: [{ gateway: `gw_${'1'.repeat(32)}`, since }], back: [], more: 0 };
  await push(JSON.stringify({ gateways: silence }));
  expect(notified.at(-1)).toEqual({ title: 'Your server hears nothing of a gateway', tag: `silence gw_${'1'.repeat(32)}` });
  // Words, a place to go, or a notice beside it change nothing; what is not of its form says nothing.
  await push(JSON.stringify({ gateways: { ...silence, title: 'Pay' }, title: 'Pay', event: 'ev_1', gateway: 'Door', notice: 'AAAA', path: 'https://evil.example' }));
  expect(notified.at(-1)).toEqual({ title: 'Your server hears nothing of a gateway', tag: `silence gw_${'1'.repeat(32)}` });
  const bad = [{ silent: [{ gateway: 'Pay', since }] }, { silent: Array(17).fill(silence.silent[0]) }, { silent: [], more: 7 }, { silent: [{ ...silence.silent[0], since: -1 }] }];
  for (const part of bad) {
    await push(JSON.stringify({ gateways: { ...silence, ...part } }));
    expect(notified.at(-1)!.tag).toBe('unreadable');
  }
});

it('tells in the language of the browser where no page has said another', async () => {
  vi.stubGlobal('navigator', { languages: ['nl', 'de-CH'] });
  await push('{"test":true}');
  expect(notified.at(-1)!.title).toBe('Benachrichtigungen funktionieren');
  vi.stubGlobal('navigator', { languages: ['en-GB'] });
  await push('{"test":true}');
  expect(notified.at(-1)!.title).toBe('Notifications work');
});

it('leads to the page that is open and leaves it unlocked, or opens one', async () => {
  const path = `/cameras/cam_${'1'.repeat(32)}?at=2026-11-27T12:00:00.000Z`;
  await press({ path });
  expect(opened).toEqual([path]);
  const told: unknown[] = [];
  for (const visibilityState of ['hidden', 'visible']) pages.push({ visibilityState, focus: async () => void told.push('focus'), postMessage: (message) => told.push([visibilityState, message]) });
  await press({ path });
  expect(told).toEqual([['visible', { open: path }], 'focus']);
  expect(opened).toHaveLength(1);
});
