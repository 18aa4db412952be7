// In which language this browser is spoken to: the one that was chosen here, or the first of the browser's that there is. Messages of that
// language alone are loaded; what does not load is said in English.

import { following, type Messages, speak } from '../say';
import { ENGLISH, localeFor, preferred } from './locales';

/** By language: its messages, in the order in which they are wanted. */
export type Languages = Record<string, (() => Promise<{ default: Messages }>)[]>;

const KEPT = 'lenskeep-language';

class Language {
  current = $state(ENGLISH);
  /** Of messages that are loaded: what is said is said again when it grows. */
  private version = $state(0);
  private languages: Languages = {};
  /** Once all messages of the language are here. */
  whole: Promise<void> = Promise.resolve();

  /** Done when enough is here to show a page. */
  async start(languages: Languages): Promise<void> {
    this.languages = languages;
    following.read = () => void this.version;
    await this.take(chosen() ?? preferred(this.all)).catch(() => this.take(ENGLISH));
  }

  get all(): string[] {
    return [ENGLISH, ...Object.keys(this.languages)];
  }

  /** Throws if its messages do not come. */
  async choose(language: string): Promise<void> {
    await this.take(language);
    try {
      localStorage.setItem(KEPT, language);
    } catch {
      // Without storage, the choice lasts as long as the page.
    }
  }

  private async take(wanted: string): Promise<void> {
    const language = this.all.includes(wanted) ? wanted : ENGLISH;
    const [first, ...rest] = this.languages[language] ?? [];
    let messages = first ? (await first()).default : {};
    const tell = (): void => {
      speak({ language, locale: localeFor(language), messages });
      this.current = language;
      this.version += 1;
      document.documentElement.lang = language;
    };
    tell();
    this.whole = Promise.all(rest.map((load) => load())).then(
      (parts) => {
        messages = Object.assign({}, messages, ...parts.map((part) => part.default)) as Messages;
        if (parts.length > 0 && this.current === language) tell();
      },
      () => undefined,
    );
  }
}

export const language = new Language();

function chosen(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
