// What leaked into the cameras of one gateway, as it tells this device, and kept up while it reads them.

import { explain } from '../api/client';
import type { Findings, SweptCamera } from '../seal/cameraAnswer';
import type { Gateway } from '../seal/statements';
import { firstFindings, restOfFindings, stopSweep, sweepCameras } from './actions';
import type { Organisation } from './organisation.svelte';

/** Between two questions while something is read; the gateway answers when there is news, and else after some seconds. */
const PAUSE_MS = 2000;

/** What is known, with what is newer. */
function merged(known: readonly SweptCamera[], newer: readonly SweptCamera[]): SweptCamera[] {
  const cameras = new Map([...known, ...newer].map((swept) => [swept.camera, swept]));
  return [...cameras.values()];
}

export class Leaks {
  found: Findings | null = $state.raw(null);
  problem: string | null = $state(null);
  /** An order of the person's is on its way. */
  busy = $state(false);
  private isOver = false;
  private isFollowing = false;

  constructor(
    private readonly organisation: Organisation,
    readonly gateway: Gateway,
  ) {}

  get cameras(): readonly SweptCamera[] {
    return this.found?.cameras ?? [];
  }

  get isReading(): boolean {
    return this.found !== null && (this.found.running !== null || this.found.waiting > 0);
  }

  /** Asks, and goes on asking while the gateway reads. */
  async follow(): Promise<void> {
    if (this.isFollowing) return;
    this.isFollowing = true;
    try {
      let seen: number | null = null;
      do {
        if (seen !== null) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        const page = await firstFindings(this.organisation, this.gateway, seen);
        // The rest is asked for once nothing moves any more: each page is a signed question.
        const isReading = page.running !== null || page.waiting > 0;
        const known = this.found;
        this.found = isReading && known ? { ...page, cameras: merged(known.cameras, page.cameras) } : await restOfFindings(this.organisation, this.gateway, page);
        this.problem = null;
        seen = this.found.version;
      } while (this.isReading && !this.isOver);
    } catch (error) {
      this.problem = explain(error);
    } finally {
      this.isFollowing = false;
    }
  }

  read = (camera: string | null = null): Promise<void> => this.order(() => sweepCameras(this.organisation, this.gateway, camera));
  stop = (): Promise<void> => this.order(() => stopSweep(this.organisation, this.gateway));

  private async order(act: () => Promise<void>): Promise<void> {
    this.busy = true;
    try {
      await act();
      this.problem = null;
    } catch (error) {
      this.problem = explain(error);
      return;
    } finally {
      this.busy = false;
    }
    await this.follow();
  }

  /** The page is gone. */
  end(): void {
    this.isOver = true;
  }
}
