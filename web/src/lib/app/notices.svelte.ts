// Notifications of this browser: what was chosen, and the orders to the gateways that follow from it. Orders end after two months; they are
// renewed whenever the app is open.

import { get, put, post, remove } from '../api/client';
import type { NoticeState } from '../api/types';
import { base64url, fromBase64url } from '../seal/bytes';
import { forgetNotices, loadNotices, type NoticeChoice, type NoticeMemory, saveNotices } from '../device/store';
import { EVENT_KINDS } from '../seal/event';
import { QUIET_MAX, type Wishes } from '../seal/noticeLimits';
import { call } from './keeper';
import type { Organisation } from './organisation.svelte';
import { serviceWorker } from './scripts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** An order is as old at most while the app is in use. */
const RENEW_MS = DAY_MS;
/** Of earlier orders, whose notices may still be on their way. */
const KEYS_MAX = 2;

export const FIRST_CHOICE: NoticeChoice = {
  cameras: null,
  kinds: EVENT_KINDS.filter((kind) => kind !== 'other'),
  quiet: null,
  pause_minutes: 1,
  snoozed_until: 0,
};

/** Why this browser can show no notifications; null if it can. */
export function hindrance(): 'insecure' | 'not_installed' | 'unsupported' | null {
  if (!isSecureContext) return 'insecure';
  if ('serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis) return null;
  // Safari on phones has them for apps on the home screen alone.
  return /iPhone|iPad/.test(navigator.userAgent) ? 'not_installed' : 'unsupported';
}

export class Notices {
  memory: NoticeMemory | null = $state.raw(null);
  state: NoticeState | null = $state.raw(null);

  constructor(private readonly organisation: Organisation) {}

  /** On, as far as this browser and the server know. */
  get on(): boolean {
    return this.memory !== null && this.state?.subscription != null;
  }

  async load(): Promise<void> {
    const memory = await loadNotices();
    // Of another device key that this browser had before.
    this.memory = memory?.device === this.organisation.device ? memory : null;
    this.state = await get<NoticeState>(this.path);
  }

  /** Asks for what is needed, and orders. */
  async turnOn(choice: NoticeChoice): Promise<void> {
    if ((await Notification.requestPermission()) !== 'granted') {
      throw new Error('This browser does not allow notifications of Lenskeep. Allow them in the settings of this site, beside its address, and try again.');
    }
    await this.save(choice);
  }

  /** In place of what was chosen before. */
  async save(choice: NoticeChoice): Promise<void> {
    const { server_key } = (this.state ??= await get<NoticeState>(this.path));
    const subscription = await subscribe(server_key);
    const names = Object.fromEntries(this.organisation.state.cameras.map(({ id, name }) => [id, name]));
    const wishes = wishesOf(choice, this.organisation.state.cameras, Date.now());
    if (wishes.size === 0) throw new Error('There is no camera of which this browser could be told. Choose at least one camera and one kind.');
    const gateways = [...wishes.keys()].map((id) => this.organisation.gateway(id)!);
    const placed = await call('orderNotices', { org: this.organisation.org, orders: gateways.map((gateway) => ({ gateway, wishes: wishes.get(gateway.id)! })) });
    const before = this.memory?.keys ?? {};
    const keys = Object.fromEntries(placed.map(({ key }, n) => [gateways[n]!.id, [key, ...(before[gateways[n]!.id] ?? [])].slice(0, KEYS_MAX)]));
    const memory = { org: this.organisation.org, device: this.organisation.device, choice, keys, names, placedAt: Date.now(), shown: this.memory?.shown ?? [] };
    // Before the server has the orders: the first notice may come at once.
    await saveNotices(memory);
    this.memory = memory;
    await put(this.path, { subscription, orders: placed.map(({ envelope }) => envelope) });
    this.state = await get<NoticeState>(this.path);
  }

  async turnOff(): Promise<void> {
    await remove(this.path);
    await unsubscribe();
    this.memory = null;
    this.state = await get<NoticeState>(this.path);
  }

  test = (): Promise<void> => post(`${this.path}/test`);

  /** Renews what is older than a day, and what cameras, names or the browser's address have outdated. */
  async renew(): Promise<void> {
    await this.load();
    const { memory } = this;
    if (!memory || Notification.permission !== 'granted') return;
    const registration = await navigator.serviceWorker.getRegistration('/');
    const isSubscribed = (await registration?.pushManager.getSubscription()) != null;
    const cameras = this.organisation.state.cameras;
    const isNamed = cameras.length === Object.keys(memory.names).length && cameras.every(({ id, name }) => memory.names[id] === name);
    if (!this.on || !isSubscribed || !isNamed || Date.now() - memory.placedAt >= RENEW_MS) await this.save(memory.choice);
  }

  private get path(): string {
    return `/api/v1/notices/${this.organisation.device}`;
  }
}

/** What each gateway is asked for: none of a gateway without a camera that was chosen. */
export function wishesOf(choice: NoticeChoice, cameras: readonly { id: string; gateway: string }[], now: number): Map<string, Wishes> {
  const wishes = new Map<string, Wishes>();
  if (choice.kinds.length === 0) return wishes;
  const quiet = quietTimes(choice, now);
  for (const { id, gateway } of cameras) {
    if (choice.cameras && !choice.cameras.includes(id)) continue;
    const found = wishes.get(gateway) ?? { rules: [{ cameras: choice.cameras ? [] : null, kinds: choice.kinds }], quiet, pause_ms: choice.pause_minutes * 60_000 };
    found.rules[0]!.cameras?.push(id);
    wishes.set(gateway, found);
  }
  return wishes;
}

/** The nights of as long as an order lives, in this browser's zone: it knows when clocks change, the gateway does not. */
export function quietTimes({ quiet, snoozed_until }: Pick<NoticeChoice, 'quiet' | 'snoozed_until'>, now: number): { from: number; to: number }[] {
  const times = snoozed_until > now ? [{ from: now, to: snoozed_until }] : [];
  if (!quiet || quiet.from === quiet.to) return times;
  const today = new Date(now);
  const at = (day: number, minutes: number): number => new Date(today.getFullYear(), today.getMonth(), today.getDate() + day, 0, minutes).getTime();
  for (let day = -1; times.length < QUIET_MAX && day <= 61; day += 1) {
    const to = at(quiet.to > quiet.from ? day : day + 1, quiet.to);
    if (to > now) times.push({ from: at(day, quiet.from), to });
  }
  return times;
}

async function subscribe(serverKey: string): Promise<{ endpoint: string; p256dh: string; auth: string }> {
  const registration = await navigator.serviceWorker.register(serviceWorker() as string, { scope: '/', updateViaCache: 'none' });
  await navigator.serviceWorker.ready;
  const applicationServerKey = fromBase64url(serverKey);
  let found = await registration.pushManager.getSubscription();
  // Of another server's key, which may have been lost and made anew.
  const known = found?.options.applicationServerKey;
  if (found && known && base64url(new Uint8Array(known)) !== serverKey) {
    await found.unsubscribe();
    found = null;
  }
  const subscription = found ?? (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }).catch((error: unknown) => {
    throw new Error('This browser’s push service does not answer, so it cannot be told anything. Check that you are connected, and try again.', { cause: error });
  }));
  const { endpoint, keys } = subscription.toJSON();
  if (!endpoint || !keys?.p256dh || !keys.auth) throw new Error('This browser’s push service gave no address. Try again.');
  return { endpoint, p256dh: keys.p256dh, auth: keys.auth };
}

/** This browser forgets how it was reached, and what it read by. */
export async function unsubscribe(): Promise<void> {
  await forgetNotices();
  const registration = await navigator.serviceWorker?.getRegistration('/');
  await (await registration?.pushManager?.getSubscription())?.unsubscribe();
}
