// How long a gateway keeps recordings, in words.

import type { Quiet } from '../seal/commands';
import { EVENT_KINDS, type EventKind, isTrouble } from '../seal/event';
import { KIND_WORDS } from './words';

export interface Retention {
  bytes_max: number;
  age_days_max: number;
  /** Null where no difference is made. */
  quiet: Quiet | null;
}

const GB = 1_000_000_000;
/** Kinds for which footage can stay. Trouble is no event of a picture: it makes none stay. */
export const COUNTABLE: readonly EventKind[] = EVENT_KINDS.filter((kind) => !isTrouble(kind));

export const quietBut = (days_max: number, counted: readonly EventKind[]): Quiet => ({ days_max, kinds: COUNTABLE.filter((kind) => !counted.includes(kind)) });

/** As the gateway told it, in the clear: kinds that are none of ours are left out. */
export function retentionOf({ bytes_max, age_days_max, quiet }: { bytes_max: number; age_days_max: number; quiet?: { days_max: number; kinds: string[] } | null }): Retention {
  return { bytes_max, age_days_max, quiet: quiet ? { days_max: quiet.days_max, kinds: EVENT_KINDS.filter((kind) => quiet.kinds.includes(kind)) } : null };
}

const daysWords = (days: number): string => (days === 1 ? 'one day' : `${days} days`);

export function quietWords({ days_max, kinds }: Quiet): string {
  const passedOver = kinds.map((kind) => KIND_WORDS[kind]).join(', ');
  return passedOver === '' ? `footage without any event ${daysWords(days_max)}` : `footage without any event ${daysWords(days_max)} (not counted: ${passedOver})`;
}

export function retentionWords({ bytes_max, age_days_max, quiet }: Retention): string {
  const most = `at most ${bytes_max / GB} GB and ${daysWords(age_days_max)}`;
  return quiet ? `${most}, ${quietWords(quiet)}` : most;
}
