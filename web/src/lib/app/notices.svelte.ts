// Notifications of this browser: what was chosen, and the orders to the gateways that follow from it. Orders end after two months; they are
// renewed whenever the app is open.

import { get, put, post, remove } from '../api/client';
import type { CameraListing, NoticeState } from '../api/types';
import { base64url, fromBase64url } from '../seal/bytes';
import { changeNotices, endPush, forgetNotices, loadNotices, type NoticeChoice, type NoticeKey, type NoticeMemory } from '../device/store';
import { EVENT_KINDS } from '../seal/event';
import type { Wishes } from '../seal/noticeLimits';
import { call } from './keeper';
import type { Organisation } from './organisation.svelte';
import { quietTimes } from './quiet';
import { serviceWorker } from './scripts';
import type { Camera } from '../seal/statements';

const DAY_MS = 24 * 60 * 60 * 1000;
/** An order is as old at most while the app is in use. */
const RENEW_MS = DAY_MS;
/** For so long may a notice wait: at the gateway, at the server and at the push service, an hour each. */
const ON_THE_WAY_MS = 3 * 60 * 60_000;
/** Of one gateway. */
const KEYS_MAX = 8;
/** Orders in one request. */
const GATEWAYS_MAX = 64;

export const FIRST_CHOICE: NoticeChoice = {
  cameras: null,
  kinds: EVENT_KINDS.filter((kind) => kind !== 'other'),
  quiet: null,
  pause_minutes: 1,
  pictures: true,
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
  /** Cameras that this person may see. */
  cameras: readonly Camera[] = $state.raw([]);

  constructor(private readonly organisation: Organisation) {}

  /** On, as far as this browser and the server know. */
  get on(): boolean {
    return this.memory !== null && this.state?.subscription != null;
  }

  /** Until when the first of the orders lives; null without any. */
  get until(): number | null {
    const ends = this.state?.orders.map(({ expires_at }) => expires_at) ?? [];
    return ends.length > 0 ? Math.min(...ends) : null;
  }

  async load(): Promise<void> {
    const memory = this.own(await loadNotices());
    // What was chosen before there was more to choose.
    this.memory = memory && { ...memory, choice: { ...FIRST_CHOICE, ...memory.choice } };
    this.state = await get<NoticeState>(this.path);
    const { cameras } = await get<{ cameras: CameraListing[] }>('/api/v1/cameras');
    const seen = new Set(cameras.map(({ id }) => id));
    this.cameras = this.organisation.state.cameras.filter(({ id }) => seen.has(id));
  }

  /** Asks for what is needed, and orders. */
  async turnOn(choice: NoticeChoice): Promise<void> {
    if ((await Notification.requestPermission()) !== 'granted') {
      throw new Error('This browser does not allow notifications of Lenskeep. Allow them in the settings of this site, beside its address, and try again.');
    }
    await this.save(choice);
  }

  /** In place of what was chosen before. One page of this browser at a time: the keys of all must be kept. */
  save = (choice: NoticeChoice): Promise<void> => locked(() => this.order(choice));

  turnOff = (): Promise<void> =>
    locked(async () => {
      await remove(this.path);
      await forgetNotices();
      await endPush();
      this.memory = null;
      this.state = await get<NoticeState>(this.path);
    });

  test = (): Promise<void> => post(`${this.path}/test`);

  /** Renews what is older than a day, and what cameras, names, or an address or key that is another one have outdated. */
  renew = (): Promise<void> =>
    locked(async () => {
      await this.load();
      const { memory, state } = this;
      if (!memory || !state || Notification.permission !== 'granted') return;
      const registration = await navigator.serviceWorker.getRegistration('/');
      const subscription = (await registration?.pushManager.getSubscription()) ?? null;
      const isNamed = this.cameras.length === Object.keys(memory.names).length && this.cameras.every(({ id, name }) => memory.names[id] === name);
      if (!this.on || !subscription || !isOf(subscription, state.server_key) || !isNamed || Date.now() - memory.placedAt >= RENEW_MS) await this.order(memory.choice);
    });

  private async order(choice: NoticeChoice): Promise<void> {
    const now = Date.now();
    const wishes = wishesOf(choice, this.cameras, now);
    if (wishes.size === 0) throw new Error('There is no camera of which this browser could be told. Choose at least one camera and one kind.');
    if (wishes.size > GATEWAYS_MAX) throw new Error(`A browser is told by at most ${GATEWAYS_MAX} gateways. Choose cameras of fewer.`);
    const { server_key } = (this.state ??= await get<NoticeState>(this.path));
    const subscription = await subscribe(server_key);
    const before = this.own(await loadNotices());
    const gateways = [...wishes.keys()].map((id) => this.organisation.gateway(id)!);
    const issuedAt = Math.max(now, (before?.issuedAt ?? 0) + 1);
    const placed = await call('orderNotices', { org: this.organisation.org, at: issuedAt, orders: gateways.map((gateway) => ({ gateway, wishes: wishes.get(gateway.id)! })) });
    const made = Object.fromEntries(placed.map(({ key }, n) => [gateways[n]!.id, key]));
    const names = Object.fromEntries(this.cameras.map(({ id, name }) => [id, name]));
    const named = Object.fromEntries(gateways.map(({ id, name }) => [id, name]));
    const { org, device } = this.organisation;
    // Before the server has the orders: the first notice may come at once.
    await changeNotices((kept) => {
      const own = this.own(kept) ?? { org, device, choice, keys: {}, names, gateways: named, placedAt: 0, issuedAt, shown: [] };
      return { ...own, names, gateways: named, issuedAt, keys: keysWith(own.keys, made, now) };
    });
    try {
      await put(this.path, { subscription, orders: placed.map(({ envelope }) => envelope) });
    } catch (error) {
      // Nothing was on before, and is now.
      if (!before) await forgetNotices();
      throw error;
    }
    this.memory = await changeNotices((kept) => kept && { ...kept, choice, placedAt: Date.now() });
    this.state = await get<NoticeState>(this.path);
  }

  /** Not of another device key that this browser had before. */
  private own = (memory: NoticeMemory | null): NoticeMemory | null => (memory?.device === this.organisation.device ? memory : null);

  private get path(): string {
    return `/api/v1/notices/${this.organisation.device}`;
  }
}

/** The newest first. What was replaced, or whose gateway was left out, opens what is still on its way. */
export function keysWith(before: Record<string, NoticeKey[]>, made: Record<string, CryptoKey>, now: number): Record<string, NoticeKey[]> {
  const keys: Record<string, NoticeKey[]> = {};
  for (const gateway of new Set([...Object.keys(before), ...Object.keys(made)])) {
    const old = (before[gateway] ?? []).map(({ key, until }) => ({ key, until: until ?? now + ON_THE_WAY_MS })).filter(({ until }) => until > now);
    const key = made[gateway];
    const all = [...(key ? [{ key, until: null }] : []), ...old].slice(0, KEYS_MAX);
    if (all.length > 0) keys[gateway] = all;
  }
  return keys;
}

/** What each gateway is asked for: none of a gateway without a camera that was chosen. */
export function wishesOf(choice: NoticeChoice, cameras: readonly { id: string; gateway: string }[], now: number): Map<string, Wishes> {
  const wishes = new Map<string, Wishes>();
  if (choice.kinds.length === 0) return wishes;
  const quiet = quietTimes(choice, now);
  for (const { id, gateway } of cameras) {
    if (choice.cameras && !choice.cameras.includes(id)) continue;
    const found = wishes.get(gateway) ?? { rules: [{ cameras: choice.cameras ? [] : null, kinds: choice.kinds }], quiet, pause_ms: choice.pause_minutes * 60_000, pictures: choice.pictures };
    found.rules[0]!.cameras?.push(id);
    wishes.set(gateway, found);
  }
  return wishes;
}

async function subscribe(serverKey: string): Promise<{ endpoint: string; p256dh: string; auth: string }> {
  const registration = await navigator.serviceWorker.register(serviceWorker() as string, { scope: '/', updateViaCache: 'none' });
  await navigator.serviceWorker.ready;
  const applicationServerKey = fromBase64url(serverKey);
  let found = await registration.pushManager.getSubscription();
  if (found && !isOf(found, serverKey)) {
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

/** Not of another key of the server, which may have been lost and made anew. */
function isOf({ options }: PushSubscription, serverKey: string): boolean {
  return !options.applicationServerKey || base64url(new Uint8Array(options.applicationServerKey)) === serverKey;
}

/** Pages of one browser in turn. */
async function locked(act: () => Promise<void>): Promise<void> {
  await navigator.locks.request('lenskeep notices', act);
}
