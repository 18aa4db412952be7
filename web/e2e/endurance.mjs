// Prints what a wall holds in memory while its tiles leave, come back, change their size and lose their cameras, over and over: a line of JSON for
// each look, after the garbage was collected. What a wall of a day does a few times, it does here within minutes.
// `LENSKEEP_BIN=… CYCLES=60 npm run --silent endurance`

import { readFile } from 'node:fs/promises';

import { launch, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addPlainCamera, setUp } from './support/person.mjs';
import { plainCamera, start } from './support/product.mjs';

const CYCLES = Number(process.env.CYCLES ?? 60);
const CAMERAS = Number(process.env.CAMERAS ?? 9);
const LOOK_EVERY = Math.max(1, Math.floor(CYCLES / 6));
/** So that pictures of several groups come: the simulated camera begins one each second. */
const PLAYED_MS = 3000;

const product = await start();
const browser = await launch();
const camera = await plainCamera();
try {
  const { page, cdp } = await visitor(browser);
  const heaps = await workers(cdp);
  const renderers = await residents(browser);
  await setUp(page, product.link);
  await addDemoCamera(page);
  for (let n = 1; n < CAMERAS; n += 1) await addPlainCamera(page, camera, `Camera ${n}`);
  await cycle(page);
  const begun = performance.now();
  console.log(JSON.stringify(await held(cdp, heaps, renderers, 0, begun)));
  for (let n = 1; n <= CYCLES; n += 1) {
    await cycle(page);
    if (n % LOOK_EVERY === 0) console.log(JSON.stringify(await held(cdp, heaps, renderers, n, begun)));
  }
} finally {
  await browser.close();
  camera.stop();
  await product.stop();
}

/** Each tile leaves and comes back three times: with the page, behind another that is enlarged, and, but for the demonstration camera, because its camera hangs. */
async function cycle(page) {
  const to = (name) => page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
  const all = () => page.waitForFunction((count) => document.querySelectorAll('.tile[data-state=playing]').length >= count, CAMERAS, { timeout: 120_000 });
  await to('Wall');
  await all();
  await page.waitForTimeout(PLAYED_MS);
  await page.getByRole('button', { name: 'Enlarge Camera 1', exact: true }).click();
  await until('one in full size', () => page.locator('.tile[data-rendition=main]').count());
  await page.waitForTimeout(PLAYED_MS);
  await page.keyboard.press('Escape');
  await all();
  camera.freeze();
  await page.waitForFunction(() => document.querySelectorAll('.tile[data-state=playing]').length <= 1, undefined, { timeout: 120_000 });
  camera.thaw();
  await all();
  await to('Cameras');
  await page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
}

/** Of the page and of its workers, in bytes and by number. */
async function held(cdp, heaps, renderers, cycles, begun) {
  await cdp.send('HeapProfiler.enable');
  for (let n = 0; n < 2; n += 1) await cdp.send('HeapProfiler.collectGarbage');
  await cdp.send('Performance.enable');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const of = (name) => metrics.find((metric) => metric.name === name).value;
  const worker_bytes = await heaps();
  const resident_bytes = await renderers();
  return { cycles, minutes: Math.round((performance.now() - begun) / 6000) / 10, page_bytes: of('JSHeapUsedSize'), worker_bytes, resident_bytes, documents: of('Documents'), nodes: of('Nodes'), listeners: of('JSEventListeners') };
}

/** Sums up what the processes that draw pages hold, also outside of heaps: pictures of decoders, above all. */
async function residents(browser) {
  const cdp = await browser.newBrowserCDPSession();
  const PAGE = 4096;
  return async () => {
    const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
    const renderers = processInfo.filter(({ type }) => type === 'renderer');
    const statements = await Promise.all(renderers.map(({ id }) => readFile(`/proc/${id}/statm`, 'utf8')));
    return statements.reduce((sum, statement) => sum + Number(statement.split(' ')[1]) * PAGE, 0);
  };
}

/** Sums up the heaps of the page's workers, which have debuggers of their own. */
async function workers(cdp) {
  const [sessions, waiting] = [new Set(), new Map()];
  cdp.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => targetInfo.type === 'worker' && sessions.add(sessionId));
  cdp.on('Target.detachedFromTarget', ({ sessionId }) => sessions.delete(sessionId));
  cdp.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  await cdp.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  let asked = 0;
  const ask = (sessionId, method) =>
    new Promise((resolve, reject) => {
      const id = (asked += 1);
      waiting.set(id, resolve);
      cdp.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) }).catch(reject);
    });
  return async () => {
    let bytes = 0;
    for (const session of sessions) {
      for (const method of ['HeapProfiler.enable', 'HeapProfiler.collectGarbage', 'HeapProfiler.collectGarbage']) await ask(session, method);
      bytes += (await ask(session, 'Runtime.getHeapUsage')).usedSize;
    }
    return bytes;
  };
}
