// What an order of notices may hold (docs/format.md section 9), for the page, which has no part in sealing it.

import type { EventKind } from './event';

export const LIFE_MS_MAX = 60 * 24 * 60 * 60 * 1000;
export const QUIET_MAX = 128;
export const CAMERAS_MAX = 1000;

export interface Wishes {
  /** An event is told if any of them wants it; `cameras` null is all that the device may see. */
  rules: { cameras: string[] | null; kinds: EventKind[] }[];
  /** When nothing is told. */
  quiet: { from: number; to: number }[];
  /** After a notice, none of the same camera is told for so long. */
  pause_ms: number;
  /** A picture is to come with each. */
  pictures: boolean;
}
