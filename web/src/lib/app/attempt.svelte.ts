// One thing at a time that a page does for a person: busy while it runs, and in words what became of it if that is not what was asked for.

import { untrack } from 'svelte';
import { explain } from '../api/client';
import { Proposed } from './organisation.svelte';

export class Attempt {
  busy = $state(false);
  problem: string | null = $state(null);
  /** What to know although nothing failed. */
  notice: string | null = $state(null);

  async run(act: () => Promise<void>): Promise<boolean> {
    // Untracked: an effect that starts something must not start it again when it is done.
    if (untrack(() => this.busy)) return false;
    this.busy = true;
    this.problem = null;
    this.notice = null;
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof Proposed) this.notice = error.message;
      else this.problem = explain(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
