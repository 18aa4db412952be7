// Who sits at this browser: signed in or not, device unlocked or not, and the organisation once it is replayed.
// The page shows what `stage` says. Keys are in the Worker; this holds none.

import { ApiError, find, get, goApart, on, open, post, remove } from '../api/client';
import type { Ceremony, Me, Status } from '../api/types';
import { unlockByPasskey, usePasskey } from '../device/passkey';
import { endPush, forgetDevice, forgetNotices, loadDevice, loadNotices, saveDevice, type StoredDevice } from '../device/store';
import type { Opener } from '../device/wrap';
import { sign } from '../seal/dsse';
import { DAY_MS, DEVICE_DAYS_MAX } from '../seal/limits';
import type { KnownGateway } from '../seal/local';
import { pairingCode, pairingProof } from '../seal/pairing';
import type { Invited } from './invitation';
import { call, locking, wanted } from './keeper';
import { enterSite, siteWorks } from './site';
import { Organisation } from './organisation.svelte';

/** A gateway lets a device in for 15 minutes. */
const SITE_EVERY_MS = 5 * 60_000;

export type Stage = 'starting' | 'apart' | 'not_set_up' | 'signed_out' | 'locked' | 'no_device' | 'waiting' | 'ready';

class Session {
  status = $state.raw<Status | null>(null);
  me = $state.raw<Me | null>(null);
  stored = $state.raw<StoredDevice | null>(null);
  unlocked = $state(false);
  organisation = $state.raw<Organisation | null>(null);
  started = $state(false);
  /** The cloud is away, and this page comes from `lenskeep app`: a gateway of this network can be asked. */
  apart = $state(false);
  site = $state.raw<KnownGateway | null>(null);
  /** This page comes from `lenskeep app`, which knows the way to a gateway. */
  hasSite = $state(false);
  /** A PRF secret from the sign-in, for a browser that has yet to make its device key. */
  prf: { credential: string; prf: CryptoKey } | null = null;
  /** The gateway or device that was shown another roster than this browser. Stays until the page is left. */
  split: string | null = $state(null);
  /** Gateways that go on without a statement of the roster, and since when. */
  unheard: ReadonlyMap<string, number> = $state.raw(new Map());

  get stage(): Stage {
    if (!this.started) return 'starting';
    if (this.apart && !this.organisation) return 'apart';
    if (!this.status?.set_up && !this.me) return 'not_set_up';
    if (!this.me) return 'signed_out';
    if (!this.stored) return 'no_device';
    if (!this.unlocked) return 'locked';
    return this.organisation ? 'ready' : 'waiting';
  }

  async start(): Promise<void> {
    this.stored = await loadDevice();
    try {
      this.status = await get<Status>('/api/v1/status');
    } catch (error) {
      const away = error instanceof ApiError && (error.status === 0 || (error.status >= 502 && error.status <= 504));
      // Only `lenskeep app` knows the way to a gateway.
      if (!away || !this.stored?.anchor || !(await siteWorks())) throw error;
      this.apart = this.hasSite = this.started = true;
      return;
    }
    if (location.hostname === 'localhost') void siteWorks().then((works) => (this.hasSite = works));
    this.me = await get<Me>('/api/v1/me').catch((error: unknown) => {
      if (error instanceof ApiError && (error.status === 401 || error.status === 404)) return null;
      throw error;
    });
    this.started = true;
  }

  /** What came with a link, by the hand of the administrator and not of the server. */
  invited: Invited | null = null;

  /** Also learns whether a recovery code was used meanwhile. */
  async refreshMe(): Promise<void> {
    if (this.me) this.me = await get<Me>('/api/v1/me');
  }

  async refreshStatus(): Promise<void> {
    this.status = await get<Status>('/api/v1/status');
  }

  /** One gesture where the passkey has PRF: signs in and unlocks. */
  async signInByPasskey(): Promise<void> {
    if (this.me && this.stored?.wrap.kind === 'passkey') {
      const { credential } = this.stored.wrap;
      await this.unlock({ kind: 'passkey', credential, prf: await unlockByPasskey(credential) });
      return;
    }
    const { ceremony, options } = await post<Ceremony>('/api/v1/login/passkey/begin');
    const answer = await usePasskey(options);
    this.signedIn(await open<Me>('/api/v1/login/passkey', { ceremony, credential: answer.credential }));
    this.prf = answer.prf && { credential: answer.id, prf: answer.prf };
    if (this.stored?.wrap.kind !== 'passkey') return;
    const { credential } = this.stored.wrap;
    const prf = answer.id === credential && answer.prf ? answer.prf : await unlockByPasskey(credential);
    await this.unlock({ kind: 'passkey', credential, prf });
  }

  /** The passphrase opens the device key, and the device key signs in. */
  async signInByPassphrase(passphrase: string): Promise<void> {
    const stored = this.stored ?? fail('This browser has no device key.');
    await call('unlock', { stored, opener: { kind: 'passphrase', passphrase } });
    if (!this.me) {
      try {
        this.signedIn(await this.deviceLogin(stored));
      } catch (error) {
        // The server tells nobody which devices there are.
        if (!(error instanceof ApiError && error.code === 'login_refused')) throw error;
        fail('This browser’s key is not let in: its 90 days are over, or it was shut out. An administrator sees which on the page Devices, and renews it there; nothing is lost meanwhile.');
      }
    }
    this.unlocked = true;
    await this.enter();
  }

  /** Signs in; this browser's key stays locked. */
  async signInByPassword(login: string, password: string, code: string): Promise<void> {
    this.signedIn(await open<Me>('/api/v1/login/password', { login, password, code }));
  }

  async unlock(opener: Opener): Promise<void> {
    await call('unlock', { stored: this.stored ?? fail('This browser has no device key.'), opener });
    this.unlocked = true;
    await this.enter();
  }

  /** Makes this browser's device key. The Worker keeps it unlocked. */
  async makeDevice(input: { org: string; person: string; name: string; anchor: string | null; opener: Opener }): Promise<StoredDevice> {
    const made = await call('newDevice', { ...input, until: Date.now() + DEVICE_DAYS_MAX * DAY_MS });
    const commitment = this.invited?.pairing?.commitment;
    const stored = commitment ? { ...made, commitment } : made;
    await navigator.storage?.persist?.().catch(() => false);
    await saveDevice(stored);
    this.stored = stored;
    this.unlocked = true;
    return stored;
  }

  /** Asks an administrator to let this browser in; with a link's token, or signed in. */
  async askToBeLetIn(token: string | null = null): Promise<void> {
    const { device, anchor } = this.stored ?? fail('This browser has no device key.');
    const pairing = this.invited?.pairing;
    const proof = pairing && anchor ? await pairingProof(pairing, anchor, device) : null;
    await post('/api/v1/device-requests', { device, token, pairing: proof });
  }

  /** What became of it; null when this browser was let in or turned away. */
  asked(): Promise<{ nonce: string | null } | null> {
    return find(`/api/v1/device-requests/${(this.stored ?? fail('This browser has no device key.')).device.id}`);
  }

  /** The code that both screens show, once an administrator's page has seen this browser. */
  async pairingCode(nonce: string | null): Promise<string | null> {
    const { device, anchor, commitment } = this.stored ?? fail('This browser has no device key.');
    return commitment && anchor && nonce ? pairingCode(commitment, nonce, anchor, device) : null;
  }

  /** By the key that has just been made, after it was let in. One that was turned away is of no use. */
  async signInByKey(): Promise<void> {
    const stored = this.stored ?? fail('This browser has no device key.');
    try {
      this.signedIn(await this.deviceLogin(stored));
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'login_refused')) throw error;
      await this.lock();
      await forgetDevice();
      this.stored = null;
      fail('This browser was turned away. Make a new link, and open it here.');
    }
    await this.enter();
  }

  async pinAnchor(anchor: string): Promise<void> {
    const stored = this.stored ?? fail('This browser has no device key.');
    if (stored.anchor !== null && stored.anchor !== anchor) fail('Another organisation is already pinned in this browser.');
    this.stored = { ...stored, anchor };
    await saveDevice(this.stored);
  }

  signedIn(me: Me): void {
    this.me = me;
  }

  /** Replays the roster, if this device stands in it. Else the page shows that it waits for approval. */
  async enter(): Promise<void> {
    const { stored, me } = this;
    if (!stored || !me || stored.anchor === null) return;
    if (me.org !== stored.org) fail('This browser holds the key of another organisation. Use another browser profile, or forget the key of this browser.');
    this.me = await get<Me>('/api/v1/me');
    if (!this.me.devices.includes(stored.device.id)) return;
    this.organisation = await Organisation.load(stored.anchor, stored.device.id);
  }

  /** Unlocks, and goes to the gateway at an address. */
  async enterSite(address: string, opener: Opener): Promise<void> {
    const stored = this.stored ?? fail('This browser has no device key.');
    await call('unlock', { stored, opener });
    this.unlocked = true;
    clearInterval(this.renewal);
    const { gateway, key, head } = await enterSite(stored, address);
    this.site = gateway;
    await this.goApart(key);
    const { org_name } = await get<{ org_name: string }>('/api/v1/me');
    const { id, person } = stored.device;
    this.me = { org: stored.org, org_name, person, person_name: stored.device.name, devices: [id], administrator: false, reads_history: false, verified_by: null, recovery_used_at: null };
    const organisation = await Organisation.load(stored.anchor!, id, true);
    organisation.checkSeen(head);
    this.organisation = organisation;
    this.renewal = setInterval(() => void enterSite(stored, address).then(({ key }) => this.goApart(key), () => undefined), SITE_EVERY_MS);
  }

  private async goApart(key: string): Promise<void> {
    goApart(key);
    await call('apart', key);
  }

  /** Leaves the cloud alone: it may be there, and be of no use. */
  async toSite(): Promise<void> {
    await this.lock();
    this.apart = true;
  }

  /** The gateway does not know this browser any more: back to the page from which it is asked. */
  outOfSite(): void {
    clearInterval(this.renewal);
    this.organisation = null;
  }

  async leaveSite(): Promise<void> {
    clearInterval(this.renewal);
    await this.lock();
    await post('/api/site/leave').catch(() => undefined);
    location.assign('/');
  }
  private renewal: ReturnType<typeof setInterval> | undefined;

  async lock(): Promise<void> {
    this.organisation = null;
    this.unlocked = false;
    this.prf = null;
    for (const forget of locking) forget();
    await call('lock', null);
  }

  async signOut(): Promise<void> {
    // Whoever signs out is not told any more; best while the server still knows who asks.
    if (this.stored && (await loadNotices())) {
      await remove(`/api/v1/notices/${this.stored.device.id}`).catch(() => undefined);
      await forgetNotices();
      await endPush().catch(() => undefined);
    }
    await this.lock();
    await post('/api/v1/logout').catch(() => undefined);
    this.me = null;
  }

  private async deviceLogin(stored: StoredDevice): Promise<Me> {
    const device = stored.device.id;
    const { challenge } = await post<{ challenge: string }>('/api/v1/login/device/challenge', { device });
    const document = { org: stored.org, device, challenge, origin: location.origin };
    const envelope = await sign('device-login.v1+json', document, { keyid: device, sign: (data) => call('sign', data) });
    return open<Me>('/api/v1/login/device', { envelope });
  }
}

function fail(message: string): never {
  throw new Error(message);
}

export const session = new Session();
wanted.roster = async () => session.organisation?.refresh();
wanted.split = (signer) => (session.split = signer);
wanted.unheard = (gateway, since) => {
  const others = [...session.unheard].filter(([id]) => id !== gateway);
  session.unheard = new Map(since === null ? others : [...others, [gateway, since]]);
};
// A session that ended on the server (idle, revoked): back to the sign-in. The keys stay in the Worker until the page goes.
on.signedOut = () => {
  session.me = null;
  if (session.site) session.outOfSite();
};
