// What a notification says. Rule and camera are names that somebody chose: text, and shown as nothing else.

import type { Notice } from '../seal/notice';
import { pathTo } from './moment';
import { isTrouble } from '../seal/event';
import { causeOf, dateTime, KIND_WORDS, timeOfDay } from './words';

export interface Shown {
  title: string;
  body: string;
  /** One at a time of each. */
  tag: string;
  silent: boolean;
  /** With a sound also in the place of what was shown before. */
  renotify?: boolean;
  timestamp?: number;
  image?: string;
  data: { path: string };
}

/** Before an event, so that one sees it begin. */
const LEAD_MS = 3000;
/** Of gateways in one notification. */
const NAMES_SHOWN = 4;
/** Of gateways in one message, and so in one tag. */
export const SILENCES_MAX = 16;
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
  const time = timeWords(at, now);
  const cause = isTrouble(kind) ? causeOf(rule) : null;
  const words = cause ? `${cause.what}. ${cause.todo}` : rule === null ? '' : plain(rule);
  return {
    title: `${KIND_WORDS[kind]} · ${plain(name ?? 'a camera')}`,
    body: [words, time].filter((part) => part !== '').join(' · '),
    tag: event,
    silent: !isNews,
    timestamp: at,
    data: { path: pathTo(camera, at - LEAD_MS) },
  };
}

/** What the server itself says of gateways: ids and times, and never an event. */
export interface Silences {
  silent: { gateway: string; since: number }[];
  back: { gateway: string; since: number }[];
  /** That found no room in the message. */
  more: number;
}

/**
 * Says in its first words that the server says so, whom nobody has to believe: it can say of any gateway that it is silent, and can be silent
 * about one that is. `names` are this browser's; of a gateway that is not among them nothing is shown but that there is one.
 */
export function silencesOf({ silent, back, more }: Silences, names: Record<string, string>, isQuiet: boolean, now: number): Shown | null {
  const all = [...silent, ...back];
  const [first] = all;
  if (!first) return null;
  const nameOf = (gateway: string): string | null => (Object.hasOwn(names, gateway) ? plain(names[gateway]!) : null);
  const name = nameOf(first.gateway);
  const count = all.length + more;
  const since = timeWords(Math.min(...all.map((each) => each.since)), now);
  const isSilent = silent.length > 0;
  const title = isSilent
    ? silent.length + more > 1
      ? `Your server hears nothing of ${silent.length + more} gateways`
      : name === null
        ? 'Your server hears nothing of a gateway'
        : `Your server hears nothing of ${name}`
    : count > 1
      ? `Your server hears ${count} gateways again`
      : name === null
        ? 'Your server hears a gateway again'
        : `Your server hears ${name} again`;
  const list = all.slice(0, NAMES_SHOWN).map(({ gateway }) => nameOf(gateway) ?? 'a gateway').join(', ');
  const todo = isSilent ? 'Check power and network there. It goes on recording by itself while it has power.' : 'What was recorded meanwhile comes now.';
  return {
    title,
    body: [count > 1 ? list : '', todo, `Since ${since}`].filter((part) => part !== '').join(' · '),
    tag: tagOf(all.map(({ gateway }) => gateway)),
    silent: isQuiet,
    renotify: isSilent && !isQuiet,
    timestamp: Math.min(...all.map((each) => each.since)),
    data: { path: '/health' },
  };
}

/** What is told of the same gateways takes the place of what was told of them before, and of nothing else. */
const tagOf = (gateways: readonly string[]): string => ['silence', ...[...new Set(gateways)].sort().slice(0, SILENCES_MAX)].join(' ');

const timeWords = (at: number, now: number): string => (Math.abs(now - at) < RECENT_MS ? timeOfDay(at) : dateTime(at));

const plain = (text: string): string => text.replace(UNSEEN, '').trim();

/** Where a notification may lead: to a moment of a camera, or to the lists. */
export const isPath = (path: unknown): path is string =>
  typeof path === 'string' && (path === '/events' || path === '/health' || path === '/notifications' || /^\/cameras\/cam_[0-9a-f]{32}\?at=[-0-9T:.]{19,23}Z$/.test(path));
