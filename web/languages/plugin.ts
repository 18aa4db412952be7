// Has the app speak languages: puts a look-up where sources say something, and makes modules of the message files. What is loaded is one
// language, in two parts for the app; English costs nothing more, as it stands in the sources.

import { join, relative } from 'node:path';
import type { Plugin } from 'vite';
import { RUNTIME } from './extract.ts';
import { extracted, languages, part, web } from './messages.ts';

const PREFIX = '\0';
/** Of each bundle, in the order in which they are loaded. The service worker is one file, and has all. */
const PARTS: Record<string, string[]> = { app: ['start', 'rest'], shared: ['shared'], 'service-worker': ['service-worker'] };

export function speaks(): Plugin {
  return {
    name: 'lenskeep:languages',
    enforce: 'pre',
    resolveId(id) {
      if (id === RUNTIME) return join(web, 'src/lib/say.ts');
      return id.startsWith('virtual:languages/') || id.startsWith('virtual:messages/') ? PREFIX + id : null;
    },
    load(id) {
      if (!id.startsWith(`${PREFIX}virtual:`)) return null;
      const [kind, name, piece] = id.slice(`${PREFIX}virtual:`.length).split('/') as [string, string, string?];
      if (kind === 'messages') return `export default ${JSON.stringify(part(name, piece!))};`;
      if (kind !== 'languages') return null;
      const each = languages().map((language) => {
        const parts = PARTS[name]!.map((piece) => (name === 'service-worker' ? JSON.stringify(part(language, piece)) : `() => import('virtual:messages/${language}/${piece}')`));
        return `${language}: [${parts.join(', ')}]`;
      });
      return `export default { ${each.join(', ')} };`;
    },
    transform(code, id) {
      const file = relative(web, id);
      if (!/^src\/.*\.(svelte|ts)$/.test(file)) return null;
      const { code: said, problems } = extracted(file, code);
      for (const problem of problems) this.warn(problem);
      return said === code ? null : { code: said, map: null };
    },
  };
}
