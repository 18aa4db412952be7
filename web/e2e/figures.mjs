// Prints what a viewer waits for, measured in the browser against the product: one JSON object on standard output, milliseconds.
// `LENSKEEP_BIN=… npm run --silent figures`

import { launch, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addPlainCamera, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { plainCamera, start } from './support/product.mjs';

const WATCHED_MS = 20_000;
const WALL = 16;
const DRAGS = 40;
const JUMPS = 20;

const startedAt = performance.now();
const product = await start();
const figures = { ready_ms: performance.now() - startedAt };
const browser = await launch();
const camera = await plainCamera();
try {
  const { page } = await visitor(browser);
  await setUp(page, product.link);
  await addDemoCamera(page);
  await openDemoCamera(page);
  await until('a live picture', () => shownTime(page));
  await page.waitForTimeout(WATCHED_MS);
  Object.assign(figures, JSON.parse(await page.locator('[data-figures]').getAttribute('data-figures')));
  Object.assign(figures, await looking(page));
  for (let n = 1; n < WALL; n += 1) await addPlainCamera(page, camera, `Camera ${n}`);
  Object.assign(figures, await wall(page));
} finally {
  await browser.close();
  camera.stop();
  await product.stop();
}
for (const [name, value] of Object.entries(figures)) if (typeof value === 'number') figures[name] = Math.round(value * 100) / 100;
console.log(JSON.stringify(figures));

/** From a movement on the timeline until the picture of there is shown: while dragging, and when it is let go. */
async function looking(page) {
  await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
  await until('most of a minute of footage', async () => (await covered(page)).width > 80, 180_000);
  await page.locator('.timeline').scrollIntoViewIfNeeded();
  await page.evaluate(() => {
    const stage = document.querySelector('#stage');
    const waits = (globalThis.waits = []);
    let since = null;
    new MutationObserver(() => {
      if (stage.dataset.state === 'seeking') since ??= performance.now();
      else if (since !== null) (waits.push(performance.now() - since), (since = null));
    }).observe(stage, { attributeFilter: ['data-state'] });
  });
  const taken = () => page.evaluate(() => globalThis.waits.length);
  const { x, y, width, height } = await covered(page);
  // Not in order: nothing is decoded already.
  const spot = (n) => [x + width * (0.05 + 0.9 * ((n * 0.618) % 1)), y + height / 2];
  await page.mouse.move(...spot(0));
  await page.mouse.down();
  for (let n = 1; n <= DRAGS; n += 1) {
    const before = await taken();
    await page.mouse.move(...spot(n));
    await until('a preview', async () => (await taken()) > before);
  }
  const drags = await page.evaluate(() => globalThis.waits.splice(0));
  await page.mouse.up();
  await until('the picture', taken);
  await page.evaluate(() => globalThis.waits.splice(0));
  for (let n = 1; n <= JUMPS; n += 1) {
    await page.mouse.click(...spot(n + 0.3));
    // Pressing shows a preview, letting go the picture itself.
    await until('the picture', async () => (await taken()) > 0 && (await page.locator('#stage').getAttribute('data-state')) !== 'seeking');
    await page.waitForTimeout(150);
    await page.evaluate(() => (globalThis.jumps ??= []).push(globalThis.waits.splice(0).at(-1)));
  }
  const jumps = await page.evaluate(() => globalThis.jumps);
  return { preview_ms_p50: at(drags, 0.5), preview_ms_p95: at(drags, 0.95), release_ms_p50: at(jumps, 0.5), release_ms_p95: at(jumps, 0.95) };
}

/** From the press on "Wall" until so many pictures have come, and until all have. */
async function wall(page) {
  await page.waitForTimeout(5000);
  const begun = performance.now();
  await page.getByRole('navigation').getByRole('link', { name: 'Wall', exact: true }).click();
  const playing = (count) => page.waitForFunction((wanted) => document.querySelectorAll('.tile[data-state=playing]').length >= wanted, count, { polling: 20, timeout: 60_000 });
  await playing(1);
  const first = performance.now() - begun;
  await playing(WALL);
  return { wall_first_ms: first, [`wall_all_${WALL}_ms`]: performance.now() - begun };
}

async function covered(page) {
  const stretches = page.locator('.timeline .covered');
  return (await stretches.count()) > 0 ? ((await stretches.last().boundingBox()) ?? { width: 0 }) : { width: 0 };
}

function at(values, part) {
  return values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];
}
