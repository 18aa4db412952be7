// What a first visit may cost, and what must not stand in the repository.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');

it('is under 160 kB compressed in all, every page and the Worker included', async () => {
  const files = (await readdir(join(web, 'dist'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && /\.(js|css|html|svg|webmanifest)$/.test(entry.name));
  const sizes = await Promise.all(files.map(async ({ parentPath, path, name }) => gzipSync(await readFile(join(parentPath ?? path, name)), { level: 9 }).length));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${files.length} files, ${total} bytes compressed`);
  assert.ok(total < 160_000, `${total} bytes`);
});

it('holds no script, style or picture inside the HTML, where the policy would refuse it', async () => {
  const html = await readFile(join(web, 'dist/index.html'), 'utf8');
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=|data:|https?:/);
});

it('names no registry in the lock file', async () => {
  assert.doesNotMatch(await readFile(join(web, 'package-lock.json'), 'utf8'), /"resolved"/);
});
