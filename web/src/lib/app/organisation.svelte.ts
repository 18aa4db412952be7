// The organisation as this browser replays it: fetches the roster's log, checks it against the pinned anchor and the highest head seen
// before, and signs what follows. The server delivers statements; it decides nothing.

import { ApiError, get } from '../api/client';
import { keepRosterMemory, loadRosterMemory, type RosterMemory } from '../device/store';
import { type Signer, sha256 } from '../seal/crypto';
import { countersign, type Envelope, isAction, isCommand, readEnvelope } from '../seal/dsse';
import { fromBase64, hex } from '../seal/bytes';
import { type Agreement, type Head, Roster } from '../seal/roster';
import type { Camera, Gateway, State, Statement } from '../seal/statements';
import { postSigned } from './confirmed';
import { call } from './keeper';

const PAGES_MAX = 200;
const otherPast = (): string =>
  'The server shows an older or another history of your organisation than this browser has seen before. Do not go on: ask whoever runs the server, and compare with another device.';

export class Organisation {
  /** What the roster says now; replaced as a whole after each change. */
  state: State = $state.raw({} as State);
  pending = $state.raw<{ hash: string; effective_at: number; type: string }[]>([]);

  /** Those of the state: lists of thousands ask for each. */
  private readonly cameras: ReadonlyMap<string, Camera> = $derived(new Map(this.state.cameras.map((camera) => [camera.id, camera])));

  /** Type of each statement by its hash, which is how the history names it. */
  readonly types = new Map<string, Statement['type']>();
  private turn: Promise<void> = Promise.resolve();
  /** How many statements the Worker has been told of. */
  private told = 0;

  private constructor(
    private readonly roster: Roster,
    private readonly memory: RosterMemory,
    readonly device: string,
    readonly signer: Signer,
    /** Shown by a gateway alone: everything can be seen, and nothing changed. */
    private readonly apart: boolean,
  ) {
    this.show();
  }

  static async load(anchor: string, device: string, apart = false): Promise<Organisation> {
    const memory = await loadRosterMemory();
    const seen = memory?.seen ?? [];
    const [genesis, ...rest] = await fetchAfter(null);
    if (genesis === undefined) throw new Error('The server sent no roster. Whoever runs it must restore its database.');
    const now = Date.now();
    const roster = await Roster.start(genesis, anchor, seenAt(seen, 0) ?? now);
    const kept: RosterMemory = memory ?? { head: roster.head, seen: [{ from: 0, at: now }] };
    const signer = { keyid: device, sign: (data: Parameters<Signer['sign']>[0]) => call('sign', data) };
    const organisation = new Organisation(roster, kept, device, signer, apart);
    organisation.types.set(anchor, 'genesis');
    await organisation.take(rest);
    return organisation;
  }

  /** Hash of the newest statement: what an action is signed on top of. */
  get headHash(): string {
    return this.roster.head.hash;
  }

  get org(): string {
    return this.roster.org;
  }

  get anchor(): string {
    return this.roster.anchor;
  }

  /** How many statements the log has. Read together with `state`, which changes whenever it does. */
  get statements(): number {
    void this.state;
    return this.roster.head.seq + 1;
  }

  get isAdministrator(): boolean {
    return !this.apart && this.roster.isAdministrator(this.device);
  }

  get isMember(): boolean {
    return this.state.devices.some(({ id }) => id === this.device);
  }

  gateway(id: string): Gateway | null {
    return this.state.gateways.find((gateway) => gateway.id === id) ?? null;
  }

  /** Hash of the statement that added this gateway. */
  statementOf(gateway: string): string {
    return this.roster.statementOf(gateway);
  }

  camera(id: string): Camera | null {
    return this.cameras.get(id) ?? null;
  }

  async refresh(): Promise<void> {
    await this.inTurn(() => this.catchUp());
  }

  /** Signs statements, has the server append them, and takes them itself. Where it needs several administrators, it proposes the first. */
  async append(...statements: Statement[]): Promise<void> {
    await this.inTurn(() => this.appendNow(statements));
  }

  /** Signs what the roster amounts to now. */
  async snapshot(): Promise<void> {
    await this.refresh();
    await this.append({ type: 'snapshot', state: await this.roster.stateHash() });
  }

  /** Signs a statement without posting it, for an act that posts something else before. */
  async prepare(statement: Statement): Promise<Envelope> {
    return this.roster.next(statement, Date.now(), this.signer);
  }

  /** Posts what was prepared; signs anew if the roster has changed since. */
  async appendPrepared(prepared: Envelope, statement: Statement): Promise<void> {
    await this.inTurn(() => this.appendNow([statement], [prepared]));
  }

  /** Whether one signature is not enough for what widens. */
  get needsOthers(): boolean {
    return this.state.administrators.k > 1;
  }

  async agreement(envelope: Envelope): Promise<Agreement> {
    return this.roster.agreement(envelope, Date.now());
  }

  /** Signs what another administrator proposed. */
  async agree(id: string, envelope: Envelope): Promise<void> {
    const type = isAction(envelope) ? 'action.v1+json' : isCommand(envelope) ? 'command.v1+json' : 'roster.v1+json';
    await postSigned(`/api/v1/proposals/${id}/signatures`, { envelope: await countersign(type, envelope, this.signer) });
    await this.refresh();
  }

  /** Refuses a log that does not have what somebody else says is its end. */
  checkSeen(head: Head): void {
    this.roster.checkSeen(head);
  }

  /** From our own head on, to see that it is still there. Another page of this browser may have seen more: that has to come then. */
  private async catchUp(): Promise<void> {
    const kept = await loadRosterMemory();
    if (kept && kept.head.seq > this.memory.head.seq) Object.assign(this.memory, { head: kept.head, seen: kept.seen });
    const { seq, hash } = this.roster.head;
    const [first, ...rest] = await fetchAfter(seq === 0 ? null : seq - 1);
    if (!first || hex(await sha256(fromBase64(first.payload))) !== hash) throw new Error(otherPast());
    await this.take(rest);
  }

  /** The log has one end: what reads it and what writes it go one after the other. */
  private inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.turn.then(act);
    this.turn = done.catch(() => undefined);
    return done;
  }

  private async appendNow(statements: Statement[], prepared?: Envelope[]): Promise<void> {
    if (this.needsOthers && !statements.every(narrows)) return this.propose(statements);
    let [left, envelopes] = [statements, prepared];
    await this.behindOthers(async () => {
      envelopes ??= await this.roster.following(left, Date.now(), this.signer);
      while (envelopes.length > 0) {
        const [envelope, ...alongside]: Envelope[] = envelopes;
        await postSigned('/api/v1/roster', { envelope: envelope! }, alongside);
        await this.take([envelope!]);
        [left, envelopes] = [left.slice(1), alongside];
      }
    }, () => (envelopes = undefined));
  }

  /** One statement at a time: the next would follow what nobody has agreed to yet. */
  private async propose(statements: Statement[]): Promise<never> {
    await this.behindOthers(async () => {
      const envelope = await this.roster.next(statements[0]!, Date.now(), this.signer);
      await postSigned('/api/v1/proposals', { envelope, reason: '' });
    });
    throw new Proposed(statements.length - 1);
  }

  /** If somebody else was quicker: takes theirs and acts again behind it. */
  private async behindOthers(act: () => Promise<void>, again: () => void = () => {}): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 'roster_moved') || attempt >= 3) throw error;
        await this.catchUp();
        again();
      }
    }
  }

  private async take(statements: Envelope[]): Promise<void> {
    const now = Date.now();
    try {
      for (const envelope of statements) {
        const seq = this.roster.head.seq + 1;
        const { statement } = await this.roster.append(envelope, seenAt(this.memory.seen, seq, this.memory.head.seq) ?? now);
        this.types.set(this.roster.head.hash, statement.type);
      }
    } catch (error) {
      // What comes before one that is refused was seen, and holds.
      if (this.roster.head.seq > this.memory.head.seq) await this.seen(now);
      throw error;
    }
    await this.seen(now);
  }

  private async seen(now: number): Promise<void> {
    this.remember(now);
    this.roster.settle(now);
    this.show();
    this.memory.gateways = this.state.gateways.map(({ id, name, sign }) => ({ id, name, sign }));
    await keepRosterMemory(this.memory);
    const { facts, hashes, dates } = this.roster;
    const heads = { from: this.told, statements: hashes.slice(this.told).map((hash, i) => ({ hash, at: dates[this.told + i]! })) };
    const authors = new Map([...facts.devices, ...facts.past].map(([id, { sign }]) => [id, sign]));
    await call('trust', { org: this.org, device: this.device, gateways: this.state.gateways, cameras: this.state.cameras, authors, several: this.needsOthers, heads });
    this.told = hashes.length;
  }

  /** What this browser has seen before must be in the log. */
  private remember(now: number): void {
    const { head, hashes } = this.roster;
    if (this.memory.head.seq >= hashes.length) {
      throw new Error(this.apart ? 'This gateway has not heard of the newest changes of your organisation that this browser knows: it was cut off before. Ask another gateway, or wait for the cloud.' : otherPast());
    }
    if (hashes[this.memory.head.seq] !== this.memory.head.hash) throw new Error(otherPast());
    const last = this.memory.seen.at(-1);
    if (head.seq > this.memory.head.seq && last && now - last.at > 1000) this.memory.seen.push({ from: this.memory.head.seq + 1, at: now });
    this.memory.head = head;
  }

  private show(): void {
    this.state = this.roster.state;
    this.pending = this.roster.facts.pending.map(({ hash, effective_at, statement }) => ({ hash, effective_at, type: statement.type }));
  }
}

/** Not an error of anybody's: what was asked for waits for other administrators. */
export class Proposed extends Error {
  constructor(left: number) {
    super(left === 0 ? 'Proposed. It takes effect when enough administrators have agreed, on the page People.' : 'The first step is proposed. When enough administrators have agreed on the page People, do this again for the rest.');
  }
}

/** What one administrator may do alone, because it only takes rights away. */
const narrows = ({ type }: Statement) => type === 'revoke_device' || type === 'revoke_gateway' || type === 'veto';

/** When this browser first saw statement `seq`; null if it never did. */
function seenAt(seen: RosterMemory['seen'], seq: number, headSeq = Number.MAX_SAFE_INTEGER): number | null {
  if (seq > headSeq) return null;
  return seen.findLast(({ from }) => from <= seq)?.at ?? null;
}

/** What follows a statement of the server's log; all of it after null. */
export async function fetchAfter(seq: number | null): Promise<Envelope[]> {
  const found: Envelope[] = [];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const after = found.length > 0 ? (seq ?? -1) + found.length : seq;
    const { statements } = await get<{ statements: unknown[] }>(`/api/v1/roster${after === null ? '' : `?after=${after}`}`);
    if (statements.length === 0) break;
    found.push(...statements.map((statement) => readEnvelope(statement, 'statement')));
  }
  return found;
}
