// Moving one camera: a session at its gateway, and orders in it, one at a time. What somebody holds is ordered again before it ends by itself;
// what they change is ordered at once. Whatever is lost on the way, the camera stops within a second.

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
/** After these another session helps. */
const OVER = new Set(['ptz_over', 'ptz_late']);

export type Preset = PtzSession['presets'][number];

/** From where a pointer is in a pad: -1 to 1 from its middle, which is still as far as a tenth. Squared, so that slow is easy. */
export function speedAt(x: number, y: number): Speed {
  const length = Math.hypot(x, y);
  if (length < 0.1) return { pan: 0, tilt: 0, zoom: 0 };
  const speed = Math.min(1, length) ** 2 * SPEED_MAX;
  return { pan: Math.round((x / length) * speed), tilt: Math.round((-y / length) * speed), zoom: 0 };
}

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
    const { envelope } = await this.ask<{ envelope: unknown }>(`/api/v1/cameras/${camera}/ptz`, { challenge });
    const session = await readPtzSession(readEnvelope(envelope), organisation.org, gateway, camera, challenge);
    [this.opened, this.number, this.session] = [this.now(), 0, session];
  }

  /** Moves so until told otherwise. */
  hold(speed: Speed): void {
    this.speed = speed;
    this.wake();
    if (!this.running) void this.run();
  }

  release(): void {
    if (!this.speed) return;
    this.speed = null;
    this.wake();
  }

  readonly home = (): Promise<boolean> => this.once({ type: 'home' });
  readonly goTo = ({ token }: Preset): Promise<boolean> => this.once({ type: 'go_to', preset: token });
  readonly save = (name: string): Promise<boolean> => this.once({ type: 'save_preset', name }, true);
  readonly remove = ({ token }: Preset): Promise<boolean> => this.once({ type: 'remove_preset', preset: token }, true);

  private async once(movement: Movement, changes = false): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = null;
    try {
      await this.order(movement);
      if (changes) await this.open();
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
    try {
      while (this.speed) {
        const { speed } = this;
        const began = this.now();
        await this.order({ type: 'move', ...speed });
        // Woken by what changes.
        if (this.speed === speed) await this.rest(AGAIN_MS - (this.now() - began));
        await this.pause(PAUSE_MS - (this.now() - began));
      }
      await this.order({ type: 'stop' });
    } catch (error) {
      this.speed = null;
      this.problem = explain(error);
    } finally {
      this.running = false;
    }
  }

  private async order(movement: Movement): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      if (!this.session) await this.open();
      this.number += 1;
      const envelope = await signPtzOrder(this.session!, this.number, Math.floor(this.now() - this.opened), movement, this.organisation.signer);
      try {
        return await this.ask<void>(`/api/v1/cameras/${this.camera}/ptz/orders`, { envelope });
      } catch (error) {
        if (attempt === 2 || !(error instanceof ApiError) || !OVER.has(error.code)) throw error;
        await this.open();
      }
    }
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
