// A browser that was locked, in the hands of whoever has its disk: everything that it keeps is searched for what opens footage.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launchAt, until } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const PASSPHRASE = 'seven quiet otters beneath the mill';
const NOTE = 'The grey estate car came back at noon';

/** Every file below a folder, whatever it is called. */
async function files(folder) {
  const found = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // One that the browser has just replaced is found under its new name.
    const bytes = await readFile(join(entry.parentPath, entry.name)).catch(() => null);
    if (bytes) found.push({ name: join(entry.parentPath, entry.name), bytes });
  }
  return found;
}

const needlesOf = (bytes) => [bytes, ...['hex', 'base64', 'base64url'].map((form) => Buffer.from(bytes.toString(form))), Buffer.from(JSON.stringify([...bytes]).slice(1, -1))];
const textNeedles = (text) => [Buffer.from(text), Buffer.from(text, 'utf16le')];

describe('a locked browser', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no footage' }, () => {
  let product, profile, opened;
  /** What the part of the app that holds keys drew while it made them, in hex. */
  const drawn = [];
  let words = [];
  const named = [];

  async function open() {
    opened = await launchAt(profile, { prf: false });
    return opened.page;
  }

  before(async () => {
    product = await start();
    profile = await mkdtemp(join(tmpdir(), 'lenskeep-profile-'));
    const page = await open();
    // The Worker tells what it draws; nothing else of it is changed.
    await opened.context.route(/\/assets\/main-[^/]+\.js$/, async (route) => {
      const response = await route.fetch();
      const spy = "{const draw=crypto.getRandomValues.bind(crypto);crypto.getRandomValues=(into)=>{draw(into);if(into.byteLength===32)console.log('drawn '+Array.from(into,(b)=>b.toString(16).padStart(2,'0')).join(''));return into}}";
      const body = await response.text();
      await route.fulfill({ response, body: spy + body });
    });
    page.on('console', (message) => {
      const found = /^drawn ([0-9a-f]{64})$/.exec(message.text());
      if (found) drawn.push(found[1]);
    });
    words = await setUp(page, product.link, { passphrase: PASSPHRASE });
    named.push({ what: 'the passphrase', needles: textNeedles(PASSPHRASE) });
    named.push({ what: 'the recovery sheet', needles: textNeedles(words.slice(0, 4).join(' ')) });
    await addDemoCamera(page);
    await openDemoCamera(page);
    // What somebody writes about footage is as secret as the footage.
    await page.getByRole('button', { name: 'Bookmark', exact: true }).click();
    await page.getByLabel('Note').fill(NOTE);
    named.push({ what: 'a note', needles: textNeedles(NOTE) });
  });
  after(async () => {
    await opened?.context.close();
    await product?.stop();
    if (profile) await rm(profile, { recursive: true, force: true });
  });

  /** What this browser stores of its device: the keys, sealed, and what the passphrase is salted with, which is no secret. */
  const stored = (page) =>
    page.evaluate(async () => {
      const found = [];
      for (const { name } of await indexedDB.databases()) {
        const base = await new Promise((resolve) => Object.assign(indexedDB.open(name), { onsuccess: (event) => resolve(event.target.result) }));
        for (const store of base.objectStoreNames) {
          const all = await new Promise((resolve) => Object.assign(base.transaction(store).objectStore(store).getAll(), { onsuccess: (event) => resolve(event.target.result) }));
          found.push(...all.filter((entry) => entry?.sealed instanceof Uint8Array).map(({ sealed, wrap }) => ({ sealed: [...sealed], salt: [...wrap.salt] })));
        }
        base.close();
      }
      return found;
    });

  it('keeps nothing on its disk that opens footage or says what was seen', async () => {
    const { page, context } = opened;
    const [{ sealed, salt }] = await stored(page);
    await page.getByRole('link', { name: 'Security', exact: true }).click();
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByLabel('Passphrase of this browser').waitFor();
    await context.close();
    const all = await files(profile);
    const seeds = drawn.map((hex) => Buffer.from(hex, 'hex')).filter((bytes) => !bytes.equals(Buffer.from(salt)));
    assert.ok(seeds.length >= 2, `the keys of this browser were seen: ${seeds.length}`);
    named.push(...seeds.map((bytes, at) => ({ what: `what key ${at} came from`, needles: needlesOf(bytes) })));
    // The search finds what is there.
    const holds = (needle) => all.filter(({ bytes }) => bytes.includes(needle)).map(({ name }) => name);
    assert.ok(holds(Buffer.from(sealed)).length > 0, 'the sealed keys are found on the disk');
    const leaks = named.flatMap(({ what, needles }) => needles.flatMap((needle) => holds(needle).map((name) => `${what} in ${name}`)));
    assert.deepEqual(leaks, []);
  });

  it('asks for the passphrase, and shows footage again with it alone', async () => {
    const page = await open();
    await page.goto(product.link.split('/setup')[0]);
    const field = page.getByLabel('Passphrase of this browser');
    await field.waitFor();
    assert.equal(await page.getByText('Demo camera').count(), 0);
    await field.fill(`${PASSPHRASE}!`);
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByText('That is not the passphrase of this device.').waitFor();
    await field.fill(PASSPHRASE);
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByRole('link', { name: /Demo camera/ }).first().waitFor();
    await openDemoCamera(page);
    await until('a picture', async () => (await page.locator('.stage .live').count()) === 1);
  });
});
