// Message files, and which of them a bundle needs. `messages/<language>/*.json` hold sentences as they stand in the sources, with their
// translation: text, or an object with the forms of a plural. Which file a sentence stands in changes nothing.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyOf, type Said } from '../src/lib/say.ts';
import { type Extracted, extract, numbered } from './extract.ts';

export const web = fileURLToPath(new URL('..', import.meta.url));
/** Formats and films: what they refuse is damaged or forged, and is looked for by its English words, as what the server says. */
const ENGLISH_ALONE = /^src\/lib\/(seal\/(?!pairing|local)|media\/)|\/schema\.d\.ts$/;

/** Text in the sources that is no language: labels of keys, commands, names of products, and words that only refusals in English hold. */
export const silent: ReadonlySet<string> = new Set(JSON.parse(readFileSync(join(web, 'languages/silent.json'), 'utf8')) as string[]);

export const sources = (): string[] =>
  readdirSync(join(web, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(svelte|ts)$/.test(entry.name))
    .map((entry) => relative(web, join(entry.parentPath, entry.name)))
    .sort();

const known = new Map<string, { source: string; extracted: Extracted }>();

/** What a file says, and the file that says it in the language of its reader. `file` is named from `web`. */
export function extracted(file: string, source = readFileSync(join(web, file), 'utf8')): Extracted {
  const before = known.get(file);
  if (before?.source === source) return before.extracted;
  const found = ENGLISH_ALONE.test(file) ? { code: source, messages: [], problems: [] } : extract(source, file, silent);
  known.set(file, { source, extracted: found });
  return found;
}

export const languages = (): string[] => readdirSync(join(web, 'messages')).sort();
export const files = (language: string): string[] => readdirSync(join(web, 'messages', language)).filter((name) => name.endsWith('.json')).sort();
export const read = (language: string, file: string): Record<string, Said> => JSON.parse(readFileSync(join(web, 'messages', language, file), 'utf8')) as Record<string, Said>;

/** In which file a sentence is written that has none yet: it is the order of a person who translates. */
const fileOf = (source: string): string => (source.startsWith('src/lib/ui/') ? 'components.json' : source.startsWith('src/pages/') ? 'pages.json' : 'app.json');

/** All that the sources say, each once, with the file that says it first. */
export function sentences(): { key: string; english: string; source: string }[] {
  const found = new Map<string, { key: string; english: string; source: string }>();
  for (const source of sources()) for (const message of extracted(source).messages) if (!found.has(message.english)) found.set(message.english, { ...message, source });
  return [...found.values()];
}

/** Brings message files up to what the sources say: what is new stands there empty, what is gone goes, what is translated stays. */
export function write(language: string): void {
  const known = new Map(files(language).flatMap((file) => Object.entries(read(language, file)).map(([sentence, said]) => [numbered(sentence), { sentence, said }] as const)));
  const out: Record<string, string[]> = { 'app.json': [], 'components.json': [], 'pages.json': [] };
  for (const { key, english, source } of sentences()) {
    const before = known.get(english);
    out[fileOf(source)]!.push(`  ${JSON.stringify(before?.sentence ?? key)}: ${JSON.stringify(before?.said ?? '')}`);
  }
  for (const [file, lines] of Object.entries(out)) writeFileSync(join(web, 'messages', language, file), `{\n${lines.join(',\n')}\n}\n`);
}

/** What is loaded before anything is shown, by name of the bundle; `rest` is what the app loads after it. */
const ENTRIES: Record<string, string[]> = {
  start: ['src/main.ts', 'src/worker/main.ts'],
  shared: ['src/shared/main.ts'],
  'service-worker': ['src/service-worker/main.ts'],
};

/** A part of a language as the app asks for it: translations by the keys of English sentences. */
export function part(language: string, name: string): Record<string, Said> {
  const wanted = new Set(name === 'rest' ? saidIn(sources()) : saidIn(reached(ENTRIES[name]!)));
  if (name === 'rest') for (const english of saidIn(reached(ENTRIES.start!))) wanted.delete(english);
  const out: Record<string, Said> = {};
  for (const [sentence, said] of files(language).flatMap((file) => Object.entries(read(language, file)))) {
    if (said !== '' && wanted.has(numbered(sentence))) out[keyOf(numbered(sentence))] = withNumbers(sentence, said);
  }
  return out;
}

const saidIn = (of: Iterable<string>): string[] => [...of].flatMap((file) => extracted(file).messages.map(({ english }) => english));

/** The files that come with these: what they import, but for types and what comes later. */
function reached(entries: string[]): Set<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, from] of readFileSync(join(web, file), 'utf8').matchAll(/^\s*(?:import|export)(?!\s+type\b)(?:[^'"]*?\bfrom)?\s*['"](\.[^'"]+)['"]/gm)) {
      const name = join(dirname(file), from!);
      const next = [name, `${name}.ts`].find((each) => sourceNames().has(each));
      if (next) visit(next);
    }
  };
  for (const entry of entries) visit(entry);
  return found;
}
let names: Set<string> | null = null;
const sourceNames = (): Set<string> => (names ??= new Set(sources()));

/** Names of what is put in become the numbers that they have in the English sentence. */
function withNumbers(sentence: string, said: Said): Said {
  const names = [...new Set([...sentence.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!))];
  const put = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => (names.includes(name) ? `{${names.indexOf(name)}}` : whole));
  return typeof said === 'string' ? put(said) : Object.fromEntries(Object.entries(said).map(([form, text]) => [form, put(text)]));
}
