// A store that takes nothing: what the gateway has alone plays all the same, and the page says where it comes from.

import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, look, picture, until, visitor } from './support/browser.mjs';
import { addDemoCamera, liveMoves, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const NOTE = 'From the gateway: not forwarded';

describe('a recording that was not forwarded', { timeout: 400_000, skip: givenLink !== null && 'it takes a store of its own' }, () => {
  let product, browser, page, problems;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const footage = () => join(product.data, 'cloud/store/footage');
  const seek = async () => {
    // The buttons above it take more room while a recording plays.
    await page.getByRole('slider', { name: 'Recorded time' }).scrollIntoViewIfNeeded();
    const covered = await page.locator('.timeline .covered').last().boundingBox();
    // Of the stand-in the newest alone; and far from the end, so that it plays for a while.
    await page.mouse.click(covered.x + covered.width * (isReal ? 0.2 : 0.75), covered.y + covered.height / 2);
  };
  const play = async () => {
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    await seek();
    // Of the stand-in the newest alone is asked for.
    const behind = isReal ? 5000 : 1500;
    let first = 0;
    await until('a recorded picture', async () => {
      first = await shownTime(page);
      return Date.now() - first > behind && (await page.locator('.stage .live').count()) === 0;
    });
    const shown = await picture(page);
    await until('recorded footage to play', async () => (await shownTime(page)) > first + 700);
    await until('the recorded picture to change', async () => (await picture(page)) !== shown);
  };

  before(async () => {
    product = await start();
    if (isReal) {
      // Where the store puts recordings stands a file: it takes none.
      await mkdir(join(product.data, 'cloud/store'), { recursive: true });
      await writeFile(footage(), '');
    }
    browser = await launch();
    ({ page, problems } = await visitor(browser));
    await setUp(page, product.link);
    await addDemoCamera(page);
    await openDemoCamera(page);
    await liveMoves(page, picture);
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  it('says what plays from the gateway, which has not forwarded it', async () => {
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    assert.equal(await page.getByText(NOTE).count(), 0, 'live is no recording');
    await play();
    await page.getByText(NOTE).waitFor();
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
    // The stand-in explains no policies, which the page says.
    if (isReal) assert.deepEqual(await page.locator('[role=alert]').filter({ hasText: /\S/ }).allTextContents(), []);
    await seen('camera-on-site');
    await page.getByRole('button', { name: 'Live', exact: true }).click();
    await page.locator('.stage .live').waitFor();
    assert.equal(await page.getByText(NOTE).count(), 0);
  });

  it('says that there may be more while the gateway does not answer', async () => {
    const away = 'The gateway does not answer.';
    assert.equal(await page.getByText(away).count(), 0);
    const lists = /\/api\/v1\/cameras\/[^/]+\/recordings\?/;
    await page.route(lists, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), site_unreachable: true } });
    });
    // Another view asks at once.
    await page.getByLabel('Shown time').selectOption({ label: '1 hour' });
    await page.getByText(away).waitFor();
    await seen('camera-gateway-away');
    await page.unroute(lists);
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
    await until('the note to go', async () => (await page.getByText(away).count()) === 0);
  });

  it('says no more of it when the store has it', { skip: !isReal && 'the stand-in forwards nothing' }, async () => {
    await seek();
    await page.getByText(NOTE).waitFor();
    await rm(footage());
    // It stands there until another recording is shown, or the same from elsewhere.
    await until('it to be forwarded', async () => {
      await seek();
      await page.waitForTimeout(2000);
      return (await page.getByText(NOTE).count()) === 0;
    }, 120_000);
    await page.locator('.stage .live').waitFor({ state: 'detached' });
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
