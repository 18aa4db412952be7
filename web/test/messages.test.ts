// Message files say all that the sources say, and nothing else. `npm run messages` brings them up to the sources, with what is new left empty.

import { describe, expect, it } from 'vitest';
import { PLACEHOLDER, numbered } from '../languages/extract';
import { extracted, files, languages, read, sentences, silent, sources, write } from '../languages/messages';
import { keyOf, type Said } from '../src/lib/say';

if (process.env.MESSAGES === 'write') languages().forEach(write);

const said = sentences();
const known = (language: string): [string, Said][] => files(language).flatMap((file) => Object.entries(read(language, file)));
const texts = (of: Said): string[] => (typeof of === 'string' ? [of] : Object.values(of));
const names = (text: string): string[] => [...new Set([...text.matchAll(PLACEHOLDER)].map(([, name]) => name!))].sort();

describe('the sources', () => {
  it('say nothing before the language is known', () => {
    expect(sources().flatMap((file) => extracted(file).problems)).toEqual([]);
  });

  it('say no two things under one key', () => {
    const keys = new Map<string, string>();
    for (const { english } of said) {
      expect(keys.get(keyOf(english)) ?? english).toBe(english);
      keys.set(keyOf(english), english);
    }
  });

  it('hold all that is named as no language', () => {
    const all = sources().map((file) => extracted(file).code).join('\n');
    expect([...silent].filter((text) => !all.includes(text.split('{')[0]!))).toEqual([]);
  });
});

describe.each(languages())('messages in %s', (language) => {
  const translated = new Map(known(language).map(([sentence, text]) => [numbered(sentence), { sentence, text }]));

  it('are there for each sentence', () => {
    expect(said.filter(({ english }) => !translated.has(english) || texts(translated.get(english)!.text).includes('')).map(({ key, source }) => `${source}: ${key}`)).toEqual([]);
  });

  it('are there once, and for no sentence that nothing says', () => {
    const wanted = new Set(said.map(({ english }) => english));
    const all = known(language).map(([sentence]) => numbered(sentence));
    expect(all.filter((english, n) => !wanted.has(english) || all.indexOf(english) !== n)).toEqual([]);
  });

  it('put in what the sentence puts in', () => {
    const wrong = known(language).filter(([sentence, text]) => names(texts(text).join(' ')).join() !== names(sentence).join());
    expect(wrong.map(([sentence]) => sentence)).toEqual([]);
  });

  it('have the forms of plurals that the language has', () => {
    // Millions of something are nowhere; where a form is missing, the app says the general one.
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.filter((form) => form !== 'many');
    for (const [sentence, text] of known(language)) {
      expect(typeof text === 'string', sentence).toBe(!sentence.includes(' | '));
      if (typeof text !== 'string') expect(Object.keys(text), sentence).toEqual(expect.arrayContaining(forms));
    }
  });

  it('begin and end with a space where the sentence does', () => {
    // " ;" of French stands after a space that does not break.
    const wrong = known(language).filter(([sentence, text]) => texts(text).some((each) => /\s$/.test(each) !== /\s$/.test(sentence) || (/^\s/.test(sentence) && !/^\s/.test(each))));
    expect(wrong.map(([sentence]) => sentence)).toEqual([]);
  });
});

it('French keeps its punctuation on the line', () => {
  expect(known('fr').flatMap(([, text]) => texts(text)).filter((text) => /(?<=\S) [:;!?»]|« (?=\S)/.test(text))).toEqual([]);
});
