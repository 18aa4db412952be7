// Prints what a viewer waits for, measured in the browser against the product: one JSON object on standard output.
// `LENSKEEP_BIN=… npm run --silent figures`

import { launch, until, visitor } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { start } from './support/product.mjs';

const WATCHED_MS = 20_000;

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
} finally {
  await browser.close();
  await product.stop();
}
for (const [name, value] of Object.entries(figures)) if (typeof value === 'number') figures[name] = Math.round(value * 100) / 100;
console.log(JSON.stringify(figures));
