// The roster: replays the organisation's log of statements under every rule of docs/format.md section 2.
// `append` takes one signed statement, or throws and changes nothing. It never asks a server whether something is so, and
// it has no clock: the time at which the reader first saw a statement is an argument.

import { fromBase64, hex, refuse } from './bytes';
import { type Envelope, openSignedBy, type PayloadType, peek, sign, signersOf } from './dsse';
import { type Signer, sha256 } from './crypto';
import { CLOCK_AHEAD_MS_MAX, DAY_MS, DEVICE_DAYS_MAX, RECOVERY_DELAY_MS, STATEMENTS_MAX } from './limits';
import { isFormatError } from './shape';
import { type Access, type Administrators, type Camera, type Device, type Entry, entryShape, type Gateway, inOrder, type Recovery, type State, type Statement } from './statements';

const TYPE: PayloadType = 'roster.v1+json';

export interface Head {
  seq: number;
  hash: string;
}

interface Pending {
  hash: string;
  at: number;
  effective_at: number;
  statement: Extract<Statement, { type: 'add_device' | 'set_administrators' }>;
}

/** Everything that a statement can change, so that a refused one changes nothing. */
interface Facts {
  name: string;
  devices: Map<string, Device>;
  revokedDevices: Set<string>;
  recovery: Recovery;
  gateways: Map<string, Gateway>;
  revokedGateways: Set<string>;
  cameras: Map<string, Camera>;
  access: Map<string, Access>;
  administrators: Administrators;
  pending: Pending[];
}

export interface Agreement {
  statement: Statement;
  /** How many different administrators must sign. */
  needed: number;
  agreed: Set<string>;
}

export class Roster {
  private constructor(
    readonly org: string,
    readonly anchor: string,
    private current: Facts,
    private last: Head & { at: number },
    private snapshotSeq: number,
    readonly hashes: string[],
    /** The statement that added each gateway, which enrolment proves to it. */
    private readonly addedBy = new Map<string, string>(),
  ) {}

  static async start(envelope: Envelope, anchor: string | null, seenAt: number): Promise<Roster> {
    const { document, hash } = await peek(envelope, TYPE, entryShape);
    const { seq, previous, at, statement, org } = document;
    if (statement.type !== 'genesis' || seq !== 0 || previous !== null) return refuse('the roster does not begin with its genesis');
    if (anchor !== null && hex(hash) !== anchor) refuse('this is the roster of another organisation: its genesis is not the one that this device pinned');
    notAhead(at, seenAt);
    const { device, recovery, administrators, name } = statement;
    checkUntil(device.until, at);
    if (administrators.k !== 1 || administrators.devices.length !== 1 || administrators.devices[0] !== device.id) refuse('the genesis names another administrator than its own device');
    if (recovery.id === device.id) refuse('the recovery device is the device itself');
    await openSignedBy(envelope, TYPE, entryShape, device.id, fromBase64(device.sign));
    const facts: Facts = {
      name,
      devices: new Map([[device.id, device]]),
      revokedDevices: new Set(),
      recovery,
      gateways: new Map(),
      revokedGateways: new Set(),
      cameras: new Map(),
      access: new Map([[device.person, { person: device.person, scope: { kind: 'all' }, audio: true, until: null }]]),
      administrators,
      pending: [],
    };
    return new Roster(org, hex(hash), facts, { seq: 0, hash: hex(hash), at }, 0, [hex(hash)]);
  }

  /** Takes one statement. `seenAt` is the reader's clock when it first saw the statement. */
  async append(envelope: Envelope, seenAt: number): Promise<Entry> {
    const { document, hash } = await peek(envelope, TYPE, entryShape);
    const { org, seq, previous, at, statement } = document;
    if (org !== this.org) refuse('the statement belongs to another organisation');
    if (seq !== this.last.seq + 1 || previous !== this.last.hash) refuse(`statement ${seq} does not follow statement ${this.last.seq}`);
    if (at < this.last.at) refuse(`statement ${seq} is dated before the one it follows`);
    notAhead(at, seenAt);
    if (statement.type === 'genesis') return refuse('a second genesis');
    if (this.last.seq - this.snapshotSeq >= STATEMENTS_MAX) refuse(`more than ${STATEMENTS_MAX} statements without a snapshot`);

    const facts = matured(this.current, seenAt);
    const signers = await signersOf(envelope, TYPE, (keyid) => signKeyOf(facts, keyid));
    const next = signers.has(facts.recovery.id)
      ? wait(facts, statement, { at, signers, hash: hex(hash), seenAt })
      : decide(facts, statement, { at, signers });
    this.current = next;
    this.last = { seq, hash: hex(hash), at };
    if (statement.type === 'snapshot') this.snapshotSeq = seq;
    this.hashes.push(this.last.hash);
    if (statement.type === 'add_gateway') this.addedBy.set(statement.gateway.id, this.last.hash);
    return document;
  }

  /** Lets statements of the recovery device take effect whose 72 hours have passed. */
  settle(now: number): void {
    this.current = matured(this.current, now);
  }

  get head(): Head {
    return { seq: this.last.seq, hash: this.last.hash };
  }

  get facts(): Readonly<Facts> {
    return this.current;
  }

  get state(): State {
    return stateOf(this.current);
  }

  /** Signs the statement that follows. */
  async next(statement: Statement, now: number, ...signers: readonly Signer[]): Promise<Envelope> {
    return (await this.following([statement], now, ...signers))[0]!;
  }

  /** Signs statements that follow one another. `at` never falls behind the log, as other writers' clocks may be ahead. */
  async following(statements: readonly Statement[], now: number, ...signers: readonly Signer[]): Promise<Envelope[]> {
    const at = Math.max(now, this.last.at);
    let { seq, hash: previous } = this.last;
    const envelopes = [];
    for (const statement of statements) {
      seq += 1;
      const envelope = await sign(TYPE, { org: this.org, seq, previous, at, statement }, ...signers);
      previous = hex(await sha256(fromBase64(envelope.payload)));
      envelopes.push(envelope);
    }
    return envelopes;
  }

  /** What a proposal would change and who agrees; throws if it cannot come next. */
  async agreement(envelope: Envelope, seenAt: number): Promise<Agreement> {
    const { document } = await peek(envelope, TYPE, entryShape);
    const { org, seq, previous, at, statement } = document;
    if (org !== this.org || seq !== this.last.seq + 1 || previous !== this.last.hash || at < this.last.at) refuse('the proposal does not follow the roster as it is now');
    notAhead(at, seenAt);
    const facts = matured(this.current, seenAt);
    const signers = await signersOf(envelope, TYPE, (keyid) => signKeyOf(facts, keyid));
    const { k, devices } = facts.administrators;
    return { statement, needed: k, agreed: peopleOf(facts, devices.filter((id) => signers.has(id))) };
  }

  mayOpen(device: string, camera: string, now: number): boolean {
    const found = this.current.devices.get(device);
    const bound = this.current.cameras.get(camera);
    const access = found && this.current.access.get(found.person);
    if (!found || !bound || !access || now > found.until || (access.until !== null && now > access.until)) return false;
    const { scope } = access;
    if (scope.kind === 'all') return true;
    return scope.kind === 'cameras' ? scope.cameras.includes(camera) : scope.groups.some((group) => bound.groups.includes(group));
  }

  statementOf(gateway: string): string {
    return this.addedBy.get(gateway) ?? refuse(`no statement of the roster adds ${gateway}`);
  }

  isAdministrator(device: string): boolean {
    return this.current.devices.has(device) && this.current.administrators.devices.includes(device);
  }
}

/** A statement of the recovery device: it enters the log now and changes something in 72 hours, if it still can. */
function wait(facts: Facts, statement: Statement, { at, signers, hash, seenAt }: { at: number; signers: Set<string>; hash: string; seenAt: number }): Facts {
  if (signers.size !== 1) refuse('the recovery device signs alone');
  if (statement.type !== 'add_device' && statement.type !== 'set_administrators') return refuse('the recovery device may only add a device and set the administrators');
  return { ...facts, pending: [...facts.pending, { hash, at, effective_at: seenAt + RECOVERY_DELAY_MS, statement }] };
}

function decide(facts: Facts, statement: Exclude<Statement, { type: 'genesis' }>, { at, signers }: { at: number; signers: Set<string> }): Facts {
  const valid = (id: string) => signers.has(id) && at <= (facts.devices.get(id)?.until ?? -1);
  const agreeing = peopleOf(facts, facts.administrators.devices.filter(valid)).size;
  const needAll = () => (agreeing >= facts.administrators.k ? undefined : refuse(`${statement.type} needs signatures of ${facts.administrators.k} different administrators and has ${agreeing}`));
  const needOne = () => (agreeing > 0 ? undefined : refuse(`${statement.type} is not signed by an administrator`));
  const next = copy(facts);

  switch (statement.type) {
    case 'add_device':
    case 'set_administrators': {
      needAll();
      effect(next, statement, at);
      return next;
    }
    case 'renew_device': {
      needAll();
      const device = inForce(facts, statement.device);
      checkUntil(statement.until, at);
      next.devices.set(device.id, { ...device, until: statement.until });
      return next;
    }
    case 'revoke_device': {
      const device = inForce(facts, statement.device);
      if (!valid(device.id)) needOne();
      next.devices.delete(device.id);
      next.revokedDevices.add(device.id);
      return next;
    }
    case 'add_gateway': {
      needAll();
      const { gateway } = statement;
      if (facts.gateways.has(gateway.id) || facts.revokedGateways.has(gateway.id)) refuse(`the id ${gateway.id} was used before`);
      next.gateways.set(gateway.id, gateway);
      return next;
    }
    case 'revoke_gateway': {
      needOne();
      if (!next.gateways.delete(statement.gateway)) refuse(`${statement.gateway} is not a gateway of the roster`);
      next.revokedGateways.add(statement.gateway);
      return next;
    }
    case 'bind_camera': {
      needAll();
      if (!facts.gateways.has(statement.camera.gateway)) refuse(`the camera's gateway ${statement.camera.gateway} is not in the roster`);
      next.cameras.set(statement.camera.id, statement.camera);
      return next;
    }
    case 'set_access': {
      needAll();
      next.access.set(statement.person, { person: statement.person, scope: statement.scope, audio: statement.audio, until: statement.until });
      return next;
    }
    case 'veto': {
      needOne();
      next.pending = facts.pending.filter((pending) => pending.hash !== statement.statement);
      if (next.pending.length === facts.pending.length) refuse('the veto names no pending statement');
      return next;
    }
    case 'snapshot': {
      needAll();
      if (JSON.stringify(statement.state) !== JSON.stringify(stateOf(facts))) refuse('the snapshot differs from the state that the log gives');
      return next;
    }
  }
}

function effect(facts: Facts, statement: Pending['statement'], at: number): void {
  if (statement.type === 'add_device') {
    const { device } = statement;
    checkUntil(device.until, at);
    if (used(facts, device.id)) refuse(`the id ${device.id} was used before`);
    facts.devices.set(device.id, device);
    return;
  }
  const { k, devices } = statement;
  for (const id of devices) inForce(facts, id);
  const people = peopleOf(facts, devices).size;
  if (k < 1 || k > people) refuse(`k is ${k}, of ${people} administrators`);
  facts.administrators = { k, devices };
}

function matured(facts: Facts, now: number): Facts {
  const due = facts.pending.filter(({ effective_at }) => effective_at <= now);
  if (due.length === 0) return facts;
  const next = copy(facts);
  next.pending = facts.pending.filter(({ effective_at }) => effective_at > now);
  for (const { statement, at } of due) {
    try {
      effect(next, statement, at);
    } catch (error) {
      if (!isFormatError(error)) throw error; // What has become impossible meanwhile lapses.
    }
  }
  return next;
}

function used(facts: Facts, id: string): boolean {
  return facts.devices.has(id) || facts.revokedDevices.has(id) || facts.recovery.id === id;
}

function inForce(facts: Facts, id: string): Device {
  return facts.devices.get(id) ?? refuse(`${id} is not a device of the roster`);
}

/** Whose devices these are: somebody with two devices agrees once. */
function peopleOf(facts: Facts, devices: string[]): Set<string> {
  return new Set(devices.flatMap((id) => facts.devices.get(id)?.person ?? []));
}

function signKeyOf(facts: Facts, keyid: string): Uint8Array | undefined {
  const key = keyid === facts.recovery.id ? facts.recovery.sign : facts.devices.get(keyid)?.sign;
  return key === undefined ? undefined : fromBase64(key);
}

function checkUntil(until: number, at: number): void {
  if (until > at + DEVICE_DAYS_MAX * DAY_MS) refuse(`a device lasts at most ${DEVICE_DAYS_MAX} days`);
}

function notAhead(at: number, seenAt: number): void {
  if (at > seenAt + CLOCK_AHEAD_MS_MAX) refuse('the statement is dated in the future. Check the clock of this computer');
}

function copy(facts: Facts): Facts {
  return {
    ...facts,
    devices: new Map(facts.devices),
    revokedDevices: new Set(facts.revokedDevices),
    gateways: new Map(facts.gateways),
    revokedGateways: new Set(facts.revokedGateways),
    cameras: new Map(facts.cameras),
    access: new Map(facts.access),
    pending: [...facts.pending],
  };
}

function stateOf(facts: Facts): State {
  const byId = (entry: { id: string }) => entry.id;
  return {
    name: facts.name,
    devices: inOrder(facts.devices.values(), byId),
    revoked_devices: [...facts.revokedDevices].sort(),
    recovery: facts.recovery,
    gateways: inOrder(facts.gateways.values(), byId),
    revoked_gateways: [...facts.revokedGateways].sort(),
    cameras: inOrder(facts.cameras.values(), byId),
    access: inOrder(facts.access.values(), (entry) => entry.person),
    administrators: facts.administrators,
  };
}

