// The service worker. It shows what gateways tell this browser while nobody looks (docs/format.md section 9), and leads from there to the
// picture. It answers no request of the page: there is no cache that could be poisoned. (That it is this one is the server's word, as of every
// page that it serves: docs/threat-model.md.)

import languages from 'virtual:languages/service-worker';
import { changeNotices, loadLanguage, loadNotices, type NoticeKey } from '../lib/device/store';
import { isPath, type Shown, shownOf, testOf, UNREADABLE } from '../lib/app/notification';
import { ENGLISH, localeFor, preferred } from '../lib/app/locales';
import { speak } from '../lib/say';
import { fromBase64 } from '../lib/seal/bytes';
import { type Notice, NOTICE_BYTES, openNotice } from '../lib/seal/notice';
import { b64, bool, id, loose } from '../lib/seal/shape';

const worker = self as unknown as ServiceWorkerGlobalScope;

/** Of push messages; RFC 8291 has 3 993. */
const MESSAGE_CHARS_MAX = 4096;
/** Events that are known to have been shown. */
const SHOWN_MAX = 256;

const noticeMessage = loose({ gateway: id('gw_'), notice: b64(NOTICE_BYTES) });
const testMessage = loose({ test: bool });

worker.addEventListener('install', () => void worker.skipWaiting());
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener('push', (event) => event.waitUntil(tell(event.data?.text() ?? '')));
worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(show((event.notification.data as { path?: unknown } | null)?.path));
});

async function tell(text: string): Promise<void> {
  await chooseLanguage().catch(() => undefined);
  const { title, ...options } = await shownFor(text).catch(() => UNREADABLE);
  await worker.registration.showNotification(title, { icon: '/icon-192.png', badge: '/icon-192.png', ...options });
}

/** That of the page when it was open last. */
async function chooseLanguage(): Promise<void> {
  const asked = await loadLanguage().catch(() => null);
  const language = asked ?? preferred([ENGLISH, ...Object.keys(languages)]);
  speak({ language, locale: localeFor(language), messages: languages[language]?.[0] ?? {} });
}

async function shownFor(text: string): Promise<Shown> {
  if (text.length > MESSAGE_CHARS_MAX) return UNREADABLE;
  const message: unknown = JSON.parse(text);
  if (Object.hasOwn(Object(message), 'test')) return testMessage(message, 'test') && testOf(Date.now());
  const memory = await loadNotices();
  const { gateway, notice } = noticeMessage(message, 'message');
  if (!memory) return UNREADABLE;
  const { org, device, keys, names } = memory;
  const opened = await openWith(keys[gateway] ?? [], fromBase64(notice), { org, gateway, device });
  // A browser must show something for each message: what was shown before comes without a sound, and in its place.
  let isNews = false;
  await changeNotices((before) => {
    isNews = before !== null && !before.shown.includes(opened.event);
    return before && isNews ? { ...before, shown: [...before.shown, opened.event].slice(-SHOWN_MAX) } : null;
  });
  return shownOf(opened, names[opened.camera] ?? null, isNews, Date.now());
}

async function openWith(keys: NoticeKey[], sealed: ReturnType<typeof fromBase64>, channel: Parameters<typeof openNotice>[2]): Promise<Notice> {
  for (const { key } of keys) {
    const opened = await openNotice(sealed, key, channel).catch(() => null);
    if (opened) return opened;
  }
  throw new Error('no key of this browser opens the notice');
}

/** In a page that is open, which stays unlocked by it; else in a new one. */
async function show(path: unknown): Promise<void> {
  const to = isPath(path) ? path : '/events';
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const page = pages.find(({ visibilityState }) => visibilityState === 'visible') ?? pages[0];
  if (!page) return void (await worker.clients.openWindow(to));
  page.postMessage({ open: to });
  await page.focus();
}
