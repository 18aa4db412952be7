// Which language is spoken where nobody chose one, and how dates and numbers are written in it.

export const ENGLISH = 'en';

/** The first language that a browser asks for and that there is. */
export function preferred(all: readonly string[], asked: readonly string[] = navigator.languages): string {
  return asked.map((each) => baseOf(each)).find((each) => all.includes(each)) ?? ENGLISH;
}

/** Dates and numbers as they are written where the reader lives: "de" of a browser that asks for "de-AT" is "de-AT". */
export function localeFor(language: string, asked: readonly string[] = navigator.languages): string {
  const own = asked.find((each) => baseOf(each) === language);
  if (own) return own;
  try {
    const { region } = new Intl.Locale(asked[0] ?? language);
    return region ? `${language}-${region}` : language;
  } catch {
    return language;
  }
}

const baseOf = (tag: string): string => tag.split('-')[0]!.toLowerCase();
