// What goes with the films of a case: which bookmarks it has, who wrote what about when, what of it is locked, and in which files it is. Once
// for people and once for programs.

import type { Marked } from './bookmarks.svelte';
import { lockState, REFUSALS } from './bookmarks.svelte';
import { t } from '../say';
import { dateTime, dayOf, lengthOf, size, timeOfDay } from './words';

export interface ListedPart {
  marked: Marked;
  camera: string;
  person: string;
  /** Names, as they were written. */
  files: string[];
  /** Why there are none, or not all; null if nothing is missing. */
  problem: string | null;
}

export interface CaseList {
  name: string;
  at: number;
  zone: string;
  parts: readonly ListedPart[];
  /** How many bookmarks of the case come before these, and how many it has. */
  before: number;
  total: number;
}

const time = (at: number): string => `${dayOf(at)}, ${timeOfDay(at)}`;

/**
 * Of what people wrote, each line behind a margin, whatever breaks it: none can look like a heading of this list. Nothing turns the direction
 * of what follows.
 */
function plain(words: string): string {
  const shown = words.replaceAll(/[\u2028\u2029]/g, '\n').replaceAll(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').replaceAll(/[^\P{Cc}\n]/gu, ' ');
  return shown.split('\n').join('\n   | ');
}

function lockWords({ marked, at }: { marked: Marked; at: number }): string {
  const { bookmark: { lock }, result } = marked;
  const until = lock === null ? '' : lock.until === null ? 'until it is lifted' : `until ${dateTime(lock.until)}`;
  switch (lockState(marked, at)) {
    case 'none':
      return 'Not locked';
    case 'waiting':
      return `To be locked ${until}; the gateway has not signed that it is`;
    case 'refused':
      return `Not locked, as the gateway signed ${time(result!.at)}: ${REFUSALS[result!.refused!]}`;
    case 'over':
      return `The lock was over ${dateTime(lock!.until!)}`;
    case 'locked':
      return `Locked ${until}, as the gateway signed ${time(result!.at)}: ${size(result!.bytes)}, ${lengthOf(result!.recorded_ms)} of the full stream`;
  }
}

/** For people. */
export function caseText({ name, at, zone, parts, before, total }: CaseList): string {
  const last = before + parts.length;
  const count = parts.length === total ? `Bookmarks: ${total}` : `Bookmarks: ${before + 1} to ${last} of ${total}`;
  const head = [`Case: ${plain(name)}`, `Exported: ${time(at)}`, `Times of ${zone}`, count];
  const listed = parts.map(({ marked, camera, person, files, problem }, n) => {
    const { from, to, issued_at } = marked.bookmark;
    const facts = [
      `From: ${time(from)}`,
      `To: ${time(to)}`,
      `Written by: ${plain(person)}, ${time(issued_at)}`,
      `Lock: ${lockWords({ marked, at })}`,
      ...(files.length > 0 ? [`Files: ${files.join(', ')}`] : []),
      ...(problem === null ? [] : [`Missing: ${plain(problem)}`]),
      t('Note:'),
      plain(`\n${marked.note?.text ?? ''}`).trimStart(),
    ];
    return [`${before + n + 1}. ${plain(camera)}`, ...facts].join('\n   ');
  });
  return `${[head.join('\n'), ...listed].join('\n\n')}\n`;
}

/** For programs: times in milliseconds since 1970, UTC, and the gateway's signed answer as it was checked. */
export function caseJson({ name, at, parts, before, total }: CaseList): string {
  const bookmarks = parts.map(({ marked: { bookmark, note, result, person }, marked, camera, person: writer, files, problem }) => ({
    bookmark: bookmark.bookmark,
    camera: bookmark.camera,
    camera_name: camera,
    from: bookmark.from,
    to: bookmark.to,
    note: note?.text ?? null,
    person,
    person_name: writer,
    device: bookmark.device,
    issued_at: bookmark.issued_at,
    lock: { state: lockState(marked, at), until: bookmark.lock?.until ?? null, result },
    files,
    missing: problem,
  }));
  return `${JSON.stringify({ case: name, exported_at: at, before, total, bookmarks }, null, 2)}\n`;
}
