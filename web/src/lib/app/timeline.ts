// What a timeline shows, worked out from recordings, or from what the server added up of them, and gaps. No clock and no drawing here:
// `now` and the window are arguments.

import type { Gap, RecordingListing, TimelinePart } from '../api/types';

export interface Span {
  from: number;
  to: number;
}

/** How much goes on in a stretch, by the size of its pictures: 0 as in quiet times, 1 as in the busiest. */
export interface Activity extends Span {
  level: number;
}

/** A stretch in equal parts, of which the server says how much was recorded. */
export interface Summary {
  from: number;
  part_ms: number;
  parts: TimelinePart[];
}

/** Recordings follow each other with a frame's distance; less than this is no gap. */
const JOIN_MS = 1500;
/** A part of which so much was recorded was recorded throughout: each recording counts until its last picture begins, not until it ends. */
const WHOLE = 0.94;

/** Shortest and longest window: a few dozen pictures, and somewhat more than a month. */
export const SHORTEST_MS = 2000;
export const LONGEST_MS = 32 * 86_400_000;

/** What says when something was recorded. */
export type Covered = Pick<RecordingListing, 'started_at' | 'duration_ms' | 'available'>;

/** Stretches with footage, joined where one recording follows the other. */
export function coverage(recordings: Iterable<Covered>): Span[] {
  return joined(inOrder(recordings).map(({ started_at: from, duration_ms }) => ({ from, to: from + duration_ms })), JOIN_MS);
}

/** Those of a summary, and those of which only some was recorded. */
export function summed({ from, part_ms, parts }: Summary): { whole: Span[]; some: Span[] } {
  const spans = (chosen: TimelinePart[]) => joined(chosen.map(({ part }) => ({ from: from + part * part_ms, to: from + (part + 1) * part_ms })), 0);
  const isWhole = ({ recorded_ms }: TimelinePart) => recorded_ms >= part_ms * WHOLE;
  return { whole: spans(parts.filter(isWhole)), some: spans(parts.filter((part) => !isWhole(part))) };
}

function inOrder<R extends Covered>(recordings: Iterable<R>): R[] {
  return [...recordings].filter(({ available }) => available).sort((a, b) => a.started_at - b.started_at);
}

/** Stretches in order, those in one that lie no further apart than this. */
export function joined(inOrder: Span[], apart: number): Span[] {
  const spans: Span[] = [];
  for (const { from, to } of inOrder) {
    const last = spans.at(-1);
    if (last && from - last.to <= apart) last.to = Math.max(last.to, to);
    else spans.push({ from, to });
  }
  return spans;
}

/** Where all of these lists have something. Each is in order, its stretches apart. */
export function shared(lists: readonly Span[][]): Span[] {
  const [first = [], ...others] = lists;
  return others.reduce((common, list) => {
    const both: Span[] = [];
    for (let [i, j] = [0, 0]; i < common.length && j < list.length; ) {
      const [a, b] = [common[i]!, list[j]!];
      const part = { from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) };
      if (part.from < part.to) both.push(part);
      if (a.to < b.to) i += 1;
      else j += 1;
    }
    return both;
  }, first);
}

/** Stretches between footage, longest reason first where the gateway gave one. Before the first and after the last recording nothing is missing. */
export function missing(spans: Span[], gaps: Gap[]): (Span & { reason: Gap['reason'] | null })[] {
  return spans.slice(1).map(({ from: to }, i) => {
    const from = spans[i]!.to;
    const overlap = (gap: Gap) => Math.min(gap.to, to) - Math.max(gap.from, from);
    const told = gaps.filter((gap) => overlap(gap) > 0).sort((a, b) => overlap(b) - overlap(a))[0];
    return { from, to, reason: told?.reason ?? null };
  });
}

export function within(spans: Span[], time: number): boolean {
  return spans.some(({ from, to }) => from <= time && time < to);
}

/** A quiet picture compresses well, one in which something moves does not: that shows without opening anything. */
export function activityOf(recordings: Iterable<RecordingListing>): Activity[] {
  return levels(inOrder(recordings).map(({ started_at: from, duration_ms: ms, bytes }) => ({ from, to: from + ms, ms, bytes })));
}

export function activityOfSummary({ from, part_ms, parts }: Summary): Activity[] {
  return levels(parts.map(({ part, recorded_ms: ms, bytes }) => ({ from: from + part * part_ms, to: from + (part + 1) * part_ms, ms, bytes })));
}

/** A fifth of all times is taken for quiet. Below this ratio to them nothing stands out, and noise is not drawn. */
const STANDS_OUT = 1.25;

function levels(known: (Span & { ms: number; bytes: number })[]): Activity[] {
  const rates = known.filter(({ ms }) => ms > 0).map(({ from, to, ms, bytes }) => ({ from, to, rate: bytes / ms }));
  const sorted = rates.map(({ rate }) => rate).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const quiet = at(0.2);
  // A single outlier does not make all else look quiet, unless there is nothing else.
  const busy = [at(0.98), at(1)].find((rate) => rate >= quiet * STANDS_OUT);
  if (quiet <= 0 || busy === undefined) return [];
  const level = (rate: number) => Math.min(1, Math.max(0, (rate - quiet) / (busy - quiet)));
  return rates.map(({ from, to, rate }) => ({ from, to, level: level(rate) })).filter(({ level: high }) => high > 0);
}

/** The window, `factor` times as long; `around` stays where it is on the screen. */
export function zoomed({ from, to }: Span, factor: number, around: number): Span {
  const length = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, (to - from) * factor));
  const share = Math.min(1, Math.max(0, (around - from) / (to - from)));
  const start = around - share * length;
  return { from: start, to: start + length };
}

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 4, 7].map((n) => n * DAY),
];

/** That hour of the day in which this is, or of one so many days later, by the clock on the wall: days are not all as long, and not all zones begin at whole hours. */
function wall(at: number, days: number, hour: number): number {
  const date = new Date(at);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days, hour).getTime();
}
/** Counts days alike wherever the window begins, so that marks stay while it moves. */
function dayNumber(at: number): number {
  const date = new Date(at);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY);
}

export interface Mark {
  at: number;
  /** What tells it from its neighbours. */
  names: 'day' | 'minute' | 'second';
}

/** Round times in the viewer's zone at which the timeline has a mark, at most `most` of them. */
export function marks({ from, to }: Span, most: number): Mark[] {
  const step = STEPS.find((size) => (to - from) / size <= most) ?? STEPS.at(-1)!;
  const found: Mark[] = [];
  const add = (at: number, names: Mark['names']) => {
    // An hour that a clock change leaves out is the next one again.
    if (at >= from && at <= to && at !== found.at(-1)?.at) found.push({ at, names: wall(at, 0, 0) === at ? 'day' : names });
  };
  if (step < HOUR) {
    const hour = wall(from, 0, new Date(from).getHours());
    for (let at = hour + Math.floor((from - hour) / step) * step; at <= to; at += step) add(at, step < MINUTE ? 'second' : 'minute');
    return found;
  }
  const hours = step < DAY ? step / HOUR : 24;
  for (let day = 0; wall(from, day, 0) <= to; day += 1) {
    if (step >= DAY && dayNumber(wall(from, day, 0)) % (step / DAY) !== 0) continue;
    for (let hour = 0; hour < 24; hour += hours) add(wall(from, day, hour), 'minute');
  }
  return found;
}

/** Drawn as one SVG path of so many units: each a bar of its level, and none too thin to be seen. */
export function bars(list: readonly (Span & { level?: number })[], view: Span, width: number, height: number, thin = 2): string {
  const scale = width / (view.to - view.from);
  let path = '';
  for (const { from, to, level = 1 } of list) {
    if (to <= view.from || from >= view.to) continue;
    const left = (Math.max(from, view.from) - view.from) * scale;
    const wide = Math.max(thin, (Math.min(to, view.to) - view.from) * scale - left);
    const high = Math.max(1, height * level);
    path += `M${left.toFixed(1)},${height}v${(-high).toFixed(1)}h${wide.toFixed(1)}v${high.toFixed(1)}z`;
  }
  return path;
}
