// Prints what a viewer waits for, measured in the browser against the product: one JSON object on standard output, milliseconds.
// `LENSKEEP_BIN=… npm run --silent figures`

import { launch, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addPlainCamera, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { plainCamera, start } from './support/product.mjs';

const WATCHED_MS = 20_000;
const WALL = 16;
const DRAGS = 40;
const JUMPS = 20;
const STEPS = 30;
const MOVES = 10;

const startedAt = performance.now();
const product = await start();
const figures = { ready_ms: performance.now() - startedAt };
const browser = await launch();
const camera = await plainCamera();
try {
  Object.assign(figures, await firstVisit(browser, new URL(product.link).origin));
  const { page } = await visitor(browser);
  await page.addInitScript(() => {
    globalThis.interactions = [];
    const keep = (entries) => globalThis.interactions.push(...entries.getEntries().filter(({ interactionId }) => interactionId).map(({ duration }) => duration));
    // Shorter ones than 16 ms are not told.
    new PerformanceObserver(keep).observe({ type: 'event', durationThreshold: 16, buffered: true });
  });
  await setUp(page, product.link);
  await addDemoCamera(page);
  await openDemoCamera(page);
  await until('a live picture', () => shownTime(page));
  await page.waitForTimeout(WATCHED_MS);
  Object.assign(figures, JSON.parse(await page.locator('[data-figures]').getAttribute('data-figures')));
  Object.assign(figures, await looking(page));
  Object.assign(figures, await stepping(page));
  Object.assign(figures, await moving(page));
  for (let n = 1; n < WALL; n += 1) await addPlainCamera(page, camera, `Camera ${n}`);
  Object.assign(figures, await wall(page));
  const interactions = await page.evaluate(() => globalThis.interactions);
  Object.assign(figures, { interactions: interactions.length, interaction_ms_p75: at(interactions, 0.75), interaction_ms_p95: at(interactions, 0.95) });
} finally {
  await browser.close();
  camera.stop();
  await product.stop();
}
for (const [name, value] of Object.entries(figures)) if (typeof value === 'number') figures[name] = Math.round(value * 100) / 100;
console.log(JSON.stringify(figures));

/** Of somebody who was never here, nothing kept: from asking for the page until it is painted, and until the largest part of it is. */
async function firstVisit(browser, origin) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    await page.getByRole('heading').first().waitFor();
    return await page.evaluate(async () => {
      const painted = performance.getEntriesByName('first-contentful-paint')[0].startTime;
      const largest = await new Promise((resolve) => new PerformanceObserver((entries) => resolve(entries.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true }));
      return { visit_painted_ms: painted, visit_largest_ms: largest };
    });
  } finally {
    await context.close();
  }
}

/** From the key that goes to the next picture, or to the one before, until its time is shown with it. */
async function stepping(page) {
  const { x, y, width, height } = await covered(page);
  await page.mouse.click(x + width / 2, y + height / 2);
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await page.getByRole('button', { name: 'Play', exact: true }).focus();
  await page.evaluate(() => {
    globalThis.waits = [];
    let since = null;
    addEventListener('keydown', () => (since = performance.now()), true);
    new MutationObserver(() => {
      if (since !== null) (globalThis.waits.push(performance.now() - since), (since = null));
    }).observe(document.querySelector('.controls time'), { attributeFilter: ['datetime'] });
  });
  const steps = async (key) => {
    await page.evaluate(() => (globalThis.waits = []));
    for (let n = 1; n <= STEPS; n += 1) {
      await page.keyboard.press(key);
      await until('the picture beside it', async () => (await page.evaluate(() => globalThis.waits.length)) >= n);
    }
    return page.evaluate(() => globalThis.waits);
  };
  const [forward, back] = [await steps('.'), await steps(',')];
  return { step_ms_p50: at(forward, 0.5), step_ms_p95: at(forward, 0.95), step_back_ms_p50: at(back, 0.5), step_back_ms_p95: at(back, 0.95) };
}

/** From the key that moves the camera until its picture is another one. */
async function moving(page) {
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.locator('.stage .live').waitFor();
  await page.getByRole('button', { name: 'Move', exact: true }).click();
  const pad = page.getByRole('region', { name: 'Move the camera' }).getByRole('application');
  await pad.waitFor();
  await page.evaluate(() => {
    const small = Object.assign(document.createElement('canvas'), { width: 32, height: 18 }).getContext('2d', { willReadFrequently: true });
    const look = () => {
      small.drawImage(document.querySelector('#stage canvas'), 0, 0, 32, 18);
      return small.getImageData(0, 0, 32, 18).data;
    };
    const apart = (one, other) => one.reduce((sum, value, n) => sum + Math.abs(value - other[n]), 0) / one.length;
    // How much the picture changes where the camera stands still.
    globalThis.still = async () => {
      const [before, until] = [look(), performance.now() + 2000];
      let most = 0;
      while (performance.now() < until) (await new Promise(requestAnimationFrame), (most = Math.max(most, apart(before, look()))));
      return most;
    };
    globalThis.moves = [];
    addEventListener('keydown', async ({ repeat }) => {
      if (repeat) return;
      const [before, since] = [look(), performance.now()];
      while (apart(before, look()) < globalThis.threshold) await new Promise(requestAnimationFrame);
      globalThis.moves.push(performance.now() - since);
    }, true);
  });
  await page.evaluate(async () => (globalThis.threshold = 2 * (await globalThis.still())));
  const taken = () => page.evaluate(() => globalThis.moves.length);
  await pad.focus();
  for (let n = 0; n < MOVES; n += 1) {
    const key = n % 2 === 0 ? 'ArrowRight' : 'ArrowLeft';
    await page.keyboard.down(key);
    await until('the camera to move', async () => (await taken()) > n);
    await page.keyboard.up(key);
    await page.waitForTimeout(2000);
  }
  const moves = await page.evaluate(() => globalThis.moves);
  return { ptz_ms_p50: at(moves, 0.5), ptz_ms_p95: at(moves, 0.95) };
}

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
