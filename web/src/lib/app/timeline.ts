// What a timeline shows, worked out from recordings and gaps. No clock and no drawing here: `now` and the window are arguments.

import type { Gap, RecordingListing } from '../api/types';

export interface Span {
  from: number;
  to: number;
}

export interface Known {
  recordings: Map<string, RecordingListing>;
  gaps: Gap[];
}

/** Recordings follow each other with a frame's distance; less than this is no gap. */
const JOIN_MS = 1500;

/** Stretches with footage, joined where one recording follows the other. */
export function coverage(recordings: Iterable<RecordingListing>): Span[] {
  const spans: Span[] = [];
  const inOrder = [...recordings].filter(({ available }) => available).sort((a, b) => a.started_at - b.started_at);
  for (const { started_at: from, duration_ms } of inOrder) {
    const to = from + duration_ms;
    const last = spans.at(-1);
    if (last && from - last.to <= JOIN_MS) last.to = Math.max(last.to, to);
    else spans.push({ from, to });
  }
  return spans;
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

const MINUTE = 60_000;
const STEPS = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE, 120 * MINUTE, 180 * MINUTE, 360 * MINUTE];

/** Round times in the viewer's zone at which the timeline has a mark, at most `most` of them. */
export function marks({ from, to }: Span, most: number): number[] {
  const step = STEPS.find((size) => (to - from) / size <= most) ?? STEPS.at(-1)!;
  // Midnight of the viewer's zone, so that marks fall on whole hours there too (India, Nepal).
  const midnight = new Date(from).setHours(0, 0, 0, 0);
  const found: number[] = [];
  for (let at = midnight + Math.ceil((from - midnight) / step) * step; at <= to; at += step) found.push(at);
  return found;
}
