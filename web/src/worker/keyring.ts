// The unlocked keys, and what the page's replay of the roster said about gateways and cameras.
// Opens epoch grants and hands out keys of single recordings. Nothing here leaves the Worker except signatures.

import { explain, get } from '../lib/api/client';
import type { StoredDevice } from '../lib/device/store';
import { type Opener, type Seeds, unwrapSeeds, wrapSeeds } from '../lib/device/wrap';
import { base64, type Bytes, hex, refuse } from '../lib/seal/bytes';
import { random, type Signer, signer, signPublicKey } from '../lib/seal/crypto';
import { readEnvelope } from '../lib/seal/dsse';
import { type EpochKeys, openGrant } from '../lib/seal/grants';
import { checkHeader, type ReadHeader, type RecordingKeys, recordingKeys } from '../lib/seal/header';
import { kemPublicKey } from '../lib/seal/hpke';
import type { Device } from '../lib/seal/statements';
import type { Trust } from './protocol';

const EPOCHS_MAX = 512;

interface Unlocked {
  device: string;
  kem: Bytes;
  signer: Signer;
}

export class Keyring {
  private unlocked: Unlocked | null = null;
  private trusted: Trust | null = null;
  /** By epoch. A failed fetch is not kept, so that a grant that comes late is found. */
  private readonly epochs = new Map<string, Promise<Map<string, EpochKeys>>>();

  async create(input: { org: string; person: string; name: string; anchor: string | null; until: number; opener: Opener }): Promise<StoredDevice> {
    const seeds: Seeds = { kem: random(32), sign: random(32) };
    const device: Device = {
      id: `dev_${hex(random(16))}`,
      person: input.person,
      name: input.name,
      kind: 'browser',
      kem: base64(await kemPublicKey(seeds.kem)),
      sign: base64(await signPublicKey(seeds.sign)),
      until: input.until,
    };
    const stored: StoredDevice = { version: 1, org: input.org, device, anchor: input.anchor, ...(await wrapSeeds(seeds, device, input.opener)) };
    await this.hold(device.id, seeds);
    return stored;
  }

  async unlock(stored: StoredDevice, opener: Opener): Promise<void> {
    await this.hold(stored.device.id, await unwrapSeeds(stored, opener));
  }

  lock(): void {
    this.unlocked?.kem.fill(0);
    this.unlocked = null;
    this.trusted = null;
    this.epochs.clear();
  }

  trust(trust: Trust): void {
    this.trusted = trust;
  }

  get signer(): Signer {
    return (this.unlocked ?? refuse('this device is locked')).signer;
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
    const keys = (await this.epoch(header.gateway, header.epoch)).get(camera);
    if (!keys) return refuse('this device was not given the key of this recording. It may have been made before the device was added');
    return recordingKeys(read, keys);
  }

  private epoch(gateway: string, epoch: string): Promise<Map<string, EpochKeys>> {
    const key = `${gateway}|${epoch}`;
    let found = this.epochs.get(key);
    if (!found) {
      found = this.fetchGrant(gateway, epoch);
      found.catch(() => this.epochs.delete(key));
      this.epochs.set(key, found);
      if (this.epochs.size > EPOCHS_MAX) this.epochs.delete(this.epochs.keys().next().value!);
    }
    return found;
  }

  private async fetchGrant(gatewayId: string, epoch: string): Promise<Map<string, EpochKeys>> {
    const { device, kem } = this.unlocked ?? refuse('this device is locked');
    const trust = this.trusted ?? refuse('this device is locked');
    const gateway = this.gateway(gatewayId);
    let answer: unknown;
    try {
      answer = await get(`/api/v1/epochs/${epoch}/grants/${device}`);
    } catch (error) {
      throw new Error(`There is no key for this device: ${explain(error)}`);
    }
    return (await openGrant(readEnvelope(answer), { org: trust.org, gateway, epoch, device }, kem)).cameras;
  }

  private async hold(device: string, seeds: Seeds): Promise<void> {
    this.lock();
    this.unlocked = { device, kem: seeds.kem, signer: await signer(device, seeds.sign) };
    seeds.sign.fill(0);
  }
}
