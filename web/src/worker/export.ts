// Takes footage out: lists recordings, reads them by ranges, opens what was asked for and writes it as films, and with them a proof where
// one is wanted. Holds one group of pictures of a film in memory, and for a proof one recording. The order to the cloud is signed and given
// before this begins to read. Believes nothing that was listed: each recording must be the one that was asked for, of that camera and later
// than the one before.

import { ApiError, explain, get } from '../lib/api/client';
import type { Gap, GapReason, RecordingListing, RecordingPage, Rendition } from '../lib/api/types';
import { fileName } from '../lib/app/fileName';
import { type Covered, coverage, missing } from '../lib/app/timeline';
import { locale } from '../lib/say';
import { refuse } from '../lib/seal/bytes';
import { type Chunk, openChunk, shownKey } from '../lib/seal/chunk';
import { ExcerptWriter } from '../lib/seal/excerpt';
import type { RecordingKeys } from '../lib/seal/header';
import { Recording } from '../lib/seal/reader';
import { httpSource } from './catalogue';
import { CapsuleSinks } from './capsule';
import { Clips, Origin } from './clips';
import type { Keyring } from './keyring';
import { ended, patient } from './patience';
import { ProofFile } from './proofFile';
import { type Destination, Sinks, type Written } from './sink';
import { lastTickAt, type Stretch, Wanted } from './wanted';

/** Somewhat more than a month of one camera. */
const RECORDINGS_MAX = 50_000;
/** Of a list; a thousand recordings are on one. */
const PAGES_MAX = 500;
const TELL_EVERY_MS = 200;

export interface ExportOrder extends Stretch {
  job: number;
  cameras: { id: string; name: string; sound: boolean }[];
  rendition: Rendition;
  proof: boolean;
}

export interface Progress {
  /** Which of the cameras. */
  camera: number;
  /** Of all recordings of all cameras. */
  read: number;
  total: number;
  /** Where in the footage. */
  at: number;
  isWaiting: boolean;
}

export interface Exported {
  camera: string;
  files: Written[];
  /** First and last picture. */
  from: number;
  to: number;
  /** Of all films together, in milliseconds. */
  length: number;
  holes: (Stretch & { reason: GapReason | null })[];
  siteUnreachable: boolean;
  /** Kinds of signatures that the camera itself put into its pictures; not checked. */
  signatures: string[];
  /** Whose keys verify the proof; none without one. */
  gateways: string[];
  /** The history's log that the proof names, as `name+hash+base64`. */
  log: string | null;
  /** Recordings that the proof leaves out, since their gateway has not signed their end. */
  unproven: number;
  /** Recordings of which the proof does not show that they exist by now. */
  undated: number;
}

export interface Outcome {
  exported: Exported[];
  /** Why there is no more than that; null if nothing is missing. */
  problem: string | null;
}

interface Listed {
  recordings: RecordingListing[];
  gaps: Gap[];
  siteUnreachable: boolean;
}

interface Job {
  order: ExportOrder;
  abort: AbortController;
  listed: Listed[];
}

const jobs = new Map<number, Job>();

/** Lists what there is of an order, and remembers it. Refuses an order of which there is nothing. */
export async function prepare(order: ExportOrder): Promise<null> {
  const job: Job = { order, abort: new AbortController(), listed: [] };
  jobs.set(order.job, job);
  try {
    for (const { id, name } of order.cameras) {
      const listed = await list(id, order, job.abort.signal);
      const maybe = listed.siteUnreachable ? ' Its gateway does not answer, and may have some that it has not forwarded yet.' : ' A recording can be exported when it is closed, about a minute after it began.';
      if (listed.recordings.length === 0) throw new Error(`There are no recordings of ${name} in this time.${maybe}`);
      job.listed.push(listed);
    }
  } catch (error) {
    jobs.delete(order.job);
    throw job.abort.signal.aborted ? new Error(cancelled()) : error;
  }
  return null;
}

/** Writes what was prepared. What is whole stays; what is not is taken back. */
export async function write(id: number, destination: Destination, keyring: Keyring, tell: (progress: Progress) => void): Promise<Outcome> {
  const job = jobs.get(id) ?? refuse('the export was cancelled');
  const outcome: Outcome = { exported: [], problem: null };
  const teller = new Teller(job, tell);
  const sinks = destination.kind === 'link' ? new CapsuleSinks(destination.link, job.abort.signal, (isWaiting) => teller.wait(isWaiting)) : new Sinks(destination);
  try {
    for (let camera = 0; camera < job.order.cameras.length; camera += 1) {
      teller.begin(camera);
      outcome.exported.push(await new CameraExport(job, camera, keyring, sinks, teller).run());
    }
    if (sinks instanceof CapsuleSinks) await sinks.finish(outcome.exported, job.order.cameras);
  } catch (error) {
    await sinks.giveUp();
    outcome.problem = job.abort.signal.aborted ? cancelled() : explain(error);
  } finally {
    jobs.delete(id);
  }
  return outcome;
}

export function cancel(id: number): void {
  jobs.get(id)?.abort.abort();
  jobs.delete(id);
}

export function cancelAll(): void {
  for (const id of [...jobs.keys()]) cancel(id);
}

const cancelled = (): string => 'The export was cancelled. What was not whole was taken back.';
const clock = (at: number): string => new Date(at).toLocaleTimeString(locale());

async function list(camera: string, { from, to, rendition }: ExportOrder, signal: AbortSignal): Promise<Listed> {
  const found = new Map<string, RecordingListing>();
  const gaps: Gap[] = [];
  let siteUnreachable = false;
  let start: number | null = from;
  for (let pages = 0; start !== null; pages += 1) {
    const path = `/api/v1/cameras/${camera}/recordings?from=${start}&to=${to}&rendition=${rendition}`;
    const page: RecordingPage = await ended(get<RecordingPage>(path), signal);
    for (const recording of page.recordings) if (recording.available) found.set(recording.id, recording);
    gaps.push(...page.gaps);
    siteUnreachable ||= page.site_unreachable;
    if (found.size > RECORDINGS_MAX || pages >= PAGES_MAX) throw new Error('This is more than can be exported at once: about a month. Export a shorter time.');
    start = page.more_from !== null && page.more_from > start ? page.more_from : null;
  }
  return { recordings: [...found.values()].sort((a, b) => a.started_at - b.started_at), gaps, siteUnreachable };
}

class CameraExport {
  private readonly clips: Clips;
  private proof: ProofFile | null = null;
  private readonly signal: AbortSignal;
  private readonly gateways = new Set<string>();
  /** By their own signed word: a list that says otherwise hides no hole. */
  private readonly covered: Covered[] = [];
  /** Of the recording before. */
  private last = -1;

  constructor(
    private readonly job: Job,
    private readonly number: number,
    private readonly keyring: Keyring,
    private readonly sinks: Pick<Sinks, 'open'>,
    private readonly teller: Teller,
  ) {
    this.signal = job.abort.signal;
    this.clips = new Clips((part) => sinks.open(this.fileName('mp4', part)));
  }

  private get camera(): ExportOrder['cameras'][number] {
    return this.job.order.cameras[this.number]!;
  }

  async run(): Promise<Exported> {
    const { recordings, gaps, siteUnreachable } = this.job.listed[this.number]!;
    const { from, to, proof } = this.job.order;
    try {
      this.proof = proof ? new ProofFile(await this.sinks.open(this.fileName('lkproof')), this.signal) : null;
      for (const listing of recordings) await this.read(listing);
      const { files, length } = await this.clips.finish();
      if (this.clips.from === null || this.clips.to === null) throw new Error(`There is no picture of ${this.camera.name} in this time.`);
      const written = this.proof ? [...files, await this.proof.finish()] : files;
      const holes = missing(coverage(this.covered), gaps).filter((hole) => hole.from < to && hole.to > from);
      const { log = null, unproven = 0, undated = 0 } = this.proof ?? {};
      return { camera: this.camera.id, files: written, from: this.clips.from, to: this.clips.to, length, holes, siteUnreachable, signatures: [...this.clips.signatures], gateways: this.proof ? [...this.gateways] : [], log, unproven, undated };
    } catch (error) {
      await this.clips.abort();
      await this.proof?.abort();
      throw this.signal.aborted ? error : new Error(`${explain(error)} ${this.howFar()}`);
    }
  }

  private howFar(): string {
    const { name } = this.camera;
    return this.clips.to === null ? `Nothing of ${name} was written.` : `The export of ${name} had come to ${clock(this.clips.to)}; what was not whole was taken back.`;
  }

  private async read(listing: RecordingListing): Promise<void> {
    const { id, sound } = this.camera;
    const { rendition, from } = this.job.order;
    const source = patient(httpSource(listing), this.signal, (isWaiting) => this.teller.wait(isWaiting));
    const recording = await ended(Recording.open(source, (gateway) => this.keyring.gateway(gateway)), this.signal).catch((error: unknown) => {
      throw error instanceof ApiError && error.status === 404 ? new Error(`The recording that began at ${clock(listing.started_at)} is no longer there. Look at the timeline for what is left, and export again.`) : error;
    });
    if (recording.id !== listing.id) refuse('the server sent another recording than the one asked for');
    const keys = await ended(this.keyring.keysOf(recording.read, id), this.signal);
    const { header } = recording.read;
    if (header.rendition !== rendition) refuse('the server sent a recording of another stream');
    if (header.started_at <= this.last) refuse('the server lists recordings again, or with other times than the gateway’s');
    this.last = header.started_at;
    this.gateways.add(header.gateway);
    this.covered.push({ started_at: header.started_at, duration_ms: recording.tail?.footer.duration_ms ?? listing.duration_ms, available: true });
    const origin = new Origin(header, sound);
    const video = origin.tracks.find(({ kind }) => kind === 'video');
    const excerpt = this.proof ? new ExcerptWriter() : null;
    const whole = { offset: recording.read.length, chunk: 0, time: 0 };
    const begin = video && !excerpt ? recording.keyFrameBefore(lastTickAt(from, header.started_at, video.timescale)) : whole;
    await this.chunks(recording, keys, { origin, begin, excerpt });
    if (excerpt) await this.proof!.add(recording, excerpt, origin);
    this.teller.done(listing.bytes);
  }

  private async chunks(recording: Recording, keys: RecordingKeys, { origin, begin, excerpt }: { origin: Origin; begin: Parameters<Recording['chunks']>[0]; excerpt: ExcerptWriter | null }): Promise<void> {
    const wanted = new Wanted(origin, this.job.order);
    // What an excerpt takes in order and Wanted has not decided about yet.
    const undecided: Chunk[] = [];
    const settle = async (shown: ReadonlySet<number>, until: number) => {
      while (excerpt && undecided[0] && undecided[0].number <= until) {
        const chunk = undecided.shift()!;
        await excerpt.push(chunk, shown.has(chunk.number) ? await shownKey(recording.read, keys, chunk) : null);
      }
    };
    let [next, bytes] = [begin.chunk, 0];
    for await (const chunk of recording.chunks(begin, this.signal)) {
      this.signal.throwIfAborted();
      [next, bytes] = [chunk.number + 1, bytes + chunk.bytes.length];
      if (excerpt) undecided.push(chunk);
      const now = wanted.push(chunk);
      for (const each of now) await this.take(recording, keys, origin, each);
      if (now.length > 0) await settle(new Set(now.map(({ number }) => number)), now.at(-1)!.number);
      this.teller.at(origin.track(chunk.track) ? origin.at(chunk) : null, bytes);
      if (wanted.isOver && !excerpt) return;
    }
    await settle(new Set(), next);
    if (recording.tail && next !== recording.tail.footer.chunks) refuse('chunks are missing at the end of a recording');
  }

  private async take(recording: Recording, keys: RecordingKeys, origin: Origin, chunk: Chunk): Promise<void> {
    const plain = await openChunk(recording.read, keys, chunk);
    if (plain === null) throw new Error(`You may watch ${this.camera.name} and not hear it: export without sound.`);
    await this.clips.add(origin, chunk, plain);
  }

  private fileName(extension: string, part = 1): string {
    return fileName(this.camera.name, this.job.order.from, extension, part);
  }
}

/** Tells how far it is, and not more often than anybody can read. */
class Teller {
  private readonly total: number;
  private before = 0;
  private told = 0;
  private state: Progress;

  constructor(
    { listed, order }: Job,
    private readonly tell: (progress: Progress) => void,
  ) {
    this.total = listed.reduce((sum, { recordings }) => recordings.reduce((bytes, recording) => bytes + recording.bytes, sum), 0);
    this.state = { camera: 0, read: 0, total: this.total, at: order.from, isWaiting: false };
  }

  begin(camera: number): void {
    this.show({ camera });
  }

  wait(isWaiting: boolean): void {
    this.show({ isWaiting });
  }

  at(time: number | null, bytes: number): void {
    if (performance.now() - this.told >= TELL_EVERY_MS) this.show({ at: time ?? this.state.at, read: this.before + bytes });
  }

  done(bytes: number): void {
    this.before += bytes;
    this.state.read = this.before;
  }

  private show(news: Partial<Progress>): void {
    this.told = performance.now();
    this.state = { ...this.state, ...news };
    this.tell(this.state);
  }
}
