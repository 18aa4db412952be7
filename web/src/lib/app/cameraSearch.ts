// Cameras by words of their names and groups, on this device: the server does not hear what somebody looks for.

interface Named {
  id: string;
  name: string;
  groups: readonly string[];
}

/** A camera with the words that it is found by. */
export interface Findable {
  id: string;
  words: string;
}

/** Without accents and capitals: who types quickly leaves both out. */
const folded = (text: string): string => text.normalize('NFD').replace(/\p{Mark}/gu, '').toLowerCase();

export const findable = (cameras: readonly Named[]): Findable[] => cameras.map(({ id, name, groups }) => ({ id, words: folded([name, ...groups].join('\n')) }));

/** Those with each of the words somewhere; null where none is given, which is all of them. */
export function searched(cameras: readonly Findable[], text: string): Set<string> | null {
  const wanted = folded(text).split(/\s+/).filter((word) => word !== '');
  if (wanted.length === 0) return null;
  return new Set(cameras.filter(({ words }) => wanted.every((word) => words.includes(word))).map(({ id }) => id));
}
