// The roster: replays the organisation's log of statements under every rule of docs/format.md section 2.
// `append` takes one signed statement, or throws and changes nothing. It never asks a server whether something is so, and
// it has no clock: the time at which the reader first saw a statement is an argument.

import { fromBase64, hex, refuse } from './bytes';
import { type Envelope, openSignedBy, type PayloadType, peek, sign, signersOf } from './dsse';
import { type Signer, sha256 } from './crypto';
import { CLOCK_AHEAD_MS_MAX, DAY_MS, DEVICE_DAYS_MAX, RECOVERY_DELAY_MS, RECOVERY_WAITING_MAX, STATEMENTS_MAX } from './limits';
import { isFormatError, writeCanonical } from './shape';
import { type Access, type Administrators, type Camera, type Device, type Entry, entryShape, type Gateway, inOrder, type Recovery, type State, type Statement, type Witness } from './statements';

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

/** Everything that a statement can change. */
interface Facts {
  name: string;
  devices: Map<string, Device>;
  /** Those that were shut out, so that what they signed before still says who did. */
  past: Map<string, Device>;
  recovery: Recovery;
  gateways: Map<string, Gateway>;
  revokedGateways: Set<string>;
  cameras: Map<string, Camera>;
  access: Map<string, Access>;
  administrators: Administrators;
  witnesses: Witness[];
  pending: Pending[];
}

export interface Agreement {
  statement: Statement;
  /** How many different administrators must sign. */
  needed: number;
  agreed: Set<string>;
}

/** A change that was found good, and refuses nothing. */
type Effect = () => void;

export class Roster {
  /** Every statement's place in the log, so that a head seen elsewhere can be looked up. */
  private readonly places = new Map<string, number>();

  private constructor(
    readonly org: string,
    readonly anchor: string,
    private current: Facts,
    private last: Head & { at: number },
    private snapshotSeq: number,
    readonly hashes: string[],
    /** When each statement was made. */
    readonly dates: number[],
    /** The statement that added each gateway, which enrolment proves to it. */
    private readonly addedBy = new Map<string, string>(),
  ) {
    this.places.set(anchor, 0);
  }

  static async start(envelope: Envelope, anchor: string | null, seenAt: number): Promise<Roster> {
    const { document, hash } = await peek(envelope, TYPE, entryShape);
    const { seq, previous, at, statement, org } = document;
    if (statement.type !== 'genesis' || seq !== 0 || previous !== null) return refuse('the roster does not begin with its genesis', 'genesis');
    if (anchor !== null && hex(hash) !== anchor) refuse('this is the roster of another organisation: its genesis is not the one that this device pinned', 'other_organisation');
    notAhead(at, seenAt);
    const { device, recovery, administrators, name } = statement;
    checkUntil(device.until, at);
    if (administrators.k !== 1 || administrators.devices.length !== 1 || administrators.devices[0] !== device.id) refuse('the genesis names another administrator than its own device', 'genesis');
    if (recovery.id === device.id) refuse('the recovery device is the device itself', 'genesis');
    await openSignedBy(envelope, TYPE, entryShape, device.id, fromBase64(device.sign));
    const facts: Facts = {
      name,
      devices: new Map([[device.id, device]]),
      past: new Map(),
      recovery,
      gateways: new Map(),
      revokedGateways: new Set(),
      cameras: new Map(),
      access: new Map([[device.person, { person: device.person, scope: { kind: 'all' }, audio: true, until: null }]]),
      administrators,
      witnesses: [],
      pending: [],
    };
    return new Roster(org, hex(hash), facts, { seq: 0, hash: hex(hash), at }, 0, [hex(hash)], [at]);
  }

  /** Takes one statement. `seenAt` is the reader's clock when it first saw the statement. */
  async append(envelope: Envelope, seenAt: number): Promise<Entry> {
    const { document, hash } = await peek(envelope, TYPE, entryShape);
    const { org, seq, previous, at, statement } = document;
    if (org !== this.org) refuse('the statement belongs to another organisation', 'other_organisation');
    if (seq !== this.last.seq + 1) refuse(`statement ${seq} does not follow statement ${this.last.seq}`, 'does_not_follow');
    if (previous !== this.last.hash) refuse(`statement ${seq} does not follow this statement ${this.last.seq}, but another: the log was forked or altered`, 'forked');
    if (at < this.last.at) refuse(`statement ${seq} is dated before the one it follows`, 'time');
    notAhead(at, seenAt);
    // What heals or narrows a log is never too much for it.
    const always = ['snapshot', 'revoke_device', 'revoke_gateway', 'veto'].includes(statement.type);
    if (this.last.seq - this.snapshotSeq >= STATEMENTS_MAX && !always) refuse(`more than ${STATEMENTS_MAX} statements without a snapshot`, 'too_long');

    // Everything is checked before anything changes: a copy to go back to would make replay quadratic.
    const facts = settled(this.current, seenAt);
    const signers = await signersOf(envelope, TYPE, keysOf(facts, envelope));
    const effect = signers.has(facts.recovery.id)
      ? wait(facts, statement, { at, hash: hex(hash), seenAt })
      : await decide(facts, statement, { at, signers });
    effect();
    this.current = facts;
    this.last = { seq, hash: hex(hash), at };
    if (statement.type === 'snapshot') this.snapshotSeq = seq;
    this.hashes.push(this.last.hash);
    this.dates.push(at);
    this.places.set(this.last.hash, seq);
    if (statement.type === 'add_gateway') this.addedBy.set(statement.gateway.id, this.last.hash);
    return document;
  }

  /** Lets statements of the recovery device take effect whose 72 hours have passed. */
  settle(now: number): void {
    this.current = settled(this.current, now);
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

  /** What a snapshot states. */
  stateHash(): Promise<string> {
    return stateHash(this.current);
  }

  /** Whether some statement of the log has this hash. */
  knows(head: string): boolean {
    return this.places.has(head);
  }

  /** Refuses to be read on by somebody who has seen a head that is not in it. */
  checkSeen({ seq, hash }: Head): void {
    if (seq > this.last.seq) refuse(`the log ends at statement ${this.last.seq}, and statement ${seq} was seen before: it was cut off or put back`, 'behind');
    if (this.places.get(hash) !== seq) refuse(`statement ${seq} is another than was seen before: the log was forked or altered`, 'forked');
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
    if (org !== this.org || seq !== this.last.seq + 1 || previous !== this.last.hash || at < this.last.at) refuse('the proposal does not follow the roster as it is now', 'does_not_follow');
    notAhead(at, seenAt);
    const facts = settled(this.current, seenAt);
    const signers = await signersOf(envelope, TYPE, keysOf(facts, envelope));
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
function wait(facts: Facts, statement: Statement, { at, hash, seenAt }: { at: number; hash: string; seenAt: number }): Effect {
  if (statement.type !== 'add_device' && statement.type !== 'set_administrators') return refuse('the recovery device may only add a device and set the administrators', 'recovery');
  if (facts.pending.length >= RECOVERY_WAITING_MAX) refuse(`${RECOVERY_WAITING_MAX} statements of the recovery device wait already`, 'recovery_waiting');
  if (statement.type === 'add_device') checkUntil(statement.device.until, at);
  return () => facts.pending.push({ hash, at, effective_at: seenAt + RECOVERY_DELAY_MS, statement });
}

async function decide(facts: Facts, statement: Statement, { at, signers }: { at: number; signers: Set<string> }): Promise<Effect> {
  const valid = (id: string) => signers.has(id) && at <= (facts.devices.get(id)?.until ?? -1);
  const agreeing = peopleOf(facts, [...signers].filter((id) => facts.administrators.devices.includes(id) && valid(id))).size;
  const need = (needed: number) => (agreeing >= needed ? undefined : refuse(`${statement.type} needs signatures of ${needed} different administrators and has ${agreeing}`, 'signatures'));

  switch (statement.type) {
    case 'genesis':
      return refuse('a second genesis', 'genesis');
    case 'add_device':
    case 'set_administrators':
      need(facts.administrators.k);
      return widening(facts, statement, at);
    case 'renew_device': {
      need(facts.administrators.k);
      const device = inForce(facts, statement.device);
      checkUntil(statement.until, at);
      return () => facts.devices.set(device.id, { ...device, until: statement.until });
    }
    case 'revoke_device': {
      if (!valid(statement.device)) need(1);
      const device = inForce(facts, statement.device);
      return () => (facts.devices.delete(device.id), facts.past.set(device.id, device));
    }
    case 'add_gateway': {
      need(facts.administrators.k);
      const { gateway } = statement;
      if (facts.gateways.has(gateway.id) || facts.revokedGateways.has(gateway.id)) refuse(`the id ${gateway.id} was used before`, 'id_used');
      return () => facts.gateways.set(gateway.id, gateway);
    }
    case 'revoke_gateway':
      need(1);
      if (!facts.gateways.has(statement.gateway)) refuse(`${statement.gateway} is not a gateway of the roster`, 'unknown');
      return () => (facts.gateways.delete(statement.gateway), facts.revokedGateways.add(statement.gateway));
    case 'bind_camera':
      need(facts.administrators.k);
      if (!facts.gateways.has(statement.camera.gateway)) refuse(`the camera's gateway ${statement.camera.gateway} is not in the roster`, 'unknown');
      return () => facts.cameras.set(statement.camera.id, statement.camera);
    case 'set_access': {
      need(facts.administrators.k);
      const { person, scope, audio, until } = statement;
      return () => facts.access.set(person, { person, scope, audio, until });
    }
    case 'set_witnesses':
      need(facts.administrators.k);
      return () => (facts.witnesses = statement.witnesses);
    case 'veto':
      need(1);
      if (!facts.pending.some(({ hash }) => hash === statement.statement)) refuse('the veto names no pending statement', 'unknown');
      return () => (facts.pending = facts.pending.filter(({ hash }) => hash !== statement.statement));
    case 'snapshot':
      need(facts.administrators.k);
      if (statement.state !== (await stateHash(facts))) refuse('the snapshot differs from the state that the log gives', 'snapshot');
      return () => undefined;
  }
}

/** What an administrator may state at once, and the recovery device for 72 hours later. */
function widening(facts: Facts, statement: Pending['statement'], at: number): Effect {
  if (statement.type === 'add_device') {
    const { device } = statement;
    checkUntil(device.until, at);
    if (used(facts, device.id)) refuse(`the id ${device.id} was used before`, 'id_used');
    return () => facts.devices.set(device.id, device);
  }
  const { k, devices } = statement;
  for (const id of devices) inForce(facts, id);
  const people = peopleOf(facts, devices).size;
  if (k < 1 || k > people) refuse(`k is ${k}, of ${people} administrators`, 'threshold');
  return () => (facts.administrators = { k, devices });
}

/** The same facts where nothing is due; else a copy in which it came into force, for a statement that may yet be refused. */
function settled(facts: Facts, now: number): Facts {
  const due = facts.pending.filter(({ effective_at }) => effective_at <= now);
  if (due.length === 0) return facts;
  const next = copy(facts);
  next.pending = facts.pending.filter(({ effective_at }) => effective_at > now);
  for (const { statement, at } of due) {
    try {
      widening(next, statement, at)();
    } catch (error) {
      if (!isFormatError(error)) throw error; // What has become impossible meanwhile lapses.
    }
  }
  return next;
}

function used(facts: Facts, id: string): boolean {
  return facts.devices.has(id) || facts.past.has(id) || facts.recovery.id === id;
}

function inForce(facts: Facts, id: string): Device {
  return facts.devices.get(id) ?? refuse(`${id} is not a device of the roster`, 'unknown');
}

/** Whose devices these are: somebody with two devices agrees once. */
function peopleOf(facts: Facts, devices: string[]): Set<string> {
  return new Set(devices.flatMap((id) => facts.devices.get(id)?.person ?? []));
}

/** The recovery device signs alone: beside others, its signature counts for nothing. */
function keysOf(facts: Facts, { signatures }: Envelope): (keyid: string) => Uint8Array | undefined {
  return (keyid) => {
    const key = signatures.length === 1 && keyid === facts.recovery.id ? facts.recovery.sign : facts.devices.get(keyid)?.sign;
    return key === undefined ? undefined : fromBase64(key);
  };
}

function checkUntil(until: number, at: number): void {
  if (until > at + DEVICE_DAYS_MAX * DAY_MS) refuse(`a device lasts at most ${DEVICE_DAYS_MAX} days`, 'device_life');
}

function notAhead(at: number, seenAt: number): void {
  if (at > seenAt + CLOCK_AHEAD_MS_MAX) refuse('the statement is dated in the future. Check the clock of this computer', 'time');
}

function copy(facts: Facts): Facts {
  return {
    ...facts,
    devices: new Map(facts.devices),
    past: new Map(facts.past),
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
    revoked_devices: [...facts.past.keys()].sort(),
    recovery: facts.recovery,
    gateways: inOrder(facts.gateways.values(), byId),
    revoked_gateways: [...facts.revokedGateways].sort(),
    cameras: inOrder(facts.cameras.values(), byId),
    access: inOrder(facts.access.values(), (entry) => entry.person),
    administrators: facts.administrators,
    witnesses: facts.witnesses,
  };
}

const stateHash = async (facts: Facts): Promise<string> => hex(await sha256(writeCanonical(stateOf(facts))));
