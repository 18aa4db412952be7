// The cloud is gone: `lenskeep app` serves its page, and a gateway of the network shows what it has, live and recorded.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, look, picture, until, visitor } from './support/browser.mjs';
import { liveMoves, setUp, shownTime } from './support/person.mjs';
import { beside, freePort, givenLink, isReal, start } from './support/product.mjs';

describe('a site without its cloud', { timeout: 400_000, skip: (!isReal || givenLink !== null) && 'it takes the real programs' }, () => {
  let product, browser, ada, app, gateway, camera;
  const found = [];
  const seen = async (name) => void found.push(...(await look(ada.page, name)));

  before(async () => {
    product = await start();
    app = await beside('lenskeep', ['app', '--port', String(product.port + 4), '--cloud', `http://localhost:${product.port}`]);
    browser = await launch();
    ada = await visitor(browser);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([app, gateway, camera].map((program) => program?.stop()));
    await product?.stop();
  });

  let listen;
  it('has a gateway of its own machine, which records a camera', async () => {
    const { page } = ada;
    await setUp(page, product.link.replace(String(product.port), String(product.port + 4)));
    await page.goto(`http://localhost:${product.port + 4}/gateways`);
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.getByRole('button', { name: 'Make an enrolment code' }).click();
    const [code, data] = [join(product.data, 'code'), join(product.data, 'site')];
    await writeFile(code, await page.getByText(/^LK1-/).textContent());
    const port = await freePort();
    listen = `127.0.0.1:${port + 1}`;
    const config = join(product.data, 'site.toml');
    await writeFile(config, `data = "${data}"\nname = "Yard"\n[recording]\nseconds = 2\n[local]\nlisten = "${listen}"\n`);
    gateway = await beside('lenskeep-gateway', ['enrol', '--config', config, '--cloud', `https://localhost:${product.port + 1}`, '--code', code], { wait: false });
    await page.getByText('“Yard” has come and proved that it knows the code').waitFor();
    await page.getByRole('button', { name: 'Let it in' }).click();
    await until('the gateway to be connected', async () => (await page.getByText('Connected', { exact: true }).count()) >= 2);

    camera = await beside('camera-sim', ['--listen', `127.0.0.1:${port}`]);
    await page.getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: 'Add a camera' }).click();
    await page.getByRole('button', { name: 'Enter an address by hand' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Back door');
    await page.getByLabel('Gateway').selectOption({ label: 'Yard' });
    await page.getByLabel('Address', { exact: true }).fill(`rtsp://127.0.0.1:${port}/main`);
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.getByRole('button', { name: 'Add the camera' }).click();
    await page.getByRole('heading', { name: 'Back door' }).waitFor();
    await liveMoves(page, picture);
  });

  it('shows it when the cloud was killed, and lets nobody in by another address', async () => {
    const { page } = ada;
    product.kill();
    await page.goto(`http://localhost:${product.port + 4}/`);
    await page.getByRole('heading', { name: 'The cloud cannot be reached' }).waitFor();
    await seen('apart');
    await page.getByLabel('Address of the gateway').fill('198.51.100.1');
    await page.getByRole('button', { name: 'Unlock and go there' }).click();
    await page.getByText('is no address of a network of your own').waitFor();
    await page.getByLabel('Address of the gateway').fill(listen);
    await page.getByRole('button', { name: 'Unlock and go there' }).click();
    await page.getByText('Without the cloud.').waitFor();
    await seen('apart-cameras');
    assert.deepEqual(await page.getByRole('navigation').getByRole('link').allTextContents(), ['Cameras', 'Wall', 'Events']);
    await page.getByRole('navigation').getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('heading', { name: 'No camera tells events yet' }).waitFor();
    await page.getByRole('navigation').getByRole('link', { name: 'Wall', exact: true }).click();
    await until('the wall to play', () => page.locator('.tile[data-state=playing]').count());
    assert.equal(await page.getByRole('button', { name: /Arrange/ }).count(), 0, 'nobody keeps it here');
    await page.getByRole('navigation').getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: /Back door/ }).click();
    await liveMoves(page, picture);
    await seen('apart-camera');
  });

  it('plays what is recorded there', async () => {
    const { page } = ada;
    const live = await shownTime(page);
    // What was just live is in a recording that has to be closed first.
    await until('an older picture', async () => {
      await page.getByRole('button', { name: 'One picture back' }).click();
      await page.waitForTimeout(1000);
      return ((await shownTime(page)) ?? live) < live;
    });
    assert.deepEqual((await page.locator('[role=alert]').allTextContents()).filter((text) => text.trim() !== ''), []);
  });

  it('goes there also while the page is open, when its owner wants it', async () => {
    const { page } = ada;
    await page.getByRole('button', { name: 'Leave' }).click();
    await page.getByRole('heading', { name: 'The cloud cannot be reached' }).waitFor();
    const address = page.getByLabel('Address of the gateway');
    await until('the address that it remembers', async () => (await address.inputValue()) === listen);
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(ada.problems, []);
  });
});
