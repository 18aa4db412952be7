import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte()],
  // Module workers, so that the recovery word list loads only when it is needed.
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    // The policy allows no data: scripts or fonts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What several pages share and is small goes together: it compresses better than apart.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shared', test: /src\/lib\//, minShareCount: 2, maxModuleSize: 8000 }] } } },
  },
  test: { include: ['test/**/*.test.ts'], testTimeout: 30_000 },
});
