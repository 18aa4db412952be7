// Locks this browser when nobody has used the page for a while: the keys leave memory, and the passkey or passphrase brings them back.

import { loadLockAfter, saveLockAfter } from '../device/store';
import { exporting } from './keeper';
import { session } from './session.svelte';

/** Minutes; 0 is never. */
export const CHOICES = [0, 1, 5, 15, 60];
const LOOK_MS = 5_000;
const USES = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'];

class IdleLock {
  minutes = $state(0);
  private used = Date.now();

  /** For as long as the page is open. A wall that shows itself is in use by being looked at. */
  watch(): void {
    void loadLockAfter().then((minutes) => (this.minutes = minutes ?? 0));
    for (const use of USES) addEventListener(use, () => this.use(), { capture: true, passive: true });
    // A page that slept in a pocket looks at the clock before it counts as used.
    document.addEventListener('visibilitychange', () => this.look());
    setInterval(() => this.look(), LOOK_MS);
  }

  async set(minutes: number): Promise<void> {
    await saveLockAfter(minutes);
    this.minutes = minutes;
    this.used = Date.now();
  }

  private use(): void {
    this.look();
    this.used = Date.now();
  }

  private look(): void {
    // What runs for somebody is used by them.
    if (exporting.size > 0) this.used = Date.now();
    const isDue = this.minutes > 0 && Date.now() - this.used >= this.minutes * 60_000;
    const isKiosk = location.pathname.startsWith('/wall') && new URLSearchParams(location.search).has('kiosk');
    if (isDue && session.unlocked && !isKiosk) void session.lock();
  }
}

export const idleLock = new IdleLock();
