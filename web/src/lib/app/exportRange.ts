// The stretch of time that is to be taken out: how its ends move. No clock here: `now` is an argument.

import type { Span } from './timeline';

export type End = 'from' | 'to';

const DEFAULT_MS = 60_000;
/** A film has at least this. */
const SHORTEST_MS = 1000;

/** A minute around a moment; at the newest end the last minute that is closed for certain. */
export function rangeAround(at: number | null, now: number): Span {
  const to = at === null ? now - DEFAULT_MS : Math.min(at + DEFAULT_MS / 2, now);
  return { from: Math.floor(to - DEFAULT_MS), to: Math.floor(to) };
}

/** With one end elsewhere. What it is moved past goes along, and keeps its distance. */
export function withEnd({ from, to }: Span, end: End, time: number, now: number): Span {
  const at = Math.floor(Math.max(0, Math.min(time, now)));
  const length = to - from;
  if (end === 'from') {
    const start = Math.min(at, Math.floor(now) - SHORTEST_MS);
    return { from: start, to: start + SHORTEST_MS <= to ? to : Math.min(start + length, Math.floor(now)) };
  }
  const last = Math.max(at, SHORTEST_MS);
  return { from: from + SHORTEST_MS <= last ? from : Math.max(0, last - length), to: last };
}

/** As a field for date and time takes it, in the viewer's zone. */
export function fieldValue(at: number): string {
  const date = new Date(at);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
