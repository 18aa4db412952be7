// What a notification says. Rule and camera are names that somebody chose: text, and shown as nothing else.

import type { Notice } from '../seal/notice';
import { pathTo } from './moment';
import { dateTime, KIND_WORDS, timeOfDay } from './words';

export interface Shown {
  title: string;
  body: string;
  /** One at a time of each. */
  tag: string;
  silent: boolean;
  timestamp?: number;
  image?: string;
  data: { path: string };
}

/** Before an event, so that one sees it begin. */
const LEAD_MS = 3000;
const RECENT_MS = 12 * 60 * 60 * 1000;
/** Characters that turn text round, or show nothing. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu;

/** What does not open says nothing; that there was something is all that is known. */
export const UNREADABLE: Shown = {
  title: 'Lenskeep',
  body: 'Something was told that this browser cannot read. Open Lenskeep to see what happened.',
  tag: 'unreadable',
  silent: true,
  data: { path: '/events' },
};

export const testOf = (now: number): Shown => ({
  title: 'Notifications work',
  body: `Sent from the page Notifications, ${timeOfDay(now)}.`,
  tag: 'test',
  silent: false,
  data: { path: '/notifications' },
});

export function shownOf({ event, camera, at, kind, rule }: Notice, name: string | null, isNews: boolean, now: number): Shown {
  const time = Math.abs(now - at) < RECENT_MS ? timeOfDay(at) : dateTime(at);
  return {
    title: `${KIND_WORDS[kind]} · ${plain(name ?? 'a camera')}`,
    body: [rule === null ? '' : plain(rule), time].filter((part) => part !== '').join(' · '),
    tag: event,
    silent: !isNews,
    timestamp: at,
    data: { path: pathTo(camera, at - LEAD_MS) },
  };
}

const plain = (text: string): string => text.replace(UNSEEN, '').trim();

/** Where a notification may lead: to a moment of a camera, or to the lists. */
export const isPath = (path: unknown): path is string =>
  typeof path === 'string' && (path === '/events' || path === '/notifications' || /^\/cameras\/cam_[0-9a-f]{32}\?at=[-0-9T:.]{19,23}Z$/.test(path));
