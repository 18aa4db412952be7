// Bookmarks and evidence locks, as a person makes them and finds them again; and what the server has of them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const SECRET = 'Two people at the gate <script>alert(1)</script>';
const CASE = 'Stolen bicycles';

describe('bookmarks', { timeout: 400_000, skip: (!isReal || givenLink !== null) && 'the stand-in records nothing' }, () => {
  let product, browser, page, context, problems;
  const found = [];
  const carried = [];
  const panel = () => page.getByRole('region', { name: 'Bookmark', exact: true });
  const list = () => page.getByRole('region', { name: 'Bookmarks, the latest first' });
  const rows = () => list().getByRole('article');

  before(async () => {
    product = await start();
    browser = await launch();
    ({ page, context, problems } = await visitor(browser, { viewport: { width: 1280, height: 1000 } }));
    const both = async (request, response) => carried.push(request.postData() ?? '', await response.text().catch(() => ''));
    page.on('response', (response) => response.url().includes('/api/v1/bookmarks') && void both(response.request(), response));
    await setUp(page, product.link);
    await addDemoCamera(page);
    await openDemoCamera(page);
    await page.locator('.stage .live').waitFor();
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  it('are made by a key, once something is recorded', async () => {
    // A recording closes after a minute.
    await page.locator('.timeline .covered').first().waitFor({ state: 'attached', timeout: 120_000 });
    await page.getByRole('slider', { name: 'Recorded time' }).focus();
    await page.keyboard.press('Home');
    await until('the past', async () => (await page.locator('.stage .live').count()) === 0);
    await page.keyboard.press('b');
    await panel().waitFor();
    await page.getByLabel('Note').fill(SECRET);
    await page.getByLabel('Case (optional)').fill(CASE);
    await page.getByLabel('Lock as evidence').check();
    found.push(...(await look(page, 'bookmark-panel')));
    await panel().getByRole('button', { name: 'Save the bookmark' }).click();
    await until('the panel to close', async () => {
      const problem = await panel().getByRole('alert').textContent().catch(() => '');
      // Nothing closed lies there yet: somebody tries again.
      if (problem.includes('Nothing is recorded')) await panel().getByRole('button', { name: 'Save the bookmark' }).click().catch(() => undefined);
      return (await panel().count()) === 0;
    }, 150_000);
    await page.getByText('One bookmark').click();
    await page.getByText(SECRET).waitFor();
    assert.equal(await page.locator('.timeline .marked').count(), 1);
  });

  it('are found on their page, locked by the gateway', async () => {
    await page.getByRole('link', { name: 'All bookmarks' }).click();
    await rows().first().getByText(SECRET).waitFor();
    await rows().first().getByText('Locked until it is lifted').waitFor();
    await rows().first().getByText(/on the gateway/).waitFor();
    await rows().first().locator('canvas:not(.blank)').waitFor();
    found.push(...(await look(page, 'bookmarks')));
    await page.getByLabel('Search').fill('no such words');
    await page.getByText('Nothing like that').waitFor();
    await page.getByLabel('Search').fill('TWO PEOPLE');
    assert.equal(await rows().count(), 1);
    await page.getByLabel('Case').selectOption(CASE);
    assert.equal(await rows().count(), 1);
  });

  it('are exported as a case, with films, proofs and a list, and what is not there is named', async () => {
    // The browser's dialogue for folders cannot be used without a person.
    await page.evaluate(() => (globalThis.showDirectoryPicker = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true })));
    const sent = [];
    const note = (request) => sent.push(`${request.url()} ${request.postData() ?? ''}`);
    page.on('request', note);
    await page.getByLabel('Case').selectOption(CASE);
    await page.getByRole('button', { name: 'Export case' }).click();
    const exported = page.getByRole('region', { name: 'Export case' });
    await exported.getByText('One bookmark').waitFor();
    await exported.getByLabel('Reason (optional)').fill('The police asked for it');
    found.push(...(await look(page, 'case-export')));
    await exported.getByRole('button', { name: 'Export', exact: true }).click();
    await exported.getByRole('button', { name: 'Done' }).waitFor();
    found.push(...(await look(page, 'case-exported')));
    page.off('request', note);
    const files = await page.evaluate(async () => {
      const all = {};
      for await (const [name, handle] of await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen')) {
        const file = await handle.getFile();
        all[name] = /\.(txt|json)$/.test(name) ? await file.text() : file.size;
      }
      return all;
    });
    const of = (extension) => Object.entries(files).find(([name]) => name.endsWith(extension));
    assert.deepEqual(Object.keys(files).map((name) => name.slice(name.lastIndexOf('.'))).sort(), ['.json', '.lkproof', '.mp4', '.txt']);
    assert.ok(of('.mp4')[1] > 10_000 && of('.lkproof')[1] > 10_000);
    assert.ok(of('.txt')[1].includes(SECRET) && of('.txt')[1].includes(of('.mp4')[0]), of('.txt')[1]);
    assert.match(of('.txt')[1], /Lock: Locked until it is lifted, as the gateway signed/);
    const [listed] = JSON.parse(of('.json')[1]).bookmarks;
    assert.equal(listed.note, SECRET);
    assert.equal(listed.lock.state, 'locked');
    assert.deepEqual([...listed.files].sort(), [of('.lkproof')[0], of('.mp4')[0]].sort());
    const decoded = [...sent.join('\n').matchAll(/"payload":\s*"([A-Za-z0-9+/=]+)"/g)].map(([, text]) => Buffer.from(text, 'base64').toString());
    assert.ok(decoded.some((text) => text.includes('"type":"export"') && text.includes('The police asked for it')), 'a signed order');
    for (const text of [...sent, ...decoded]) assert.ok(!text.includes('bicycles') && !text.includes('Two people'), 'the name of the case leaves this device');
    await exported.getByRole('button', { name: 'Done' }).click();

    // What the server does not list any more is named, and stops nothing.
    const lists = /\/cameras\/cam_[0-9a-f]{32}\/recordings\?/;
    await context.route(lists, (route) => route.fulfill({ json: { recordings: [], gaps: [], more_from: null, site_unreachable: false } }));
    await page.getByRole('button', { name: 'Export case' }).click();
    await exported.getByRole('button', { name: 'Export', exact: true }).click();
    await exported.getByText('There are no recordings of Demo camera in this time.').waitFor();
    await exported.getByText('Nothing of this case could be exported.').waitFor();
    await context.unroute(lists);
    await exported.getByRole('button', { name: 'Done' }).click();
  });

  it('are read by nobody on the way', () => {
    const all = carried.join('\n');
    assert.ok(all.includes('bookmark.v1+json') && all.includes('lock-result.v1+json'));
    const decoded = [...all.matchAll(/"payload":\s*"([A-Za-z0-9+/=]+)"/g)].map(([, text]) => Buffer.from(text, 'base64').toString());
    for (const text of [all, ...decoded]) for (const secret of ['Two people', 'alert', 'bicycles']) assert.ok(!text.includes(secret), text.slice(0, 300));
  });

  it('lead to their moment', async () => {
    await page.getByRole('link', { name: /^Open Demo/ }).click();
    await page.waitForURL(/\/cameras\/cam_[0-9a-f]{32}\?at=/);
    await page.goBack();
    await rows().first().waitFor();
  });

  it('are lifted by a touch of the passkey, and then removed', async () => {
    assert.equal(await rows().first().getByRole('button', { name: 'Remove' }).count(), 0, 'what is locked is not removed');
    await rows().first().getByRole('button', { name: 'Lift the lock' }).click();
    await rows().first().getByRole('button', { name: 'Remove' }).waitFor();
    await rows().first().getByRole('button', { name: 'Change the note' }).click();
    await rows().first().getByLabel('Note').fill('It was nothing');
    await rows().first().getByRole('button', { name: 'Save' }).click();
    await rows().first().getByText('It was nothing').waitFor();
    await rows().first().getByRole('button', { name: 'Remove' }).click();
    await page.getByText('Nothing is marked yet').waitFor();
    found.push(...(await look(page, 'bookmarks-empty')));
  });

  it('have nothing that some people cannot use, and no error', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
