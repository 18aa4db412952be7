// What a first visit may cost, and what must not stand in the repository.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');

const dist = join(web, 'dist');
const compressed = async (path) => gzipSync(await readFile(join(dist, path)), { level: 9 }).length;

/** Messages of a language, and the part of them: what is wanted first, or by which page. */
const MESSAGES = /^messages-([a-z]+)-([a-z]+)-[\w-]{8}\.js$/;
async function messagesOf(part) {
  const found = (await readdir(join(dist, 'assets'))).sort().filter((name) => MESSAGES.exec(name)?.[2] === part);
  return Promise.all(found.map(async (name) => [MESSAGES.exec(name)[1], await compressed(`assets/${name}`)]));
}

/** What the page fetches before it shows anything but its frame: what the document names, what that imports, and the Worker. */
async function firstVisit(document) {
  const found = new Set();
  async function visit(path) {
    if (found.has(path)) return;
    found.add(path);
    if (!path.endsWith('.js')) return;
    const text = await readFile(join(dist, path), 'utf8');
    for (const [, name] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) await visit(`/assets/${name}`);
    for (const [, worker] of text.matchAll(/["`](\/assets\/main-[^"`]+\.js)["`]/g)) await visit(worker);
  }
  const html = await readFile(join(dist, document), 'utf8');
  for (const [, path] of html.matchAll(/(?:src|href)="(\/[^"]+)"/g)) await visit(path);
  return [`/${document}`, ...found];
}

it('asks a first visit for less than 120 kB compressed, the Worker included', async () => {
  const files = await firstVisit('index.html');
  const sizes = await Promise.all(files.map(compressed));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${files.length} files, ${total} bytes compressed`);
  assert.ok(files.some((path) => path.startsWith('/assets/main-')), 'the Worker is among them');
  assert.ok(total < 120_000, `${total} bytes`);
  for (const [language, messages] of await messagesOf('start')) assert.ok(total + messages < 120_000, `${total} bytes, and ${messages} of ${language}`);
});

it('asks somebody with a link for less than 30 kB compressed, and for nothing of the app', async () => {
  const files = await firstVisit('shared.html');
  const total = (await Promise.all(files.map(compressed))).reduce((sum, size) => sum + size, 0);
  console.log(`${files.length} files, ${total} bytes compressed`);
  assert.ok(!files.some((path) => path.startsWith('/assets/main-')), 'no Worker, which holds keys');
  assert.ok(total < 30_000, `${total} bytes`);
  for (const [language, messages] of await messagesOf('shared')) assert.ok(total + messages < 30_000, `${total} bytes, and ${messages} of ${language}`);
});

// Pages come when they are opened: this keeps the whole in sight, and costs nobody a wait. It grows with what the app does. Messages of other
// languages are counted apart: nobody loads more than one.
it('is under 340 kB compressed in all, every page included', async () => {
  const files = (await readdir(dist, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && /\.(js|css|html|svg|webmanifest)$/.test(entry.name) && !MESSAGES.test(entry.name));
  const sizes = await Promise.all(files.map(({ parentPath, path, name }) => compressed(join(parentPath ?? path, name).slice(dist.length))));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${files.length} files, ${total} bytes compressed`);
  assert.ok(total < 340_000, `${total} bytes`);
});

it('asks for less than 40 kB of messages in a language other than English', async () => {
  const [start, rest] = [await messagesOf('start'), await messagesOf('rest')];
  assert.ok(start.length >= 2 && start.length === rest.length, 'at least two, each in two parts');
  for (const [n, [language, bytes]] of start.entries()) assert.ok(bytes + rest[n][1] < 40_000, `${language}: ${bytes} and ${rest[n][1]} bytes`);
});

it('holds no script, style or picture inside the HTML, where the policy would refuse it', async () => {
  for (const document of ['index.html', 'shared.html']) {
    const html = await readFile(join(dist, document), 'utf8');
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=|data:|https?:/);
  }
});

it('names no registry in the lock file', async () => {
  assert.doesNotMatch(await readFile(join(web, 'package-lock.json'), 'utf8'), /"resolved"/);
});
