// Moving one camera: a session at its gateway, and orders in it, one at a time. What somebody holds is ordered again before it ends by itself;
// what they change is ordered at once. What was lost or refused on the way is signed again only while somebody still wants it: whoever carries
// orders would get another good one by keeping the first.

import { ApiError, explain, post } from '../api/client';
import { hex } from '../seal/bytes';
import { random } from '../seal/crypto';
import { readEnvelope } from '../seal/dsse';
import { MOVE_MS_MAX, type Movement, type PtzSession, readPtzSession, signPtzOrder, SPEED_MAX, type Speed } from '../seal/ptz';
import type { Organisation } from './organisation.svelte';

/** What goes on is ordered again this often. */
export const AGAIN_MS = MOVE_MS_MAX * 0.4;
/** Between two orders, however fast somebody moves the pointer. */
export const PAUSE_MS = 80;
/** An answer that takes longer does not come: the gateway has 10 s. */
const PATIENCE_MS = 12_000;
/** What somebody pressed begins within so long, or not at all: by then they look elsewhere. */
export const WANTED_MS = 5000;
/** A list of positions that is older is read again before it is chosen from. */
const FRESH_MS = 5000;

export type Preset = PtzSession['presets'][number];

/** From where a pointer is in a pad: -1 to 1 from its middle, which is still as far as a tenth. Squared, so that slow is easy. */
export function speedAt(x: number, y: number): Speed {
  const length = Math.hypot(x, y);
  if (length < 0.1) return { pan: 0, tilt: 0, zoom: 0 };
  const speed = Math.min(1, length) ** 2 * SPEED_MAX;
  return { pan: Math.round((x / length) * speed), tilt: Math.round((-y / length) * speed), zoom: 0 };
}

const isOver = (error: unknown): boolean => error instanceof ApiError && error.code === 'ptz_over';
const isLate = (error: unknown): boolean => error instanceof ApiError && error.code === 'ptz_late';

export class Steering {
  session: PtzSession | null = $state.raw(null);
  /** What is held. */
  speed: Speed | null = $state.raw(null);
  /** Something is ordered that takes a moment. */
  busy = $state(false);
  problem: string | null = $state(null);
  private opened = 0;
  private number = 0;
  private running = false;
  /** Of what was held last, with its stop. */
  private ended: Promise<void> = Promise.resolve();
  private last: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;

  constructor(
    private readonly camera: string,
    private readonly organisation: Organisation,
    private readonly now: () => number = () => performance.now(),
    private readonly ask: typeof post = post,
  ) {}

  get moves(): boolean {
    return this.session !== null && (this.session.pan_tilt || this.session.zoom);
  }

  /** Asks the gateway what the camera can do. */
  async open(): Promise<void> {
    const { organisation, camera } = this;
    const gateway = organisation.gateway(organisation.camera(camera)?.gateway ?? '');
    if (!gateway) throw new Error('The gateway of this camera is not in the roster.');
    const challenge = hex(random(32));
    const { envelope } = await this.ask<{ envelope: unknown }>(`/api/v1/cameras/${camera}/ptz`, { challenge }, PATIENCE_MS);
    const session = await readPtzSession(readEnvelope(envelope), organisation.org, gateway, camera, challenge);
    [this.opened, this.number, this.session] = [this.now(), 0, session];
  }

  /** For a panel that opens: others may have changed what the camera remembers. */
  async refresh(): Promise<void> {
    if (this.now() - this.opened > FRESH_MS) await this.open().catch((error: unknown) => void (this.problem = explain(error)));
  }

  /** Moves so until told otherwise. */
  hold(speed: Speed): void {
    this.speed = speed;
    this.wake();
    if (!this.running) this.ended = this.run();
  }

  release(): void {
    if (!this.speed) return;
    this.speed = null;
    this.wake();
  }

  readonly home = (): Promise<boolean> => this.once({ type: 'home' });
  readonly goTo = ({ token }: Preset): Promise<boolean> => this.once({ type: 'go_to', preset: token });
  readonly save = (name: string): Promise<boolean> => this.change({ type: 'save_preset', name });
  /** Cameras give the word for a position to another one once it is forgotten: it is forgotten while it is still the one that was chosen. */
  readonly remove = ({ token, name }: Preset): Promise<boolean> =>
    this.change({ type: 'remove_preset', preset: token }, () => {
      const isStill = this.session?.presets.some((preset) => preset.token === token && preset.name === name);
      if (!isStill) throw new Error('The positions of this camera were changed meanwhile. Choose again.');
    });

  private once(movement: Movement): Promise<boolean> {
    return this.doing(async (isWanted) => {
      try {
        await this.order(movement, isWanted);
      } catch (error) {
        // Nothing knew of it: it is ordered where it is known.
        if (!isOver(error) || !isWanted()) throw error;
        await this.open();
        await this.order(movement, isWanted);
      }
    });
  }

  /** What changes what the camera remembers is signed once, in a session that has just begun. */
  private change(movement: Movement, check: () => void = () => undefined): Promise<boolean> {
    return this.doing(async () => {
      const began = this.now();
      await this.open();
      check();
      await this.order(movement, () => this.now() - began < PATIENCE_MS);
      await this.open();
    });
  }

  /** After what is held has been stopped, or its stop would end this. */
  private async doing(act: (isWanted: () => boolean) => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = null;
    const began = this.now();
    try {
      this.release();
      await this.ended;
      await act(() => this.now() - began < WANTED_MS);
      return true;
    } catch (error) {
      this.problem = explain(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  private async run(): Promise<void> {
    this.running = true;
    this.problem = null;
    const isHeld = (): boolean => this.speed !== null;
    let refused = 0;
    try {
      while (this.speed) {
        const { speed } = this;
        const began = this.now();
        try {
          await this.order({ type: 'move', ...speed }, isHeld);
          refused = 0;
        } catch (error) {
          if (!isHeld()) break;
          refused += 1;
          if (refused > 1 || !(isOver(error) || isLate(error))) throw error;
          await this.open();
          continue;
        }
        // Woken by what changes.
        if (this.speed === speed) await this.rest(AGAIN_MS - (this.now() - began));
        await this.pause(PAUSE_MS - (this.now() - began));
      }
      await this.stop();
    } catch (error) {
      this.speed = null;
      this.problem = explain(error);
    } finally {
      this.running = false;
      // Somebody holds it again, who came while it was being stopped.
      if (this.speed) this.ended = this.run();
    }
  }

  private async stop(): Promise<void> {
    const isLetGo = (): boolean => this.speed === null;
    try {
      await this.order({ type: 'stop' });
    } catch (error) {
      if (!isOver(error) || !isLetGo()) throw error;
      await this.open();
      if (isLetGo()) await this.order({ type: 'stop' });
    }
  }

  /** One after the other: of two that overtake each other the gateway refuses one. */
  private order(movement: Movement, isWanted: () => boolean = () => true): Promise<void> {
    const ordered = this.last.then(async () => {
      if (!this.session) await this.open();
      if (!isWanted()) throw new Error('The connection was too slow, and nothing was ordered. Try again.');
      this.number += 1;
      const envelope = await signPtzOrder(this.session!, this.number, Math.floor(this.now() - this.opened), movement, this.organisation.signer);
      await this.ask<void>(`/api/v1/cameras/${this.camera}/ptz/orders`, { envelope }, PATIENCE_MS);
    });
    this.last = ordered.catch(() => undefined);
    return ordered;
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.wake = () => (clearTimeout(timer), resolve());
    });
  }

  private pause(ms: number): Promise<void> {
    return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
  }
}
