// Cameras are found, and added by their password alone; what a camera refuses has its cause, and the server learns no address of the network.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { setUp } from './support/person.mjs';
import { foundCamera, givenLink, isReal, start } from './support/product.mjs';

/** A camera calls itself what it likes. */
const NAME = '<b>Yard</b>';

describe('cameras that are looked for', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no gateway' }, () => {
  let product, camera, hostile, browser, page, problems;
  const found = [];
  const carried = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const row = (text) => page.locator('[data-finding] li').filter({ hasText: text });
  const open = async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: 'Add a camera' }).first().click();
  };

  before(async () => {
    [camera, hostile] = await Promise.all([foundCamera(NAME), foundCamera('Elsewhere', '127.0.0.4', '--fault', 'discovery-elsewhere')]);
    product = await start({ further: ['--no-demo', '--find-at', camera.at, '--find-at', hostile.at] });
    browser = await launch();
    ({ page, problems } = await visitor(browser));
    page.on('response', async (response) => {
      if (/\/gateways\/[^/]+\/commands$/.test(response.url())) carried.push(response.request().postData() ?? '', await response.text().catch(() => ''));
    });
    await setUp(page, product.link);
    await page.getByRole('button', { name: 'Go to your cameras' }).click();
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    hostile?.stop();
    await product?.stop();
  });

  it('are listed with what they call themselves, and those that lead elsewhere are not', async () => {
    await page.getByRole('link', { name: 'Add a camera' }).first().click();
    await page.getByText('Looking for cameras in the network').waitFor();
    await seen('finding-looks');
    await row(NAME).waitFor();
    assert.equal(await row('Elsewhere').count(), 0);
    assert.equal(await page.locator('[data-finding] b').count(), 0, 'a camera’s words are text');
    await page.getByText(/left out: they named addresses/).waitFor();
    await seen('finding-found');
  });

  it('say what is wrong with a password, and what to do', async () => {
    await row(NAME).getByRole('button', { name: /^Add / }).click();
    await page.getByLabel('User name of the camera').fill('viewer');
    await page.getByLabel('Password of the camera').fill('wrong');
    await page.getByRole('button', { name: 'Show the picture' }).click();
    await page.locator('[data-cause=password]').waitFor();
    await seen('finding-refused');
  });

  it('show their picture, what they cost, and advice', async () => {
    await page.getByLabel('Password of the camera').fill('secret');
    await page.getByRole('button', { name: 'Show the picture' }).click();
    await page.getByRole('heading', { name: 'The camera answers' }).waitFor();
    const lit = () => page.locator('[data-picture]').evaluate((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 !== 3 && value > 40));
    await until('a picture', lit);
    const advice = await page.getByRole('list', { name: 'Advice' }).textContent();
    for (const words of ['H.264, which every browser plays', 'a day', 'Sound comes with the picture']) assert.ok(advice.includes(words), advice);
    assert.ok(!advice.includes('There is no small stream'), advice);
    await seen('finding-picture');
  });

  it('are added with the streams that were looked at, and no others', async () => {
    await page.getByText('Other streams of this camera').click();
    const [add, small] = [page.getByRole('button', { name: 'Add the camera' }), page.getByLabel('Small stream')];
    const chosen = await small.inputValue();
    assert.ok(await add.isEnabled());
    await small.selectOption({ label: 'None' });
    assert.ok(await add.isDisabled(), 'nobody has looked at these');
    await small.selectOption(chosen);
    assert.ok(await add.isEnabled());
  });

  it('are added under a name, and are not offered twice', async () => {
    await page.getByLabel('Name', { exact: true }).fill('Yard');
    await page.getByRole('button', { name: 'Add the camera' }).click();
    await page.getByRole('heading', { name: 'Yard', level: 1 }).waitFor();
    await open();
    await page.getByRole('link', { name: 'Added as Yard' }).waitFor();
    assert.equal(await row(NAME).getByRole('button').count(), 0);
    await seen('finding-added');
  });

  it('are sealed from the server: it carried no address, name or password of them', () => {
    assert.ok(carried.length >= 8, `${carried.length} messages`);
    for (const text of carried) {
      // What an envelope holds is base64 of JSON.
      const inside = text === '' ? '' : Buffer.from(JSON.parse(text).envelope?.payload ?? '', 'base64').toString();
      for (const secret of [`:${camera.port}`, `:${camera.port + 1}`, 'rtsp://', 'onvif/device', 'Yard', 'secret', 'viewer']) assert.ok(!inside.includes(secret), `${secret}: ${inside.slice(0, 200)}`);
    }
  });

  it('cannot be made up or exchanged by the server', async () => {
    const inside = ({ envelope }) => JSON.parse(Buffer.from(envelope.payload, 'base64'));
    const other = carried.filter((text) => text !== '').map((text) => JSON.parse(text)).filter((body) => body.envelope && inside(body).answer).at(-1);
    for (const [lie, words] of [
      [(body) => ({ ...inside(body), answer: inside(other).answer }), /sign/],
      [() => inside(other), /sign|another command/],
    ]) {
      await page.route('**/api/v1/gateways/*/commands', async (route) => {
        const response = await route.fetch();
        const body = await response.json();
        await route.fulfill({ response, json: { envelope: { ...body.envelope, payload: Buffer.from(JSON.stringify(lie(body))).toString('base64') } } });
      });
      await page.getByRole('button', { name: 'Look again' }).click();
      await page.locator('[data-finding] .notice.bad').filter({ hasText: words }).waitFor();
      assert.equal(await page.locator('[data-finding] li').count(), 0, 'nothing of it is shown');
      await page.unroute('**/api/v1/gateways/*/commands');
    }
  });

  it('are entered by hand where none answers, from the keyboard', async () => {
    camera.stop();
    hostile.stop();
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.getByRole('heading', { name: 'No camera answered' }).waitFor();
    await seen('finding-none');
    await page.getByRole('button', { name: 'Look again' }).focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByLabel('Address', { exact: true }).fill('rtsp://127.0.0.1:9/nobody');
    await page.getByLabel('Name', { exact: true }).fill('Nobody');
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.locator('[data-cause=no_rtsp]').waitFor();
    await seen('finding-by-hand');
  });

  it('did all this without an error of the page', () => {
    assert.deepEqual(problems, []);
    assert.deepEqual(found, []);
  });
});
