// Exports as the page knows them: where the files go, what is signed for, how far the Worker is. One runs at a time, and goes on while the
// person looks at other pages; it ends with the page, or when this browser is locked.

import { t } from '../say';
import type { ExportOrder, Exported, Progress } from '../../worker/export';
import type { Destination, Written } from '../../worker/sink';
import { ApiError, get, post, remove } from '../api/client';
import type { Rendition, Timeline } from '../api/types';
import { type Action, signAction } from '../seal/action';
import { compareText } from '../seal/bytes';
import { takeBack } from './chosenFile';
import { postSigned } from './confirmed';
import { fileName } from './fileName';
import { call, exporting, locking } from './keeper';
import { linkOf, type NewLink, newLink } from './links';
import type { Organisation } from './organisation.svelte';
import { why } from './roles';
import type { Span } from './timeline';
import { zone } from './words';

const ATTEMPTS_MAX = 3;
const ESTIMATE_PARTS = 60;
/** Payloads of one verification, as the server takes them. */
const CONFIRMED_AT_ONCE = 8;
/** The answers to an order that may not be carried out. */
const REFUSED = new Set([400, 403, 404, 409]);

export interface Wish extends Span {
  cameras: { id: string; name: string; sound: boolean }[];
  rendition: Rendition;
  proof: boolean;
  reason: string;
  /** In place of files: whoever has the link opens it. */
  link: LinkWish | null;
}

export interface LinkWish {
  until: number;
  /** How often it can be opened; null: any number of times. */
  openings: number | null;
  note: string;
}

/** An address under which this page has a file downloaded. */
export interface Download {
  name: string;
  url: string;
}

/** Why nothing comes of a run whose page was locked. */
export const lockedMeanwhile = (): string => 'Lenskeep was locked on this device meanwhile.';

let jobs = 0;
/** A number by which the Worker knows an export. */
export const nextJob = (): number => (jobs += 1);

class ExportRun {
  wish: Wish | null = $state.raw(null);
  progress: Progress | null = $state.raw(null);
  done: Exported[] = $state.raw([]);
  downloads: Download[] = $state.raw([]);
  /** What to hand on; it stands nowhere else. */
  link: string | null = $state(null);
  problem: string | null = $state(null);
  running = $state(false);
  private job = 0;
  private locks = 0;
  private locksBefore = 0;

  /** Begins with the place, which a browser lets somebody choose only at once when a button is pressed. */
  async start(organisation: Organisation, wish: Wish, isApart: boolean): Promise<void> {
    if (this.running) return;
    const { locks } = this;
    const made = wish.link ? await newLink() : null;
    const to = made && wish.link ? inLink(made, wish.link) : await chooseDestination(wish);
    if (to === null) return;
    await this.clear();
    this.locksBefore = locks;
    this.wish = wish;
    this.running = true;
    const job = nextJob();
    this.job = job;
    exporting.set(job, (progress) => (this.progress = progress));
    addEventListener('beforeunload', stay);
    try {
      if (this.isLocked) throw new Error(lockedMeanwhile());
      const { reason, link, ...order } = wish;
      if (!isApart) await mayAll(wish);
      // What cannot be written is said before the history says that it was exported.
      await call('prepareExport', { ...order, job } satisfies ExportOrder);
      if (made && link) await giveShareOrder(organisation, wish, link, made);
      else await giveOrders(organisation, wish);
      const { exported, problem } = await call('writeExport', { job, to });
      if (this.isLocked) {
        await forgetFiles(exported.flatMap(({ files }) => files));
        throw new Error(lockedMeanwhile());
      }
      // Of a link that did not become whole nothing is left.
      this.done = made && problem !== null ? [] : exported;
      this.problem = problem;
      if (made && problem === null) this.link = await linkOf(made);
      else if (made) await withdraw(made);
      this.downloads = downloadAll(this.done.flatMap((each) => each.files));
    } catch (error) {
      this.wish = null;
      await call('cancelExport', { job });
      if (made) await withdraw(made);
      if (to.kind === 'file') await takeBack(to.file, false);
      throw error;
    } finally {
      removeEventListener('beforeunload', stay);
      exporting.delete(job);
      this.running = false;
      this.progress = null;
      if (this.isLocked) await this.wipe();
    }
  }

  private get isLocked(): boolean {
    return this.locks !== this.locksBefore;
  }

  async cancel(): Promise<void> {
    await call('cancelExport', { job: this.job });
  }

  /** Forgets what was said of the last one, and what was kept for a download. */
  async clear(): Promise<void> {
    if (!this.running) await this.wipe();
  }

  /** The page is locked: nothing stays in it, nor comes into it of an export that still runs. */
  async forget(): Promise<void> {
    this.locks += 1;
    await Promise.all([this.running ? this.cancel() : null, this.wipe()]);
  }

  private async wipe(): Promise<void> {
    const files = this.done.flatMap((each) => each.files);
    for (const { url } of this.downloads) URL.revokeObjectURL(url);
    [this.done, this.downloads, this.link, this.problem, this.wish, this.progress] = [[], [], null, null, null, null];
    await forgetFiles(files);
  }
}

/** Of those that lie in a place of this origin until they are downloaded. */
export async function forgetFiles(files: readonly Written[]): Promise<void> {
  const names = files.flatMap(({ name, download }) => (download ? [name] : []));
  if (names.length > 0) await call('forgetExported', names);
}

/** Has the browser download what it could not write where somebody chose. */
export function downloadAll(files: readonly Written[]): Download[] {
  const downloads = files.flatMap(({ name, download }) => (download ? [{ name, url: URL.createObjectURL(download) }] : []));
  for (const { name, url } of downloads) {
    const link = document.createElement('a');
    [link.href, link.download] = [url, name];
    link.click();
  }
  return downloads;
}

export const exportRun = new ExportRun();
// A link with its key, and films to be downloaded, must not stay in a page that is locked.
locking.add(() => void exportRun.forget());

const stay = (event: BeforeUnloadEvent): void => event.preventDefault();

type Pickers = {
  showDirectoryPicker?: (options: { id: string; mode: 'readwrite'; startIn: 'videos' }) => Promise<FileSystemDirectoryHandle>;
  showSaveFilePicker?: (options: { id: string; startIn: 'videos'; suggestedName: string; types: { description: string; accept: Record<string, string[]> }[] }) => Promise<FileSystemFileHandle>;
};

const pickers = globalThis as Pickers;

/** Where files go, or into downloads; null if the person turns away. */
export async function chooseFolder(): Promise<Destination | null> {
  try {
    if (!pickers.showDirectoryPicker) return { kind: 'download' };
    return { kind: 'folder', folder: await pickers.showDirectoryPicker({ id: 'exports', mode: 'readwrite', startIn: 'videos' }) };
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return null;
    throw error;
  }
}

/** A folder for several files, a name for one; null if the person turns away. */
async function chooseDestination({ cameras, proof, from }: Wish): Promise<Destination | null> {
  if (cameras.length > 1 || proof) return chooseFolder();
  try {
    if (pickers.showSaveFilePicker) {
      const suggestedName = fileName(cameras[0]!.name, from, 'mp4');
      return { kind: 'file', file: await pickers.showSaveFilePicker({ id: 'exports', startIn: 'videos', suggestedName, types: [{ description: 'Film', accept: { 'video/mp4': ['.mp4'] } }] }) };
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return null;
    throw error;
  }
  return { kind: 'download' };
}

/** Whether somebody may take footage of a camera out, into files or by a link, as far as the page needs to know before it asks. */
export async function mayTakeOut(operation: 'export' | 'share' | 'lock', camera: string): Promise<boolean> {
  const { allowed, missing } = await why(operation, camera);
  return allowed || missing !== null;
}

/** States the reason where the rules want one, and says in words what else they want. */
async function mayAll({ cameras, reason, link }: Wish): Promise<void> {
  const operation = link ? 'share' : 'export';
  const doing = link ? t('share') : t('export');
  const answers = await Promise.all(cameras.map(async ({ id, name }) => ({ name, ...(await why(operation, id)) })));
  const refused = answers.find(({ allowed, missing }) => !allowed && missing === null);
  if (refused) throw new Error(`You may not ${doing} ${refused.name}: ${refused.refused ?? 'no role includes it'}. Ask an administrator, or leave that camera out.`);
  if (answers.some(({ missing }) => missing === 'second_factor')) throw new Error(`The organisation wants you to sign in with a passkey, or with password and code, before you ${doing}. Sign out, and in again that way.`);
  if (!answers.some(({ missing }) => missing === 'reason')) return;
  if (reason === '') throw new Error('The organisation wants to know why: write down a reason.');
  await post('/api/v1/reasons', { reason });
}

const inLink = ({ share, key }: NewLink, { note }: LinkWish): Destination => ({ kind: 'link', link: { share, key, note: note === '' ? null : note, zone: zone() } });

/** One signed action for all cameras. */
async function giveShareOrder(organisation: Organisation, { cameras, from, to, reason }: Wish, { until, openings }: LinkWish, { share, access }: NewLink): Promise<void> {
  const ids = cameras.map(({ id }) => id).sort(compareText);
  await attempts(organisation, async () => {
    const action: Action = { type: 'share', share, cameras: ids, from, to, access, until, openings, reason: reason === '' ? null : reason };
    await postSigned('/api/v1/shares', { envelope: await signAction(organisation.org, organisation.headHash, action, Date.now(), organisation.signer) });
  });
}

/** What did not become whole opens nothing; this frees its place at once. */
const withdraw = ({ share }: NewLink): Promise<void> => remove(`/api/v1/shares/${share}`).catch(() => undefined);

/** One signed action for each camera. */
async function giveOrders(organisation: Organisation, { cameras, from, to, reason }: Wish): Promise<void> {
  await orderExport(organisation, cameras.map(({ id: camera }) => ({ camera, from, to })), reason, (_, refused) => {
    if (refused) throw refused;
    return true;
  });
}

/**
 * One signed action for each stretch of a camera, which the history keeps; the person confirms as many at once as the server takes. `taken` is
 * told of each, in order, whether it was taken or refused by itself, and says whether to go on.
 */
export async function orderExport(organisation: Organisation, wanted: readonly (Span & { camera: string })[], reason: string, taken: (n: number, refused: ApiError | null) => boolean): Promise<void> {
  let next = 0;
  await attempts(organisation, async () => {
    const sign = ({ camera, from, to }: Span & { camera: string }) => {
      const action: Action = { type: 'export', camera, from, to, reason: reason === '' ? null : reason };
      return signAction(organisation.org, organisation.headHash, action, Date.now(), organisation.signer);
    };
    while (next < wanted.length) {
      // Signed when it is their turn: an action does not live for long.
      const envelopes = await Promise.all(wanted.slice(next, next + CONFIRMED_AT_ONCE).map(sign));
      for (const [i, envelope] of envelopes.entries()) {
        const refused = await postSigned('/api/v1/actions', { envelope }, envelopes.slice(i + 1)).then(() => null, refusalOfOne);
        next += 1;
        if (!taken(next - 1, refused)) return;
      }
    }
  });
}

/** What is about this order alone; anything else is thrown. */
function refusalOfOne(error: unknown): ApiError {
  if (error instanceof ApiError && REFUSED.has(error.status) && error.code !== 'state_moved' && error.code !== 'verification_needed') return error;
  throw error;
}

/** Signs anew where the organisation changed meanwhile. */
async function attempts(organisation: Organisation, act: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'state_moved') || attempt >= ATTEMPTS_MAX) throw error;
      await organisation.refresh();
    }
  }
}

export interface Estimate {
  bytes: number;
  /** Of all cameras. */
  recordedMs: number;
  siteUnreachable: boolean;
}

/** What the recordings of this time have, before anything is opened. */
export async function estimate({ cameras, rendition, from, to }: Pick<Wish, 'cameras' | 'rendition' | 'from' | 'to'>): Promise<Estimate> {
  const found = await Promise.all(cameras.map(({ id }) => get<Timeline>(`/api/v1/cameras/${id}/timeline?rendition=${rendition}&from=${from}&to=${to}&parts=${ESTIMATE_PARTS}`)));
  const parts = found.flatMap((timeline) => timeline.parts);
  return {
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    recordedMs: parts.reduce((sum, { recorded_ms }) => sum + recorded_ms, 0),
    siteUnreachable: found.some(({ site_unreachable }) => site_unreachable),
  };
}
