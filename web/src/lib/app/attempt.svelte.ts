// One thing at a time that a page does for a person: busy while it runs, and the problem in words if it failed.

import { untrack } from 'svelte';
import { explain } from '../api/client';

export class Attempt {
  busy = $state(false);
  problem: string | null = $state(null);

  async run(act: () => Promise<void>): Promise<boolean> {
    // Untracked: an effect that starts something must not start it again when it is done.
    if (untrack(() => this.busy)) return false;
    this.busy = true;
    this.problem = null;
    try {
      await act();
      return true;
    } catch (error) {
      this.problem = explain(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
