// The list that goes with the films of a case: all of it, and nothing in it that looks like something else.

import { describe, expect, it } from 'vitest';
import { type Marked, ofCase } from '../src/lib/app/bookmarks.svelte';
import { caseJson, type CaseList, caseText } from '../src/lib/app/caseList';
import { spanOf } from '../src/lib/app/caseRun.svelte';
import { COUNTABLE, quietBut, retentionOf, retentionWords } from '../src/lib/app/retention';
import type { LockResult } from '../src/lib/seal/bookmark';
import { TROUBLE_KINDS } from '../src/lib/seal/event';

const hex = (n: number): string => String(n).repeat(32);
const AT = Date.UTC(2026, 10, 28, 12);

function marked(n: number, text: string, lock: Marked['bookmark']['lock'], result: Partial<LockResult> | null): Marked {
  const bookmark = { org: `org_${hex(1)}`, gateway: `gw_${hex(1)}`, camera: `cam_${hex(n)}`, bookmark: `bm_${hex(n)}`, device: `dev_${hex(1)}`, from: AT - 60_000, to: AT - 30_000, lock, issued_at: AT - 20_000, epoch: `ep_${hex(1)}`, note: '' };
  const signed = result && { org: bookmark.org, gateway: bookmark.gateway, bookmark: bookmark.bookmark, order: 'a'.repeat(64), at: AT - 10_000, refused: null, recordings: 1, bytes: 5_000_000, recorded_ms: 30_000, ...result };
  return { id: bookmark.bookmark, bookmark, note: { text, case: 'Bicycles' }, problem: null, result: signed, person: `usr_${hex(1)}`, changeable: true };
}

const list = (...parts: CaseList['parts']): CaseList => ({ name: 'Bicycles', at: AT, zone: 'Europe/Berlin', parts, before: 0, total: parts.length });
const part = (of: Marked, files: string[] = ['Yard.mp4'], problem: string | null = null) => ({ marked: of, camera: 'Yard', person: 'Ada', files, problem });

describe('the list of a case', () => {
  it('says of each bookmark what was written, by whom, where it is and what is missing', () => {
    const text = caseText(list(part(marked(1, 'At the gate', null, null)), part(marked(2, 'On the wall', null, null), [], 'It is no longer there.')));
    expect(text).toContain('Case: Bicycles');
    expect(text).toContain('| At the gate');
    expect(text).toContain('Files: Yard.mp4');
    expect(text).toContain('Missing: It is no longer there.');
    expect(text).toContain('Written by: Ada');
  });

  it('calls locked only what the gateway signed as locked', () => {
    const open = { until: null };
    const states = [null, {}, { refused: 'full' as const }].map((result) => caseText(list(part(marked(1, '', open, result)))));
    expect(states.map((text) => /Lock: (\w+ \w+)/.exec(text)?.[1])).toEqual(['To be', 'Locked until', 'Not locked']);
    expect(states[0]).toContain('has not signed');
    const json = JSON.parse(caseJson(list(part(marked(1, '', open, {})))));
    expect(json.bookmarks[0].lock).toMatchObject({ state: 'locked', result: { gateway: `gw_${hex(1)}`, bytes: 5_000_000 } });
  });

  it('lets no note pretend to be another entry, nor turn what stands beside it', () => {
    for (const break_ of ['\n', '\r', '\r\n', '\v', '\f', '\u0085', '\u2028', '\u2029']) {
      const hostile = `Nothing${break_}${break_}2. Safe${break_}   Lock: Locked\r\u202egnp\u0007`;
      const text = caseText(list(part(marked(1, hostile, null, null))));
      // Lines as whatever shows the list may break them.
      const lines = text.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/);
      expect(lines.filter((line) => /^\d+\. /.test(line))).toEqual(['1. Yard']);
      expect(lines.filter((line) => /^ *Lock:/.test(line)).length).toBe(1);
      expect(text).not.toMatch(/[\u202e\u0007\r\u0085\u2028\u2029]/);
      expect(JSON.parse(caseJson(list(part(marked(1, hostile, null, null))))).bookmarks[0].note).toBe(hostile);
    }
    expect(caseText(list(part(marked(1, 'Left\u2028Right', null, null))))).toContain('| Left\n   | Right');
  });

  it('that is not of the whole case says which bookmarks of how many it has', () => {
    const some = { ...list(part(marked(1, '', null, null)), part(marked(2, '', null, null))), before: 200, total: 202 };
    const text = caseText(some);
    expect(text).toContain('Bookmarks: 201 to 202 of 202');
    expect(text.split('\n').filter((line) => /^\d+\. /.test(line))).toEqual(['201. Yard', '202. Yard']);
    expect(JSON.parse(caseJson(some))).toMatchObject({ before: 200, total: 202 });
    expect(caseText(list(part(marked(1, '', null, null))))).toContain('Bookmarks: 1\n');
  });
});

describe('a bookmark', () => {
  it('of a moment is exported with what is around it', () => {
    expect(spanOf({ from: 60_000, to: 60_000 })).toEqual({ from: 55_000, to: 65_000 });
    expect(spanOf({ from: 1000, to: 2000 }).from).toBe(0);
    expect(spanOf({ from: 60_000, to: 90_000 })).toEqual({ from: 60_000, to: 90_000 });
  });
});

describe('a case', () => {
  it('is all of its bookmarks, in the order in which it happened', () => {
    const at = (n: number, from: number, name: string | null): Marked => {
      const one = marked(n, '', null, null);
      return { ...one, bookmark: { ...one.bookmark, from }, note: name === null ? null : { text: '', case: name } };
    };
    const all = [at(1, 3000, 'Bicycles'), at(2, 1000, 'Bicycles'), at(3, 2000, 'Windows'), at(4, 2000, null)];
    expect(ofCase(all, 'Bicycles').map(({ bookmark }) => bookmark.from)).toEqual([1000, 3000]);
  });
});

describe('retention', () => {
  it('lets no kind of trouble count, nor be passed over', () => {
    expect(COUNTABLE).toContain('motion');
    for (const kind of TROUBLE_KINDS) expect(COUNTABLE).not.toContain(kind);
    expect(quietBut(7, COUNTABLE.filter((kind) => kind !== 'motion' && kind !== 'other'))).toEqual({ days_max: 7, kinds: ['motion', 'other'] });
    expect(quietBut(7, COUNTABLE).kinds).toEqual([]);
  });

  it('is said in words, with what does not count', () => {
    const plain = { bytes_max: 200_000_000_000, age_days_max: 30 };
    expect(retentionWords(retentionOf(plain))).toBe('at most 200 GB and 30 days');
    const quiet = retentionOf({ ...plain, quiet: { days_max: 1, kinds: ['a kind of tomorrow', 'motion'] } });
    expect(retentionWords(quiet)).toBe('at most 200 GB and 30 days, footage without any event one day (not counted: Motion)');
    expect(retentionWords(retentionOf({ ...plain, quiet: { days_max: 2, kinds: [] } }))).toBe('at most 200 GB and 30 days, footage without any event 2 days');
  });
});
