// One camera among several that show what was recorded at one time: which picture of it is shown, and why there is none.

import { type Clock, mediaAt, wallNow } from '../../worker/clock';
import type { PlayerEvent } from '../../worker/protocol';
import type { Rendition } from '../api/types';
import { PlayerHandle } from './keeper';
import type { Together } from './together.svelte';

/** How late its pictures came is said of so many. */
const LATES_KEPT = 20;
/** What ends at what is recorded now may have grown since. */
const AGAIN_MS = 10_000;

export class PastTile {
  /** Null while it rests. */
  rendition: Rendition | null = $state(null);
  /** When the camera saw what is shown. */
  at: number | null = $state(null);
  problem: string | null = $state(null);
  unsupported: string | null = $state(null);
  size: { width: number; height: number } | null = $state.raw(null);
  /** Of the newest pictures, the one that came latest after it was due. */
  late: number | null = $state(null);
  /** Here it has nothing; no end is known of `to` null. */
  private nothing: { from: number; to: number | null } | null = $state.raw(null);
  // As of a live one: none of it happens here.
  readonly stopped: number | null = null;
  readonly strained: boolean = false;
  /** Has shown what it was asked for, or said why it cannot. */
  ready = true;
  private lates: number[] = [];
  private asked = 0;
  private readonly handle: PlayerHandle;

  constructor(
    camera: string,
    canvas: HTMLCanvasElement,
    private readonly together: Together,
  ) {
    this.handle = new PlayerHandle(camera, 'sub', canvas, (event) => this.take(event));
    together.tiles.add(this);
  }

  get old(): boolean {
    return this.empty !== null;
  }

  /** The stretch without footage in which the common time lies. */
  get empty(): { from: number; to: number | null } | null {
    const { nothing } = this;
    const at = this.together.at;
    return nothing && at >= nothing.from && (nothing.to === null || at < nothing.to) ? nothing : null;
  }

  get note(): string | null {
    return this.empty ? 'Nothing recorded at this time' : this.at === null ? 'Opening…' : null;
  }

  show(rendition: Rendition | null): void {
    if (rendition === this.rendition) return;
    this.rendition = rendition;
    this.nothing = null;
    this.ready = true;
    if (rendition === null) return this.handle.control({ do: 'hold' });
    this.handle.control({ do: 'rendition', rendition });
    this.follow(this.together.clock, true);
  }

  follow(clock: Clock, anew: boolean, preview = false): void {
    if (this.rendition === null) return;
    if (anew) {
      this.nothing = this.problem = this.unsupported = null;
      this.lates = [];
      this.ready = false;
      this.asked = wallNow();
    }
    this.handle.control({ do: 'follow', clock, anew, preview });
  }

  /** Asks again for what was not recorded yet. */
  look(): void {
    if (this.nothing?.to === null && wallNow() - this.asked > AGAIN_MS && mediaAt(this.together.clock, wallNow()) >= this.nothing.from) this.follow(this.together.clock, true);
  }

  close(): void {
    this.together.tiles.delete(this);
    this.handle.close();
  }

  private take(event: PlayerEvent): void {
    switch (event.type) {
      case 'picture':
        this.at = event.at;
        if (this.size?.width !== event.width || this.size.height !== event.height) this.size = { width: event.width, height: event.height };
        if (event.late === null) return;
        this.lates = [...this.lates.slice(1 - LATES_KEPT), event.late];
        this.late = Math.max(...this.lates);
        return;
      case 'state':
        return event.state === 'seeking' ? undefined : this.settled();
      case 'nothing':
        this.nothing = { from: event.from, to: event.to };
        return this.settled();
      case 'error':
        this.problem = event.message;
        return this.settled();
      case 'unsupported':
        this.unsupported = event.codec;
        return this.settled();
    }
  }

  private settled(): void {
    this.ready = true;
    this.together.settled();
  }
}
