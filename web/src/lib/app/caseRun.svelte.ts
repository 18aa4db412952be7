// A case as an export: the footage of all its bookmarks, each with a signed order of its own, and a list of what was written about it. What
// of it somebody may not have, or is no longer there, is named and stops nothing else. The name of the case stays on this device: it is
// sealed in notes, and no reason that the history keeps.

import type { Exported, Progress } from '../../worker/export';
import type { Destination, Written } from '../../worker/sink';
import { explain, isApart, post } from '../api/client';
import { caseJson, caseText, type ListedPart } from './caseList';
import type { Marked } from './bookmarks.svelte';
import { chooseFolder, type Download, downloadAll, exportRun, forgetFiles, lockedMeanwhile, nextJob, orderExport } from './exportRun.svelte';
import { fileName } from './fileName';
import { call, exporting, locking } from './keeper';
import type { Organisation } from './organisation.svelte';
import { type Explained, why } from './roles';
import type { Span } from './timeline';
import { zone } from './words';

/** At once; each is an order that is signed. */
export const PARTS_MAX = 200;
/** A bookmark of a moment is exported with what is around it. */
const MOMENT_MS = 10_000;
const cancelled = (): string => 'The export was cancelled.';

export interface CasePart {
  marked: Marked;
  camera: string;
  person: string;
  hears: boolean;
}

export interface CaseWish {
  name: string;
  parts: CasePart[];
  /** How many bookmarks of the case come before these, and how many it has. */
  before: number;
  total: number;
  sound: boolean;
  proof: boolean;
  reason: string;
}

interface Prepared {
  at: number;
  job: number;
  span: Span;
}

/** What became of one bookmark. */
export interface Outcome extends ListedPart {
  exported: Exported | null;
}

/** What is taken out of a bookmark. */
export function spanOf({ from, to }: Span): Span {
  if (to - from >= MOMENT_MS) return { from, to };
  const middle = Math.floor((from + to) / 2);
  return { from: Math.max(0, middle - MOMENT_MS / 2), to: middle + MOMENT_MS / 2 };
}

class CaseRun {
  wish: CaseWish | null = $state.raw(null);
  outcomes: Outcome[] = $state.raw([]);
  list: Written[] = $state.raw([]);
  downloads: Download[] = $state.raw([]);
  progress: Progress | null = $state.raw(null);
  /** Which bookmark is written now. */
  at = $state(0);
  step: 'looking' | 'signing' | 'writing' | null = $state(null);
  problem: string | null = $state(null);
  private jobs = new Set<number>();
  private isCancelled = false;
  private locks = 0;
  private locksBefore = 0;

  get running(): boolean {
    return this.step !== null;
  }

  private get isLocked(): boolean {
    return this.locks !== this.locksBefore;
  }

  /** Begins with the place, as every export. */
  async start(organisation: Organisation, wish: CaseWish): Promise<void> {
    if (this.running) return;
    if (exportRun.running) throw new Error('Another export is running. Wait for it, or cancel it on the page of its camera.');
    const { locks } = this;
    const to = await chooseFolder();
    if (to === null) return;
    await this.clear();
    this.locksBefore = locks;
    [this.wish, this.isCancelled, this.step] = [wish, false, 'looking'];
    this.outcomes = wish.parts.map(({ marked, camera, person }) => ({ marked, camera, person, files: [], problem: null, exported: null }));
    const stay = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', stay);
    try {
      if (this.isLocked) throw new Error(lockedMeanwhile());
      const prepared = await this.prepare(wish);
      this.step = 'signing';
      const ordered = await this.order(organisation, wish, prepared);
      this.step = 'writing';
      for (const each of ordered) await this.write(each, to);
      if (this.isLocked) return;
      await this.writeList(wish, to);
      if (!this.isLocked) this.downloads = downloadAll(this.files);
    } catch (error) {
      this.wish = null;
      this.outcomes = [];
      throw error;
    } finally {
      removeEventListener('beforeunload', stay);
      for (const job of this.jobs) {
        exporting.delete(job);
        await call('cancelExport', { job });
      }
      this.jobs.clear();
      [this.step, this.progress] = [null, null];
      if (this.isLocked) await this.wipe();
    }
  }

  async cancel(): Promise<void> {
    this.isCancelled = true;
    await Promise.all([...this.jobs].map((job) => call('cancelExport', { job })));
  }

  async clear(): Promise<void> {
    if (!this.running) await this.wipe();
  }

  /** The page is locked: nothing stays in it, nor comes into it of a case that is still being written. */
  async forget(): Promise<void> {
    this.locks += 1;
    await Promise.all([this.cancel(), this.wipe()]);
  }

  private async wipe(): Promise<void> {
    const { files } = this;
    for (const { url } of this.downloads) URL.revokeObjectURL(url);
    [this.outcomes, this.list, this.downloads, this.problem, this.wish, this.progress] = [[], [], [], null, null, null];
    await forgetFiles(files);
  }

  private get files(): Written[] {
    return [...this.outcomes.flatMap(({ exported }) => exported?.files ?? []), ...this.list];
  }

  private tell(at: number, news: Partial<Outcome>): void {
    this.outcomes = this.outcomes.map((outcome, n) => (n === at ? { ...outcome, ...news } : outcome));
  }

  /** What there is of each, before anything is ordered. */
  private async prepare({ parts, sound, proof, reason }: CaseWish): Promise<Prepared[]> {
    const rules = isApart() ? new Map<string, Explained>() : await this.rules(parts, reason);
    const prepared: Prepared[] = [];
    for (const [at, { marked: { bookmark }, camera, hears }] of parts.entries()) {
      const rule = rules.get(bookmark.camera);
      if (this.isCancelled || (rule && !rule.allowed && rule.missing === null)) {
        this.tell(at, { problem: this.isCancelled ? cancelled() : `You may not export it: ${rule?.refused ?? 'no role includes it'}.` });
        continue;
      }
      const [job, span] = [nextJob(), spanOf(bookmark)];
      this.jobs.add(job);
      try {
        await call('prepareExport', { job, cameras: [{ id: bookmark.camera, name: camera, sound: sound && hears }], rendition: 'main', proof, ...span });
        prepared.push({ at, job, span });
      } catch (error) {
        this.tell(at, { problem: explain(error) });
      }
    }
    return prepared;
  }

  /** Of each camera, whether this person may; states the reason where the rules want one. */
  private async rules(parts: readonly CasePart[], reason: string): Promise<Map<string, Explained>> {
    const cameras = [...new Set(parts.map(({ marked }) => marked.bookmark.camera))];
    const rules = new Map(await Promise.all(cameras.map(async (camera) => [camera, await why('export', camera)] as const)));
    const missing = [...rules.values()].map((rule) => rule.missing);
    if (missing.includes('second_factor')) throw new Error('The organisation wants you to sign in with a passkey, or with password and code, before you export. Sign out, and in again that way.');
    if (!missing.includes('reason')) return rules;
    if (reason === '') throw new Error('The organisation wants to know why: write down a reason.');
    await post('/api/v1/reasons', { reason });
    return rules;
  }

  /**
   * One signed action for each bookmark, which the history keeps. Returns those that the server took: they are written, whatever became of
   * the rest. Throws if it took none.
   */
  private async order(organisation: Organisation, { parts, reason }: CaseWish, prepared: readonly Prepared[]): Promise<Prepared[]> {
    const wanted = prepared.map(({ at, span }) => ({ ...span, camera: parts[at]!.marked.bookmark.camera }));
    const ordered: Prepared[] = [];
    let told = 0;
    let problem = cancelled();
    try {
      await orderExport(organisation, wanted, reason, (n, refused) => {
        told = n + 1;
        const each = prepared[n]!;
        if (this.isCancelled) this.tell(each.at, { problem });
        else if (refused) this.tell(each.at, { problem: explain(refused) });
        else ordered.push(each);
        return !this.isCancelled;
      });
    } catch (error) {
      if (ordered.length === 0) throw error;
      problem = explain(error);
    }
    for (const { at } of prepared.slice(told)) this.tell(at, { problem });
    return ordered;
  }

  private async write({ at, job }: Prepared, to: Destination): Promise<void> {
    if (this.isCancelled) return this.tell(at, { problem: cancelled() });
    this.at = at;
    exporting.set(job, (progress) => (this.progress = progress));
    const { exported, problem } = await call('writeExport', { job, to }).catch((error: unknown) => ({ exported: [], problem: explain(error) }));
    exporting.delete(job);
    this.jobs.delete(job);
    const [done = null] = exported;
    if (this.isLocked) return forgetFiles(done?.files ?? []);
    this.tell(at, { exported: done, files: done?.files.map(({ name }) => name) ?? [], problem });
  }

  /** Beside films that there are; alone it would say nothing that a page does not. */
  private async writeList({ name, before, total }: CaseWish, to: Destination): Promise<void> {
    if (!this.outcomes.some(({ exported }) => exported)) {
      this.problem = this.isCancelled ? 'The export was cancelled. What was not whole was taken back.' : 'Nothing of this case could be exported.';
      return;
    }
    const at = Date.now();
    const list = { name, at, zone: zone(), parts: this.outcomes, before, total };
    for (const [extension, text] of [['txt', caseText(list)], ['json', caseJson(list)]] as const) {
      if (this.isLocked) return;
      try {
        const written = await call('writeText', { to, name: fileName(name, at, extension), text });
        if (this.isLocked) return await forgetFiles([written]);
        this.list = [...this.list, written];
      } catch (error) {
        this.problem = explain(error);
      }
    }
  }
}

export const caseRun = new CaseRun();
// Names of cases, and films to be downloaded, must not stay in a page that is locked.
locking.add(() => void caseRun.forget());
