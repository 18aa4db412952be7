// The service worker. It shows what gateways tell this browser while nobody looks (docs/format.md section 9), and leads from there to the
// picture. It answers no request of the page: there is no cache that could be poisoned. (That it is this one is the server's word, as of every
// page that it serves: docs/threat-model.md.)

import languages from 'virtual:languages/service-worker';
import { changeNotices, loadLanguage, loadNotices, type NoticeKey, type NoticeMemory } from '../lib/device/store';
import { isPath, type Shown, shownOf, SILENCES_MAX, type Silences, silencesOf, testOf, UNREADABLE } from '../lib/app/notification';
import { ENGLISH, localeFor, preferred } from '../lib/app/locales';
import { isQuiet } from '../lib/app/quiet';
import { speak } from '../lib/say';
import { fromBase64 } from '../lib/seal/bytes';
import { type Notice, NOTICE_BYTES, openNotice } from '../lib/seal/notice';
import { isTrouble } from '../lib/seal/event';
import { b64, bool, id, int, list, loose } from '../lib/seal/shape';
import type { StillPlace } from '../lib/seal/still';
import { stillPicture } from './still';

const worker = self as unknown as ServiceWorkerGlobalScope;

/** Of push messages; RFC 8291 has 3 993. */
const MESSAGE_CHARS_MAX = 4096;
/** Events that are known to have been shown. */
const SHOWN_MAX = 256;

const noticeMessage = loose({ gateway: id('gw_'), notice: b64(NOTICE_BYTES) });
const testMessage = loose({ test: bool });
const silence = list(loose({ gateway: id('gw_'), since: int }), SILENCES_MAX);
/** Of the server itself, which seals nothing: whatever it says is shown as its word. */
const silenceMessage = loose({ gateways: loose({ silent: silence, back: silence, more: int }) });

worker.addEventListener('install', () => void worker.skipWaiting());
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener('push', (event) => event.waitUntil(tell(event.data?.text() ?? '')));
worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(show((event.notification.data as { path?: unknown } | null)?.path));
});

/** What a message comes to, and where its picture may be. */
interface Told {
  shown: Shown;
  still?: { secret: string; place: StillPlace } | null;
}

/** At once; its picture is put into it when it comes, unless somebody has put the notification away by then. */
async function tell(text: string): Promise<void> {
  await chooseLanguage().catch(() => undefined);
  const { shown, still } = await toldBy(text).catch((): Told => ({ shown: UNREADABLE }));
  await notify(shown);
  const image = still ? await stillPicture(still.secret, still.place).catch(() => null) : null;
  if (image && (await worker.registration.getNotifications({ tag: shown.tag })).length > 0) await notify({ ...shown, silent: true, image });
}

async function notify({ title, ...options }: Shown): Promise<void> {
  await worker.registration.showNotification(title, { icon: '/icon-192.png', badge: '/icon-192.png', ...options });
}

/** That of the page when it was open last. */
async function chooseLanguage(): Promise<void> {
  const asked = await loadLanguage().catch(() => null);
  const language = asked ?? preferred([ENGLISH, ...Object.keys(languages)]);
  speak({ language, locale: localeFor(language), messages: languages[language]?.[0] ?? {} });
}

async function toldBy(text: string): Promise<Told> {
  if (text.length > MESSAGE_CHARS_MAX) return { shown: UNREADABLE };
  const message: unknown = JSON.parse(text);
  if (Object.hasOwn(Object(message), 'test')) return testMessage(message, 'test') && { shown: testOf(Date.now()) };
  // What a browser has forgotten gives it no names, and that is all.
  if (Object.hasOwn(Object(message), 'gateways')) return { shown: silenceBy(silenceMessage(message, 'message').gateways, await loadNotices().catch(() => null)) };
  const memory = await loadNotices();
  const { gateway, notice } = noticeMessage(message, 'message');
  if (!memory) return { shown: UNREADABLE };
  const { org, device, keys, names } = memory;
  const opened = await openWith(keys[gateway] ?? [], fromBase64(notice), { org, gateway, device });
  // A browser must show something for each message: what was shown before comes without a sound, and in its place.
  let isNews = false;
  await changeNotices((before) => {
    isNews = before !== null && !before.shown.includes(opened.event);
    return before && isNews ? { ...before, shown: [...before.shown, opened.event].slice(-SHOWN_MAX) } : null;
  });
  const shown = shownOf(opened, names[opened.camera] ?? null, isNews, Date.now());
  const { camera, event, still } = opened;
  return { shown, still: still === undefined ? null : { secret: still, place: { org, gateway, camera, event } } };
}

/** The server does not know when nothing is to be told, nor of what: then it is shown without a sound. */
function silenceBy(told: Silences, memory: NoticeMemory | null): Shown {
  const now = Date.now();
  const isWanted = memory !== null && memory.choice.kinds.some(isTrouble) && !isQuiet(memory.choice, now);
  return silencesOf(told, memory?.gateways ?? {}, !isWanted, now) ?? UNREADABLE;
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
