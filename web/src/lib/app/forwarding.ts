// What leaves a site by itself, in words, and times of the day between the viewer's zone and UTC.

import type { Bandwidth, Forward, Forwarding } from '../seal/commands';
import { t } from '../say';
import { hourMinute } from './words';

const DAY_MINUTES = 24 * 60;

export const FORWARD_WORDS: Record<Forward, string> = { always: t('everything'), events: 'only what belongs to events', never: t('nothing') };

export const forwardingWords = ({ main, sub, short_in_events }: Forwarding): string =>
  `of the full-size stream ${FORWARD_WORDS[main]}, of the small one ${FORWARD_WORDS[sub]}${short_in_events ? '; in events every two seconds' : ''}`;

/** `HH:MM` of the viewer, as minutes since midnight UTC. */
export function minuteOf(time: string, offset = new Date().getTimezoneOffset()): number {
  const [hours, minutes] = time.split(':').map(Number) as [number, number];
  return (((hours * 60 + minutes + offset) % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;
}

/** The other way. Summer time moves it by an hour, since the gateway knows nothing of it. */
export function timeOf(minute: number, offset = new Date().getTimezoneOffset()): string {
  const local = (((minute - offset) % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;
  return `${String(Math.floor(local / 60)).padStart(2, '0')}:${String(local % 60).padStart(2, '0')}`;
}

const speed = (kilobits: number | null): string => (kilobits === null ? 'as fast as it goes' : kilobits === 0 ? 'only what belongs to events' : `at most ${kilobits} kbit/s`);

export function bandwidthWords({ kilobits_max, spans }: Bandwidth): string {
  const shown = (minute: number) => hourMinute(new Date().setUTCHours(0, minute, 0, 0));
  return [speed(kilobits_max), ...spans.map((span) => `from ${shown(span.from)} to ${shown(span.to)} ${speed(span.kilobits_max)}`)].join(', ');
}
