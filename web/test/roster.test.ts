// The rules of the roster, one row each: statements in, accepted or refused.

import { beforeAll, describe, expect, it } from 'vitest';
import { base64, hex } from '../src/lib/seal/bytes';
import { random, type Signer, signer, signPublicKey } from '../src/lib/seal/crypto';
import { type Envelope, sign } from '../src/lib/seal/dsse';
import { kemPublicKey } from '../src/lib/seal/hpke';
import { DAY_MS, RECOVERY_DELAY_MS } from '../src/lib/seal/limits';
import { Roster } from '../src/lib/seal/roster';
import type { Device, Gateway, Statement } from '../src/lib/seal/statements';

const T0 = 1_763_836_800_000;
const ORG = `org_${'1'.repeat(32)}`;
const PERSON = `usr_${'2'.repeat(32)}`;
const id = (prefix: string) => `${prefix}_${hex(random(16))}`;

interface Made {
  device: Device;
  signer: Signer;
}

let kem: string;
let admin: Made;
let second: Made;
let other: Made;
let recovery: Made;

async function make(at = T0, person = PERSON): Promise<Made> {
  const seed = random(32);
  const device: Device = { id: id('dev'), person, name: 'Browser', kind: 'browser', kem, sign: base64(await signPublicKey(seed)), until: at + 90 * DAY_MS };
  return { device, signer: await signer(device.id, seed) };
}

async function genesis(change: (entry: Record<string, unknown>, statement: Record<string, unknown>) => void = () => {}): Promise<Envelope> {
  const { id, kem, sign: key } = recovery.device;
  const statement = { type: 'genesis', name: 'Shop', device: admin.device, recovery: { id, kem, sign: key }, administrators: { k: 1, devices: [admin.device.id] } };
  const entry = { org: ORG, seq: 0, previous: null, at: T0, statement };
  change(entry, statement);
  return sign('roster.v1+json', entry, admin.signer);
}

async function started(): Promise<Roster> {
  return Roster.start(await genesis(), null, T0);
}

async function add(roster: Roster, statement: Statement, by: Signer[] = [admin.signer], at = T0, seenAt = at): Promise<void> {
  await roster.append(await roster.next(statement, at, ...by), seenAt);
}

const gateway = (): Gateway => ({ id: id('gw'), name: 'Site', kem, sign: admin.device.sign });

beforeAll(async () => {
  kem = base64(await kemPublicKey(random(32)));
  [admin, second, other, recovery] = await Promise.all([make(), make(), make(T0, `usr_${'3'.repeat(32)}`), make()]);
});

describe('genesis', () => {
  it('gives its person all cameras, and its device the administration', async () => {
    const roster = await started();
    const bound = gateway();
    await add(roster, { type: 'add_gateway', gateway: bound });
    const camera = { id: id('cam'), name: 'Door', gateway: bound.id, serial: null, certificate: null, groups: [] };
    await add(roster, { type: 'bind_camera', camera });
    expect(roster.mayOpen(admin.device.id, camera.id, T0)).toBe(true);
    expect(roster.mayOpen(admin.device.id, camera.id, T0 + 91 * DAY_MS)).toBe(false);
    expect(roster.isAdministrator(admin.device.id)).toBe(true);
  });

  it.each([
    ['another anchor', () => genesis(), '0'.repeat(64)],
    ['a sequence number', () => genesis((entry) => (entry.seq = 1)), null],
    ['two administrators', () => genesis((_, statement) => (statement.administrators = { k: 1, devices: [admin.device.id, second.device.id].sort() })), null],
    ['k of 2', () => genesis((_, statement) => (statement.administrators = { k: 2, devices: [admin.device.id] })), null],
    ['a date in the future', () => genesis((entry) => (entry.at = T0 + 6 * 60_000)), null],
    ['an unknown key', () => genesis((entry) => (entry.more = 1)), null],
    ['a device for more than 90 days', () => genesis((_, statement) => (statement.device = { ...admin.device, until: T0 + 91 * DAY_MS })), null],
  ])('is refused with %s', async (_, make, anchor) => {
    await expect(Roster.start(await make(), anchor, T0)).rejects.toThrow();
  });
});

describe('statements', () => {
  it('need signatures of administrators, of as many as k', async () => {
    const roster = await started();
    await expect(add(roster, { type: 'add_device', device: second.device }, [second.signer])).rejects.toThrow('needs signatures of 1');
    await add(roster, { type: 'add_device', device: second.device });
    await expect(add(roster, { type: 'set_administrators', k: 2, devices: [admin.device.id, second.device.id].sort() })).rejects.toThrow('of 1 administrators');
    await add(roster, { type: 'add_device', device: other.device });
    await add(roster, { type: 'set_administrators', k: 2, devices: [admin.device.id, second.device.id, other.device.id].sort() });
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() })).rejects.toThrow('needs signatures of 2');
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() }, [admin.signer, second.signer])).rejects.toThrow('has 1');
    await add(roster, { type: 'add_gateway', gateway: gateway() }, [admin.signer, other.signer]);
    await add(roster, { type: 'revoke_device', device: other.device.id });
    expect(roster.state.revoked_devices).toEqual([other.device.id]);
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() }, [admin.signer, other.signer])).rejects.toThrow('needs signatures of 2');
  });

  it('never use an id again, and name only what is there', async () => {
    const roster = await started();
    await add(roster, { type: 'add_device', device: second.device });
    await add(roster, { type: 'revoke_device', device: second.device.id }, [second.signer]);
    await expect(add(roster, { type: 'add_device', device: second.device })).rejects.toThrow('used before');
    await expect(add(roster, { type: 'renew_device', device: second.device.id, until: T0 })).rejects.toThrow('not a device');
    await expect(add(roster, { type: 'revoke_gateway', gateway: id('gw') })).rejects.toThrow('not a gateway');
    await expect(add(roster, { type: 'set_administrators', k: 1, devices: [second.device.id] })).rejects.toThrow('not a device');
    await expect(add(roster, { type: 'veto', statement: '0'.repeat(64) })).rejects.toThrow('no pending');
    await expect(add(roster, { type: 'renew_device', device: admin.device.id, until: T0 + 91 * DAY_MS })).rejects.toThrow('90 days');
    const camera = { id: id('cam'), name: 'Door', gateway: id('gw'), serial: null, certificate: null, groups: [] };
    await expect(add(roster, { type: 'bind_camera', camera })).rejects.toThrow('not in the roster');
  });

  it('follow each other: a fork, a repeat and an earlier date are refused', async () => {
    const roster = await started();
    const first = await roster.next({ type: 'add_gateway', gateway: gateway() }, T0 + 1000, admin.signer);
    const fork = await roster.next({ type: 'add_gateway', gateway: gateway() }, T0 + 1000, admin.signer);
    await roster.append(first, T0 + 1000);
    await expect(roster.append(first, T0)).rejects.toThrow('does not follow');
    await expect(roster.append(fork, T0)).rejects.toThrow('does not follow');
    const early = { org: ORG, seq: 2, previous: roster.head.hash, at: T0, statement: { type: 'revoke_device', device: admin.device.id } };
    await expect(roster.append(await sign('roster.v1+json', early, admin.signer), T0)).rejects.toThrow('dated before');
  });

  it('expire with their signer', async () => {
    const roster = await started();
    const late = T0 + 91 * DAY_MS;
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() }, [admin.signer], late)).rejects.toThrow('needs signatures of 1');
  });

  it('a snapshot must equal what the reader has', async () => {
    const roster = await started();
    const before = await roster.stateHash();
    await add(roster, { type: 'add_device', device: second.device });
    await expect(add(roster, { type: 'snapshot', state: before })).rejects.toThrow('differs');
    await add(roster, { type: 'snapshot', state: await roster.stateHash() });
    expect(roster.head.seq).toBe(2);
  });

  it('a wrong signature of a known key refuses the envelope even if enough others hold', async () => {
    const roster = await started();
    await add(roster, { type: 'add_device', device: second.device });
    const envelope = await roster.next({ type: 'add_gateway', gateway: gateway() }, T0, admin.signer, second.signer);
    envelope.signatures[1]!.sig = envelope.signatures[0]!.sig;
    await expect(roster.append(envelope, T0)).rejects.toThrow('does not hold');
  });
});

describe('the recovery device', () => {
  const after = T0 + 1000;

  it('waits 72 hours from when the reader saw it, whatever date the writer put', async () => {
    const roster = await started();
    await add(roster, { type: 'add_device', device: second.device }, [recovery.signer], T0, after);
    expect(roster.head.seq).toBe(1);
    roster.settle(T0 + RECOVERY_DELAY_MS);
    expect(roster.state.devices).toHaveLength(1);
    roster.settle(after + RECOVERY_DELAY_MS);
    expect(roster.state.devices).toHaveLength(2);
  });

  it('can be vetoed until then', async () => {
    const roster = await started();
    await add(roster, { type: 'add_device', device: second.device }, [recovery.signer], T0, after);
    await add(roster, { type: 'veto', statement: roster.head.hash });
    roster.settle(after + 2 * RECOVERY_DELAY_MS);
    expect(roster.state.devices).toHaveLength(1);
  });

  it('may replace the administrators and nothing else', async () => {
    const roster = await started();
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() }, [recovery.signer])).rejects.toThrow('may only');
    await add(roster, { type: 'add_device', device: second.device }, [recovery.signer], T0, after);
    await add(roster, { type: 'set_administrators', k: 1, devices: [second.device.id] }, [recovery.signer], T0, after);
    await add(roster, { type: 'add_gateway', gateway: gateway() }, [second.signer], after + RECOVERY_DELAY_MS);
    await expect(add(roster, { type: 'add_gateway', gateway: gateway() }, [admin.signer], after + RECOVERY_DELAY_MS)).rejects.toThrow('needs signatures of 1');
  });
});

describe('access', () => {
  it('is by camera, by group, or all, and ends', async () => {
    const roster = await started();
    const site = gateway();
    await add(roster, { type: 'add_gateway', gateway: site });
    const person = `usr_${'3'.repeat(32)}`;
    await add(roster, { type: 'add_device', device: { ...second.device, person } });
    const camera = (groups: string[]) => ({ id: id('cam'), name: 'Door', gateway: site.id, serial: null, certificate: null, groups });
    const [inside, outside] = [camera(['inside']), camera([])];
    for (const bound of [inside, outside]) await add(roster, { type: 'bind_camera', camera: bound });
    const sees = (at = T0) => [inside, outside].map((bound) => roster.mayOpen(second.device.id, bound.id, at));
    expect(sees()).toEqual([false, false]);
    await add(roster, { type: 'set_access', person, scope: { kind: 'groups', groups: ['inside'] }, audio: false, until: T0 + DAY_MS });
    expect(sees()).toEqual([true, false]);
    expect(sees(T0 + DAY_MS + 1)).toEqual([false, false]);
    await add(roster, { type: 'set_access', person, scope: { kind: 'cameras', cameras: [outside.id] }, audio: true, until: null });
    expect(sees()).toEqual([false, true]);
  });
});
