// Prints what a viewer waits for, measured in the browser against the product: one JSON object on standard output.
// `LENSKEEP_BIN=… npm run --silent figures`

import { launch, until, visitor } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { start } from './support/product.mjs';

const WATCHED_MS = 20_000;
const SEEKS = 20;

const startedAt = performance.now();
const product = await start();
const figures = { ready_ms: performance.now() - startedAt };
const browser = await launch();
try {
  const { page } = await visitor(browser);
  await setUp(page, product.link);
  await addDemoCamera(page);
  await openDemoCamera(page);
  await until('a live picture', () => shownTime(page));
  await page.waitForTimeout(WATCHED_MS);
  Object.assign(figures, JSON.parse(await page.locator('[data-figures]').getAttribute('data-figures')));
  figures.seek_ms = await seeks(page);
} finally {
  await browser.close();
  await product.stop();
}
for (const [name, value] of Object.entries(figures)) if (typeof value === 'number') figures[name] = Math.round(value * 100) / 100;
console.log(JSON.stringify(figures));

/** From releasing the pointer on the timeline to another recorded picture, as the page shows it (by frames of the display). */
async function seeks(page) {
  await until('footage on the timeline', () => page.locator('.timeline .covered').count(), 150_000);
  await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
  await page.waitForTimeout(500);
  const covered = await page.locator('.timeline .covered').last().boundingBox();
  const times = [];
  for (let i = 0; i < SEEKS; i += 1) {
    await page.mouse.move(covered.x + covered.width * (0.1 + (0.8 * ((i * 7) % SEEKS)) / SEEKS), covered.y + covered.height / 2);
    await page.mouse.down();
    await page.evaluate(() => {
      globalThis.shown = new Promise((resolve) => {
        const stage = document.getElementById('stage');
        const wait = (from) => (stage.dataset.state === 'playing' ? resolve(performance.now() - from) : requestAnimationFrame(() => wait(from)));
        // The page's own listener comes after this one and sets the state at once.
        document.querySelector('.timeline').addEventListener('pointerup', ({ timeStamp }) => setTimeout(() => wait(timeStamp)), { once: true });
      });
    });
    await page.mouse.up();
    times.push(await page.evaluate(() => globalThis.shown));
    await page.waitForTimeout(300);
  }
  times.sort((a, b) => a - b);
  return { p50: Math.round(times[SEEKS >> 1]), p95: Math.round(times[Math.floor(SEEKS * 0.95) - 1]) };
}
