// Secrets that lie open in cameras: gateways read them, administrators see where they are and what to do, and nobody sees a secret.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { setUp } from './support/person.mjs';
import { axisCamera, givenLink, isReal, start } from './support/product.mjs';

const KEY = 'Zq8rT2vX5yB9dF3gH6jK1mN4pS7uW0aCeXwVbQzLkJh8G5fD2sA9oPi4uY7tR6eWq1MnB3vC5xZ0lKjHgFdSaQ==';
const PASSWORD = 'north-gate-7-Harbour';

describe('secrets in cameras', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no gateway' }, () => {
  let product, gate, yard, browser, page, problems;
  const found = [];
  const carried = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const leaks = () => page.locator('[data-leak]');
  const open = async () => {
    // By a link: loading the page anew would lock the device.
    await page.evaluate(() => {
      const link = Object.assign(document.createElement('a'), { href: '/health' });
      document.body.append(link);
      link.click();
      link.remove();
    });
    await page.getByRole('link', { name: 'Secrets in cameras' }).click();
    await page.getByRole('heading', { name: 'Secrets in cameras' }).waitFor();
  };
  const add = async (camera, name) => {
    await page.getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: 'Add a camera' }).first().click();
    await page.getByRole('button', { name: 'Enter an address by hand' }).click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Address', { exact: true }).fill(camera.address);
    await page.getByLabel('User name of the camera').fill('viewer');
    await page.getByLabel('Password of the camera').fill('secret');
    await page.getByText('Events that the camera tells').click();
    await page.getByLabel('Address of its ONVIF service').fill(camera.events);
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.getByRole('heading', { name: 'The camera answers' }).waitFor();
    await page.getByRole('button', { name: 'Add the camera' }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
  };

  before(async () => {
    const connection = `root.Store.ConnectionString=DefaultEndpointsProtocol=https;AccountName=harbour;AccountKey=${KEY};EndpointSuffix=core.windows.net`;
    [gate, yard] = await Promise.all([axisCamera([connection, `root.SMTP.Password=${PASSWORD}`], []), axisCamera([connection], ['<b>nothing</b> to see'])]);
    product = await start({ further: ['--no-demo'] });
    browser = await launch();
    ({ page, problems } = await visitor(browser));
    page.on('response', async (response) => {
      if (/\/gateways\/[^/]+\/commands$/.test(response.url())) carried.push(await response.text().catch(() => ''));
    });
    await setUp(page, product.link);
    await page.getByRole('button', { name: 'Go to your cameras' }).click();
  });
  after(async () => {
    await browser?.close();
    gate?.stop();
    yard?.stop();
    await product?.stop();
  });

  it('says so where there is no camera yet', async () => {
    await open();
    await page.getByText('This gateway has no cameras.').waitFor();
    await seen('leaks-none');
  });

  it('are found when somebody asks, and shown by camera without the secret', async () => {
    await add(gate, 'Gate');
    await add(yard, 'Yard');
    await open();
    await page.getByText('None of its cameras was read yet.').waitFor();
    await page.getByRole('button', { name: /^Read them now: / }).click();
    await page.getByText(/^All 2 cameras were read/).waitFor();
    assert.ok((await leaks().count()) >= 3, await page.locator('main').textContent());
    await page.getByText('root.SMTP.Password').first().waitFor();
    const shown = await page.content();
    for (const secret of [KEY, PASSWORD]) assert.ok(!shown.includes(secret.slice(4)), 'the secret itself is shown');
    await seen('leaks-cameras');
  });

  it('stand once with all their places', async () => {
    const before = await leaks().count();
    await page.getByLabel('Secret', { exact: true }).check();
    await until('fewer rows', async () => (await leaks().count()) < before);
    const both = leaks().filter({ hasText: 'Gate' }).filter({ hasText: 'Yard' });
    assert.ok((await both.count()) >= 1);
    await seen('leaks-secrets');
  });

  it('are told to the device that asked alone', async () => {
    assert.ok(carried.length > 0);
    const all = carried.map((text) => [...text.matchAll(/"payload":"([^"]+)"/g)].map(([, payload]) => Buffer.from(payload, 'base64').toString()).join(' ') + text).join(' ');
    for (const word of ['root.SMTP.Password', 'ConnectionString', 'harbour', PASSWORD]) assert.ok(!all.includes(word), `the server reads ${word}`);
  });

  it('say what a camera refuses', async () => {
    yard.stop();
    await page.getByLabel('Camera', { exact: true }).check();
    await page.getByRole('button', { name: 'Read again: Yard' }).click();
    await page.getByText('Not everything of 2 cameras was read').waitFor();
    await page.getByText('Not everything of 2 cameras was read').click();
    await page.locator('details').getByRole('link', { name: 'Yard' }).waitFor();
    assert.ok((await leaks().count()) >= 3, 'what was known stays');
    await seen('leaks-refused');
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
