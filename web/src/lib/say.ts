// What is said in the language of the reader. Sources hold English sentences; the build has each looked up here, by a short key
// (docs/languages.md). Page, Worker and service worker each have their own language set; until then it is English, in the forms of the browser.

/** A translation, or its plural forms by the names that `Intl` gives them. */
export type Said = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Messages = Record<string, Said>;
export interface Spoken {
  /** Of the messages. */
  language: string;
  /** Of dates and numbers: the same language, as it is written where the reader lives. */
  locale: string | undefined;
  messages: Messages;
}

let spoken: Spoken = { language: 'en', locale: undefined, messages: {} };
/** Set by pages that follow a change of the language: called whenever something is said. */
export const following: { read: () => void } = { read: () => undefined };
/** Who is told that the language has changed. */
export const changed = new Set<(spoken: Spoken) => void>();

export const speaking = (): Spoken => spoken;
export function speak(next: Spoken): void {
  spoken = next;
  for (const tell of changed) tell(next);
}

/** For `Intl`. */
export function locale(): string | undefined {
  following.read();
  return spoken.locale;
}

/** A sentence, with `{0}`, `{1}` where something is put in. The build puts this around sentences; call it for words that it cannot know. */
export function t(english: string, ...values: unknown[]): string {
  following.read();
  const said = spoken.language === 'en' ? english : spoken.messages[keyOf(english)];
  return fill(typeof said === 'string' ? said : english, values);
}

/** The same where English has one word for two things: `as` tells translators which, and is not said. */
export function tAs(as: string, english: string, ...values: unknown[]): string {
  following.read();
  const said = spoken.language === 'en' ? english : spoken.messages[keyOf(`${english} [${as}]`)];
  return fill(typeof said === 'string' ? said : english, values);
}

/** The same of a number of things. */
export function plural(count: number, one: string, other: string, ...values: unknown[]): string {
  following.read();
  const said = spoken.language === 'en' ? undefined : spoken.messages[keyOf(`${one} | ${other}`)];
  if (said === undefined || typeof said === 'string') return fill(count === 1 ? one : other, values);
  return fill(said[new Intl.PluralRules(spoken.language).select(count)] ?? said.other ?? other, values);
}

function fill(text: string, values: unknown[]): string {
  return values.length === 0 ? text : text.replaceAll(/\{(\d+)\}/g, (_, number: string) => shown(values[Number(number)]));
}

function shown(value: unknown): string {
  if (typeof value === 'number' && spoken.language !== 'en') return new Intl.NumberFormat(spoken.locale, { maximumFractionDigits: 20 }).format(value);
  return String(value ?? '');
}

/** Of an English sentence: message files that are loaded need not repeat it. FNV-1a; that no two are the same is tested. */
export function keyOf(english: string): string {
  let hash = 0x811c9dc5;
  for (let n = 0; n < english.length; n += 1) hash = Math.imul(hash ^ english.charCodeAt(n), 0x01000193);
  return (hash >>> 0).toString(36);
}
