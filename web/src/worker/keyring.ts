// The unlocked keys, and what the page's replay of the roster said about gateways and cameras.
// Opens epoch grants and hands out keys of single recordings. Nothing here leaves the Worker except signatures.

import { explain, find } from '../lib/api/client';
import type { StoredDevice } from '../lib/device/store';
import { type Opener, type Seeds, unwrapSeeds, wrapSeeds } from '../lib/device/wrap';
import { base64, type Bytes, hex, refuse } from '../lib/seal/bytes';
import type { Addressed, Answer } from '../lib/seal/cameraAnswer';
import type { SealedAnswer } from '../lib/seal/commands';
import { random, type Signer, signer, signPublicKey } from '../lib/seal/crypto';
import { type Envelope, readEnvelope } from '../lib/seal/dsse';
import { type EpochKeys, handOn, hpke, openGrant, openPastGrant } from '../lib/seal/grants';
import { checkHeader, type ReadHeader, type RecordingKeys, recordingKeys } from '../lib/seal/header';
import { isFormatError } from '../lib/seal/shape';
import type { Device } from '../lib/seal/statements';
import type { Heads } from './heads';
import type { HandOn, Trust } from './protocol';

const EPOCHS_MAX = 512;
/** What was recorded since then says which roster a gateway goes by now. */
const RECENT_MS = 2 * 60 * 60 * 1000;
/** How long a proposal may wait for signatures. */
const AGREEMENT_MS = 72 * 60 * 60 * 1000;

interface Unlocked {
  device: string;
  kem: Bytes;
  signer: Signer;
}

export class Keyring {
  private unlocked: Unlocked | null = null;
  private trusted: Trust | null = null;
  /** By epoch. What was not found is not kept, so that a grant that comes late is. */
  private readonly epochs = new Map<string, Promise<Map<string, EpochKeys>>>();

  /** What was told of each gateway, and by a recording of when. */
  private readonly told = new Map<string, { since: number | null; at: number }>();

  constructor(
    private readonly heads: Heads,
    private readonly unheard: (gateway: string, since: number | null) => void,
  ) {}

  async create(input: { org: string; person: string; name: string; anchor: string | null; until: number; opener: Opener }): Promise<StoredDevice> {
    const seeds: Seeds = { kem: random(32), sign: random(32) };
    const device: Device = {
      id: `dev_${hex(random(16))}`,
      person: input.person,
      name: input.name,
      kind: 'browser',
      kem: base64(await (await hpke()).kemPublicKey(seeds.kem)),
      sign: base64(await signPublicKey(seeds.sign)),
      until: input.until,
    };
    const stored: StoredDevice = { version: 1, org: input.org, device, anchor: input.anchor, ...(await wrapSeeds(seeds, device, input.opener)) };
    await this.hold(device.id, seeds);
    return stored;
  }

  async unlock(stored: StoredDevice, opener: Opener): Promise<void> {
    // Grants come next.
    void hpke();
    await this.hold(stored.device.id, await unwrapSeeds(stored, opener));
  }

  lock(): void {
    this.unlocked?.kem.fill(0);
    this.unlocked = null;
    this.trusted = null;
    this.epochs.clear();
    this.heads.clear();
    for (const [gateway, { since }] of this.told) if (since !== null) this.unheard(gateway, null);
    this.told.clear();
  }

  trust(trust: Trust): void {
    this.trusted = trust;
    this.heads.learn(trust.heads.from, trust.heads.statements);
  }

  get signer(): Signer {
    return (this.unlocked ?? refuse('this device is locked')).signer;
  }

  /** What a gateway sealed to this device alone. */
  async openAnswer(answer: SealedAnswer, to: Omit<Addressed, 'device'>): Promise<Answer> {
    const { device, kem } = this.unlocked ?? refuse('this device is locked');
    const { openAnswer } = await import('../lib/seal/cameraAnswer');
    return openAnswer(answer, { ...to, device }, kem);
  }

  /** The gateway as the roster has it; one that the roster does not know cannot show a picture. */
  gateway(id: string): Trust['gateways'][number] {
    return this.trusted?.gateways.find((gateway) => gateway.id === id) ?? refuse('the picture comes from a gateway that is not in your roster');
  }

  /** Checks that a recording is what it says, and derives its keys. */
  async keysOf(read: ReadHeader, camera: string): Promise<RecordingKeys> {
    const trust = this.trusted ?? refuse('this device is locked');
    const { header } = read;
    if (header.org !== trust.org) refuse('the recording belongs to another organisation');
    if (header.camera !== camera || !trust.cameras.some(({ id }) => id === camera)) refuse('the recording belongs to another camera');
    await checkHeader(read, this.gateway(header.gateway));
    await this.heads.check(header.roster_head, header.gateway);
    this.hear(header);
    return recordingKeys(read, await this.keys(header.gateway, header.epoch, camera));
  }

  /** What opens a camera's footage of an epoch, and what was written about it. */
  private async keys(gateway: string, epoch: string, camera: string): Promise<EpochKeys> {
    const granted = (await this.epoch(gateway, epoch)).get(camera);
    return granted ?? (await this.handedOn(gateway, epoch, camera)) ?? refuse('this device was not given the key of this recording. It was made before the device was added: an administrator can open it to you on the page Devices');
  }

  /** Seals and opens notes. */
  async noteKey(gateway: string, epoch: string, camera: string): Promise<CryptoKey> {
    const { noteKey } = await import('../lib/seal/bookmark');
    return noteKey((await this.keys(gateway, epoch, camera)).video, camera);
  }

  /** The public key of a device, also of one that was shut out since. */
  readonly author = (device: string): string | undefined => this.trusted?.authors.get(device);

  get organisation(): string {
    return (this.trusted ?? refuse('this device is locked')).org;
  }

  /** Tells of a gateway that now goes by an old roster, and when it does no more. What it recorded long ago says nothing of now. */
  private hear({ gateway, roster_head, started_at }: ReadHeader['header']): void {
    const before = this.told.get(gateway);
    if (started_at < Date.now() - RECENT_MS || (before && started_at <= before.at)) return;
    // Where several must agree, a statement keeps the date of its proposal until they have.
    const since = this.heads.unheard(roster_head, this.trusted?.several ? started_at - AGREEMENT_MS : started_at);
    this.told.set(gateway, { since, at: started_at });
    if (since !== (before?.since ?? null)) this.unheard(gateway, since);
  }

  /** Of what `sheet` was granted, or else this device. What does not open is passed over: one bad grant must not keep all that come after it
   * closed. */
  async handOn({ page, to, cameras, audio, from, head }: HandOn, sheet: Pick<Unlocked, 'device' | 'kem'> | null): Promise<Envelope[]> {
    const own = this.unlocked ?? refuse('this device is locked');
    const { device, kem } = sheet ?? own;
    const { org, gateways } = this.trusted ?? refuse('this device is locked');
    const grants = [];
    for (const { epoch, grant, has } of page) {
      const wanted = new Set(cameras.filter((camera) => !has.includes(camera)));
      const envelope = readEnvelope(grant);
      // Nobody believes the recordings of a gateway that was shut out.
      const gateway = gateways.find(({ id }) => id === envelope.signatures[0]!.keyid);
      if (wanted.size === 0 || !gateway) continue;
      const opened = await openGrant(envelope, { org, gateway, epoch, device }, kem).catch(() => null);
      if (!opened || opened.grant.created_at < from) continue;
      if (!(await this.stands(opened.grant.roster_head, gateway.id))) continue;
      const made = await handOn(opened, to, { cameras: wanted, audio }, head, Date.now(), own.signer);
      if (made) grants.push(made);
    }
    return grants;
  }

  private epoch(gateway: string, epoch: string): Promise<Map<string, EpochKeys>> {
    const key = `${gateway}|${epoch}`;
    let found = this.epochs.get(key);
    if (!found) {
      found = this.fetchGrant(gateway, epoch);
      found.then(({ size }) => size === 0 && this.epochs.delete(key), () => this.epochs.delete(key));
      this.epochs.set(key, found);
      if (this.epochs.size > EPOCHS_MAX) this.epochs.delete(this.epochs.keys().next().value!);
    }
    return found;
  }

  private async fetchGrant(gatewayId: string, epoch: string): Promise<Map<string, EpochKeys>> {
    const { device, kem } = this.unlocked ?? refuse('this device is locked');
    const trust = this.trusted ?? refuse('this device is locked');
    const gateway = this.gateway(gatewayId);
    const answer = await fetched<unknown>(`/api/v1/epochs/${epoch}/grants/${device}`);
    if (answer === null) return new Map();
    const { grant, cameras } = await openGrant(readEnvelope(answer), { org: trust.org, gateway, epoch, device }, kem);
    await this.heads.check(grant.roster_head, gatewayId);
    return cameras;
  }

  /** From the past, by administrators' devices; whoever handed on a key that does not fit is passed over. */
  private async handedOn(gateway: string, epoch: string, camera: string): Promise<EpochKeys | null> {
    const { device, kem } = this.unlocked ?? refuse('this device is locked');
    const { org, authors } = this.trusted ?? refuse('this device is locked');
    const answer = await fetched<{ grants: unknown[] }>(`/api/v1/epochs/${epoch}/past-grants/${device}`);
    for (const envelope of answer?.grants ?? []) {
      const opened = await openPastGrant(readEnvelope(envelope), { org, gateway, epoch, device }, kem, (id) => authors.get(id)).catch(() => null);
      const keys = opened?.cameras.get(camera);
      if (!opened || !keys) continue;
      if (opened.isSigned && !(await this.stands(opened.grant.roster_head, opened.grant.by))) continue;
      const granted = await this.epoch(gateway, epoch);
      this.epochs.set(`${gateway}|${epoch}`, Promise.resolve(granted.set(camera, keys)));
      return keys;
    }
    return null;
  }

  /** Whether a head is of this browser's roster. One that is not was told to the person, and keeps closed what names it alone. */
  private async stands(head: string, signer: string): Promise<boolean> {
    try {
      await this.heads.check(head, signer);
      return true;
    } catch (error) {
      if (isFormatError(error) && error.code === 'split') return false;
      throw error;
    }
  }

  private async hold(device: string, seeds: Seeds): Promise<void> {
    this.lock();
    this.unlocked = { device, kem: seeds.kem, signer: await signer(device, seeds.sign) };
    seeds.sign.fill(0);
  }
}

async function fetched<T>(path: string): Promise<T | null> {
  try {
    return await find<T>(path);
  } catch (error) {
    throw new Error(`The keys for this device did not come: ${explain(error)}`);
  }
}
