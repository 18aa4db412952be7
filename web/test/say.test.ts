// What sources say is found, and said in the language that is chosen.

import { afterEach, describe, expect, it } from 'vitest';
import { extract } from '../languages/extract';
import { localeFor, preferred } from '../src/lib/app/locales';
import { dateTime, lengthOf, size } from '../src/lib/app/words';
import { keyOf, type Messages, plural, speak, t, tAs } from '../src/lib/say';

const none: ReadonlySet<string> = new Set();
const found = (source: string, file = 'src/pages/Some.svelte') => extract(source, file, none).messages.map(({ key }) => key);
const german = (messages: Record<string, Messages[string]>) => speak({ language: 'de', locale: 'de-AT', messages: Object.fromEntries(Object.entries(messages).map(([english, said]) => [keyOf(english), said])) });

afterEach(() => speak({ language: 'en', locale: undefined, messages: {} }));

describe('in markup', () => {
  it.each([
    ['<p>Sign in</p>', ['Sign in']],
    ['<p>Sign in with {name}</p>', ['Sign in with {name}']],
    ['<p>{list.length} of {session.all.length} shown, {dateTime(at)}</p>', ['{list} of {all} shown, {dateTime}']],
    ['<p>Open it. <b>Now</b>, please</p>', ['Open it.', 'Now', ', please']],
    ['<button title="Full screen (f)" class="quiet small" onclick={() => go("there")}>{busy ? "Waiting…" : "go"}</button>', ['Full screen (f)', 'Waiting…', 'go']],
    ['<Gate title={locked ? "Unlock" : "Sign in"} icon="link" />', ['Unlock', 'Sign in']],
    ['<code>lenskeep up</code><span>{at} · {size}</span>', []],
    ['<p>{n === 1 ? "One camera" : `${n} cameras`} here</p>', ['One camera | {n} cameras', '{value} here']],
  ])('%s', (source, messages) => expect(found(source)).toEqual(messages));
});

describe('in scripts', () => {
  it.each([
    ["const f = () => refuse('the answer is empty');", ['the answer is empty']],
    ["const f = (key) => key === 'Enter' && document.querySelector('main a')?.matches('h1, h2');", []],
    ["const f = () => `Nothing is told until ${dateTime(until)}.`;", ['Nothing is told until {dateTime}.']],
    ["const TABLE = { motion: 'Motion', sound: t('quiet'), path: '/events' };", ['Motion', 'quiet']],
    ["const TABLE = { read: tAs('permission', 'read it') };", ['read it [permission]']],
    ["const f = () => derive(secret, 'lenskeep device key v1');", []],
    ["type A = 'Some type'; const f = (a: 'An other') => a as 'Some type';", []],
    ["const f = () => new Error(`${a ? 'one way' : 'another'} of ${b}`);", ['{value} of {b}', 'one way', 'another']],
  ])('%s', (source, messages) => expect(found(source, 'src/lib/some.ts').sort()).toEqual(messages.sort()));

  it('a table is read when it is asked, and what is said too early is told of', () => {
    const { code, problems } = extract("const TABLE = { motion: 'Motion' };\nconst WORD = 'Too early';", 'src/lib/some.ts', none);
    expect(code).toContain('get motion() { return _t_("Motion"); }');
    expect(problems).toEqual([expect.stringContaining('src/lib/some.ts:2: “Too early”')]);
  });

  it('a source keeps its lines', () => {
    const source = "// A comment.\nimport { a } from './a';\n\nexport const b = () => a('Some words');\n";
    expect(extract(source, 'src/lib/some.ts', none).code.split('\n')).toHaveLength(source.split('\n').length);
  });
});

describe('what is said', () => {
  it('is English by itself, and where a translation is missing', () => {
    expect(t('Sign in with {0}', 'Example')).toBe('Sign in with Example');
    german({});
    expect(t('Sign in with {0}', 'Example')).toBe('Sign in with Example');
    expect(plural(2, 'One camera', '{0} cameras', 2)).toBe('2 cameras');
  });

  it('tells words apart that English does not', () => {
    german({ 'read it': 'hat es gelesen', 'read it [permission]': 'es lesen' });
    expect([t('read it'), tAs('permission', 'read it'), tAs('order', 'read it')]).toEqual(['hat es gelesen', 'es lesen', 'read it']);
  });

  it('puts in names as they are, whatever they look like', () => {
    german({ '{0} of {1}': '{1}: {0}' });
    expect(t('{0} of {1}', '{1} $& {0}', 'Cäsar')).toBe('Cäsar: {1} $& {0}');
  });

  it('has plurals and numbers of the language', () => {
    german({ 'One camera | {0} cameras': { one: 'Eine Kamera', other: '{0} Kameras' } });
    expect(plural(1, 'One camera', '{0} cameras', 1)).toBe('Eine Kamera');
    expect(plural(12_345, 'One camera', '{0} cameras', 12_345)).toMatch(/^12[.\s\u00a0]345 Kameras$/);
  });

  it('has times and sizes of the language', () => {
    expect(lengthOf(90 * 60_000)).toBe('1 hour 30 minutes');
    german({});
    expect(lengthOf(90 * 60_000)).toBe('1 Stunde 30 Minuten');
    expect(size(1_500_000_000)).toMatch(/^1,5/);
    expect(dateTime(Date.UTC(2026, 11, 24, 12))).toMatch(/^24\.12\.2026/);
  });
});

describe('the language of a browser', () => {
  it('is the first that there is', () => {
    expect(preferred(['en', 'de', 'fr'], ['nl-NL', 'fr-CH', 'de'])).toBe('fr');
    expect(preferred(['en', 'de', 'fr'], ['nl'])).toBe('en');
  });

  it('writes dates as where the reader lives', () => {
    expect(localeFor('de', ['en-GB', 'de-AT'])).toBe('de-AT');
    expect(localeFor('en', ['nl-NL', 'nl'])).toBe('en-NL');
    expect(localeFor('fr', ['de'])).toBe('fr');
  });
});
