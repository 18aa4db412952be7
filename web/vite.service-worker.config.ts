import { defineConfig } from 'vite';
import { speaks } from './languages/plugin.ts';

// The service worker is one file of its own, at an address that stays: it shares nothing with the page.
export default defineConfig({
  plugins: [speaks()],
  publicDir: false,
  build: {
    target: 'es2023',
    emptyOutDir: false,
    lib: { entry: 'src/service-worker/main.ts', formats: ['iife'], name: 'lenskeep', fileName: () => 'service-worker.js' },
  },
});
