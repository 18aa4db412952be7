// Many cameras at once: what moves, what rests, what stands still, and how a wall is arranged, kept and shared.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addEncryptedCamera, letIn, setUp } from './support/person.mjs';
import { encryptedCamera, givenLink, isReal, start } from './support/product.mjs';

describe('a wall', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in keeps no walls' }, () => {
  let product, camera, browser, page, problems;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const tile = (name) => page.locator('.tile').filter({ hasText: name });
  const state = (name) => tile(name).getAttribute('data-state');
  const place = (name) => tile(name).evaluate(({ style }) => ['--x', '--y', '--w', '--h'].map((each) => style.getPropertyValue(each)).join(' '));
  const plays = (name) => until(`${name} to play`, async () => (await state(name)) === 'playing');
  const moves = async (name) => {
    const canvas = '.tile canvas:not(.still)';
    const number = await page.locator('.tile').evaluateAll((all, wanted) => all.findIndex(({ textContent }) => textContent.includes(wanted)), name);
    const shot = async () => (await page.locator(canvas).nth(number).screenshot()).toString('base64');
    const before = await shot();
    await until(`the picture of ${name} to change`, async () => (await shot()) !== before);
  };

  before(async () => {
    [product, camera] = await Promise.all([start(), encryptedCamera()]);
    browser = await launch();
    ({ page, problems } = await visitor(browser));
    await setUp(page, product.link);
    await addDemoCamera(page);
    await addEncryptedCamera(page, camera, 'Yard');
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    await product?.stop();
  });

  it('shows all cameras, each moving', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Wall', exact: true }).click();
    await page.getByRole('heading', { name: 'Wall', level: 1 }).waitFor();
    for (const name of ['Demo camera', 'Yard']) {
      await plays(name);
      await moves(name);
    }
    await seen('wall');
  });

  it('enlarges one, in full size, and rests the others', async () => {
    const demo = () => tile('Demo camera').getAttribute('data-rendition');
    await page.getByRole('button', { name: 'Enlarge Demo camera' }).click();
    await until('the stream in full size', async () => (await demo()) === 'main');
    await moves('Demo camera');
    await until('the other to rest, which nobody sees', async () => (await tile('Yard').getAttribute('data-rendition')) === null);
    await seen('wall-enlarged');
    await page.keyboard.press('Escape');
    await until('the others again', () => tile('Yard').getAttribute('data-rendition'));
    await page.getByRole('button', { name: 'Enlarge Demo camera' }).focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Enlarge Yard');
  });

  it('says which picture stands still, and goes on by itself', async () => {
    camera.freeze();
    await until('it to be said', async () => (await state('Yard')) === 'stopped');
    await tile('Yard').getByText(/^No picture/).waitFor();
    assert.equal(await state('Demo camera'), 'playing');
    await seen('wall-stopped');
    camera.thaw();
    await until('it to go on', async () => (await state('Yard')) === 'playing');
    await moves('Yard');
  });

  it('is arranged by mouse and keyboard, and kept', async () => {
    await page.getByRole('button', { name: 'Arrange my own' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Shop');
    assert.equal(await place('Demo camera'), '1 1 1 1');
    const [from, to] = [await tile('Demo camera').boundingBox(), await tile('Yard').boundingBox()];
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 8 });
    await page.mouse.up();
    assert.deepEqual([await place('Demo camera'), await place('Yard')], ['2 1 1 1', '1 1 1 1'], 'they change places');
    await page.getByLabel('Columns').selectOption('3');
    await page.getByRole('button', { name: /^Yard, 1 by 1/ }).click();
    await page.keyboard.press('Shift+ArrowRight');
    await page.keyboard.press('Shift+ArrowDown');
    assert.equal(await place('Yard'), '1 1 2 2');
    assert.equal(await place('Demo camera'), '2 3 1 1', 'it gave way');
    await page.getByRole('button', { name: 'Demo camera, 1 by 1' }).click();
    await page.getByRole('button', { name: 'Move right' }).click();
    await page.getByRole('button', { name: 'Move up' }).click();
    await page.getByRole('button', { name: 'Move up' }).click();
    assert.equal(await place('Demo camera'), '3 1 1 1');
    await moves('Yard');
    await seen('wall-arranging');
    await page.getByLabel(/^Share it/).check();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Shop', level: 1 }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.getByRole('heading', { name: 'Shop', level: 1 }).waitFor();
    assert.deepEqual([await place('Demo camera'), await place('Yard')], ['3 1 1 1', '1 1 2 2']);
    await plays('Yard');
    await seen('wall-kept');
  });

  it('shows pictures alone where nobody operates it', async () => {
    await page.getByRole('link', { name: 'Pictures alone' }).click();
    await until('nothing else', async () => (await page.getByRole('heading', { level: 1 }).count()) === 0);
    const box = await page.locator('.wall').boundingBox();
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 1280, 860]);
    await plays('Demo camera');
    assert.equal(await page.getByRole('link', { name: 'Gateways' }).evaluate((link) => link.closest('header').inert), true);
    await page.getByRole('button', { name: 'Back to the pages' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Shop', level: 1 }).waitFor();
  });

  it('shows somebody else what they may see, and lets them change nothing', async () => {
    const ben = await visitor(browser);
    await letIn(page, ben.page, 'Ben');
    await ben.page.getByRole('navigation').getByRole('link', { name: 'Wall', exact: true }).click();
    await ben.page.getByLabel('Which wall').selectOption({ label: 'Shop (shared)' });
    await ben.page.getByRole('heading', { name: 'Shop', level: 1 }).waitFor();
    await until('both pictures', async () => (await ben.page.locator('.tile[data-state=playing]').count()) === 2);
    assert.equal(await ben.page.getByRole('button', { name: 'Arrange', exact: true }).count(), 0);
    await ben.page.getByRole('button', { name: 'Arrange my own' }).click();
    assert.equal(await ben.page.getByLabel('Name', { exact: true }).inputValue(), 'Shop (copy)');
    assert.equal(await ben.page.getByRole('button', { name: 'Remove this wall' }).count(), 0);
    await ben.context.close();
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
