import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { speaks } from './languages/plugin.ts';

export default defineConfig({
  plugins: [speaks(), svelte()],
  // HPKE asks Node for its cryptography where there is none in the browser, which there always is.
  resolve: { alias: { crypto: fileURLToPath(new URL('src/lib/seal/noNode.ts', import.meta.url)) } },
  // Module workers, so that the recovery word list loads only when it is needed.
  worker: { format: 'es', plugins: () => [speaks()] },
  build: {
    target: 'es2023',
    // The policy allows no data: scripts or fonts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What the first page needs is one file; what several pages share and is small goes together, and so do pages that are opened by the
    // same people: they compress better than apart.
    rolldownOptions: {
      output: {
        // Counted apart from the app, of which they are no part but for those who read them.
        chunkFileNames: ({ facadeModuleId }) => `assets/${/virtual:messages\/(.+)$/.exec(facadeModuleId ?? '')?.[1]?.replace('/', '-').replace(/^/, 'messages-') ?? '[name]'}-[hash].js`,
        codeSplitting: {
          groups: [
            { name: 'start', tags: ['$initial'], priority: 1 },
            { name: 'shared', test: /src\/lib\//, minShareCount: 2, maxModuleSize: 8000 },
            { name: 'administration', test: /src\/pages\/(Devices|Gateways|People|Policies|ServiceAccounts)\.svelte/ },
            { name: 'own', test: /src\/pages\/(Notifications|Security)\.svelte/ },
            // Both have the timeline of what is recorded.
            { name: 'watching', test: /src\/(pages\/(Camera|Wall)|lib\/ui\/(Recorded|Timeline))\.svelte/ },
          ],
        },
      },
    },
  },
  test: { include: ['test/**/*.test.ts'], testTimeout: 30_000 },
});
