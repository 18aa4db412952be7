// When nothing is to be told. For the page that orders notices, and for the service worker.

import type { NoticeChoice } from '../device/store';
import { QUIET_MAX } from '../seal/noticeLimits';

/** The nights of as long as an order lives, in this browser's zone: it knows when clocks change, the gateway does not. */
export function quietTimes({ quiet, snoozed_until }: Pick<NoticeChoice, 'quiet' | 'snoozed_until'>, now: number): { from: number; to: number }[] {
  const times = snoozed_until > now ? [{ from: 0, to: snoozed_until }] : [];
  if (!quiet || quiet.from === quiet.to) return times;
  const today = new Date(now);
  const at = (day: number, minutes: number): number => new Date(today.getFullYear(), today.getMonth(), today.getDate() + day, 0, minutes).getTime();
  for (let day = -1; times.length < QUIET_MAX && day <= 61; day += 1) {
    const to = at(quiet.to > quiet.from ? day : day + 1, quiet.to);
    if (to > now) times.push({ from: at(day, quiet.from), to });
  }
  return times;
}

/** Whether nothing is to be told at this moment, as an order says it to a gateway. */
export function isQuiet(choice: Pick<NoticeChoice, 'quiet' | 'snoozed_until'>, now: number): boolean {
  return quietTimes(choice, now).some(({ from, to }) => from <= now && now < to);
}
