import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { speaks } from './languages/plugin.ts';

// The page of people without an account is a bundle of its own: nothing of the app, which knows sessions and keys, is loaded there.
export default defineConfig({
  plugins: [speaks(), svelte()],
  publicDir: false,
  build: {
    target: 'es2023',
    emptyOutDir: false,
    // As in vite.config.ts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: 'shared.html',
      output: { chunkFileNames: ({ facadeModuleId }) => `assets/${/virtual:messages\/(.+)$/.exec(facadeModuleId ?? '')?.[1]?.replace('/', '-').replace(/^/, 'messages-') ?? '[name]'}-[hash].js` },
    },
  },
});
