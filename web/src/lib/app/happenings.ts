// Events as people think of them, put together from what cameras told: one for one thing that happened, with a beginning and, once it is
// known, an end. No clock and no drawing here.

import type { OpenedEvents } from '../../worker/events';
import { type EventKind, isOfGateway, isTrouble } from '../seal/event';

export interface Happening {
  id: string;
  /** Ids are drawn by gateways, each for its own cameras. */
  key: string;
  camera: string;
  /** Several for trouble of a gateway, which stands in the tracks of all its cameras. */
  cameras: readonly string[];
  kind: EventKind;
  rule: string | null;
  topic: string;
  from: number;
  /** Null while it goes on, or if nobody told its end. */
  to: number | null;
  /** Nobody told its end, and the same has begun again since. */
  over?: boolean;
}

/** A gateway ends what a camera does not; after this, an end that was never told is not waited for. */
const UNTOLD_END_MS = 11 * 60_000;

export class Happenings {
  private readonly byKey = new Map<string, Happening>();
  /** Ends whose beginning lies in an older recording. */
  private readonly ends = new Map<string, number>();
  private readonly read = new Set<string>();

  /** What was taken before changes nothing. */
  take({ recording, camera, events, problem }: OpenedEvents): void {
    if (problem !== null || this.read.has(recording)) return;
    this.read.add(recording);
    for (const { id, at, phase, kind, rule, topic } of events) {
      const key = isOfGateway(kind) ? id : `${camera} ${id}`;
      if (phase === 'ended') {
        this.ends.set(key, at);
        const begun = this.byKey.get(key);
        if (begun) begun.to = Math.max(at, begun.from);
        continue;
      }
      const end = phase === 'happened' ? at : this.ends.get(key);
      const known = this.byKey.get(key);
      if (known && isOfGateway(kind)) {
        if (!known.cameras.includes(camera)) known.cameras = [...known.cameras, camera];
        continue;
      }
      this.byKey.set(key, { id, key, camera, cameras: [camera], kind, rule, topic, from: at, to: end === undefined ? null : Math.max(end, at) });
    }
  }

  has(recording: string): boolean {
    return this.read.has(recording);
  }

  /** The newest first. */
  all(): Happening[] {
    const all = [...this.byKey.values()].sort((a, b) => b.from - a.from || (a.key < b.key ? 1 : -1));
    const later = new Set<string>();
    return all.map((event) => {
      if (!isTrouble(event.kind)) return event;
      // A camera has no picture for one reason at a time.
      const about = `${event.camera} ${event.kind === 'not_recorded' ? 'camera_down' : event.kind}`;
      const over = event.to === null && later.has(about);
      later.add(about);
      return over ? { ...event, over } : event;
    });
  }
}

export const goesOn = ({ from, to, kind, over }: Happening, now: number): boolean => to === null && (isTrouble(kind) ? over !== true : now - from < UNTOLD_END_MS);

export interface Wanted {
  camera: string | null;
  kinds: ReadonlySet<EventKind>;
  text: string;
  unreviewed: boolean;
}

/** Whether it is one of those that somebody looks for. Text is looked for in the rule, the topic and the camera's name. */
export function isWanted(event: Happening, wanted: Wanted, reviewed: ReadonlySet<string>, cameraName: string): boolean {
  if (wanted.camera !== null && !event.cameras.includes(wanted.camera)) return false;
  if (wanted.kinds.size > 0 && !wanted.kinds.has(event.kind)) return false;
  if (wanted.unreviewed && reviewed.has(event.id)) return false;
  const text = wanted.text.trim().toLocaleLowerCase();
  return text === '' || `${event.rule ?? ''}\n${event.topic}\n${cameraName}`.toLocaleLowerCase().includes(text);
}
