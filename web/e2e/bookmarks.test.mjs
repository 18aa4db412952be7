// Bookmarks and evidence locks, as a person makes them and finds them again; and what the server has of them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const SECRET = 'Two people at the gate <script>alert(1)</script>';
const CASE = 'Stolen bicycles';

describe('bookmarks', { timeout: 400_000, skip: (!isReal || givenLink !== null) && 'the stand-in records nothing' }, () => {
  let product, browser, page, problems;
  const found = [];
  const carried = [];
  const panel = () => page.getByRole('region', { name: 'Bookmark', exact: true });
  const list = () => page.getByRole('region', { name: 'Bookmarks, the latest first' });
  const rows = () => list().getByRole('article');

  before(async () => {
    product = await start();
    browser = await launch();
    ({ page, problems } = await visitor(browser, { viewport: { width: 1280, height: 1000 } }));
    const both = async (request, response) => carried.push(request.postData() ?? '', await response.text().catch(() => ''));
    page.on('response', (response) => response.url().includes('/api/v1/bookmarks') && void both(response.request(), response));
    await setUp(page, product.link);
    await addDemoCamera(page);
    await openDemoCamera(page);
    await page.locator('.stage .live').waitFor({ timeout: 60_000 });
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
    await rows().first().getByText('Locked until it is lifted').waitFor({ timeout: 60_000 });
    await rows().first().getByText(/on the gateway/).waitFor();
    await rows().first().locator('canvas:not(.blank)').waitFor({ timeout: 30_000 });
    found.push(...(await look(page, 'bookmarks')));
    await page.getByLabel('Search').fill('no such words');
    await page.getByText('Nothing like that').waitFor();
    await page.getByLabel('Search').fill('TWO PEOPLE');
    assert.equal(await rows().count(), 1);
    await page.getByLabel('Case').selectOption(CASE);
    assert.equal(await rows().count(), 1);
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
    await rows().first().getByRole('button', { name: 'Remove' }).waitFor({ timeout: 30_000 });
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
