// Moving a camera that can be moved: by the pad, by keys, and to what it remembers. What moves is looked at in its picture.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

describe('moving a camera', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no camera that moves' }, () => {
  let product, browser, page, problems, plain, cdp;
  const found = [];
  const orders = [];
  const panel = () => page.getByRole('region', { name: 'Move the camera' });
  const pad = () => panel().getByRole('application');
  const moves = (from) => orders.slice(from).map(({ type }) => type);

  before(async () => {
    product = await start();
    browser = await launch();
    // So high that picture and pad are seen at once, as the test looks at both.
    ({ page, problems, cdp } = await visitor(browser, { viewport: { width: 1280, height: 1400 } }));
    plain = await (await browser.newContext()).newPage();
    page.on('request', (request) => {
      if (!request.url().endsWith('/ptz/orders')) return;
      const { envelope } = JSON.parse(request.postData());
      orders.push(JSON.parse(Buffer.from(envelope.payload, 'base64')).movement);
    });
    await setUp(page, product.link);
    await addDemoCamera(page);
    await openDemoCamera(page);
    await page.locator('.stage .live').waitFor();
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  /** How much of the picture's left half is the wall of the house, which stands there when the camera looks straight ahead. */
  async function house() {
    const shot = (await page.locator('#stage canvas').screenshot()).toString('base64');
    return plain.evaluate(async (data) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 90 });
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0, 160, 90);
      const { data: pixels } = context.getImageData(16, 18, 64, 40);
      let wall = 0;
      for (let at = 0; at < pixels.length; at += 4) wall += pixels[at] > pixels[at + 2] + 20;
      return wall / (pixels.length / 4);
    }, shot);
  }

  it('is offered where the camera can be moved', async () => {
    const button = page.getByRole('button', { name: 'Move', exact: true });
    await button.waitFor();
    await button.click();
    await panel().waitFor();
    assert.equal(await button.getAttribute('aria-expanded'), 'true');
    assert.deepEqual(orders, [], 'nothing has moved yet');
    await until('the house', async () => (await house()) > 0.4);
  });

  it('moves while the pad is held, and stops when it is let go', async () => {
    const box = await pad().boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + box.width * 0.45, y, { steps: 4 });
    try {
      await until('the house to leave the picture', async () => (await house()) < 0.15);
    } finally {
      await page.mouse.up();
    }
    found.push(...(await look(page, 'ptz')));
    await until('the stop', () => moves(0).at(-1) === 'stop');
    const right = orders.filter(({ type, pan, tilt }) => type === 'move' && pan > 0 && tilt === 0);
    assert.ok(right.length >= 2, `ordered again and again: ${JSON.stringify(orders)}`);
  });

  it('goes home, and to what it remembers', async () => {
    await panel().getByRole('button', { name: 'Home position' }).click();
    await until('the house', async () => (await house()) > 0.4);
    await panel().getByRole('combobox').selectOption({ label: 'Gate' });
    await panel().getByRole('button', { name: 'Go to it' }).click();
    await until('something else than the house', async () => (await house()) < 0.15);
  });

  it('is moved by keys as well', async () => {
    await panel().getByRole('button', { name: 'Home position' }).click();
    await until('the house', async () => (await house()) > 0.4);
    const from = orders.length;
    await pad().focus();
    await page.keyboard.down('ArrowRight');
    await until('several orders', () => moves(from).filter((type) => type === 'move').length >= 2);
    await page.keyboard.up('ArrowRight');
    await until('the stop', () => moves(from).at(-1) === 'stop');
    const nearer = panel().getByRole('button', { name: 'Move nearer' });
    await nearer.focus();
    await page.keyboard.down('Enter');
    await until('it comes nearer', () => orders.at(-1).zoom > 0);
    await page.keyboard.up('Enter');
    await until('the stop', () => orders.at(-1).type === 'stop');
  });

  it('remembers a position under a name, whatever the name, and forgets it', async () => {
    await panel().getByRole('button', { name: 'Remember this position' }).click();
    await panel().getByLabel('Name of the position').fill('<img src=x onerror=alert(1)>');
    await panel().getByRole('button', { name: 'Save' }).click();
    await panel().getByRole('combobox').selectOption({ label: '<img src=x onerror=alert(1)>' });
    assert.equal(await panel().locator('img').count(), 0);
    await panel().getByRole('button', { name: 'Forget it' }).click();
    await until('it is forgotten', async () => {
      const said = await panel().getByRole('alert').allTextContents();
      assert.equal(said.join(''), '');
      return !(await panel().getByRole('combobox').textContent()).includes('onerror');
    });
  });

  it('stops where the page loses the focus, and opens another session where the old one is over', async () => {
    const from = orders.length;
    let refusals = 0;
    await page.route('**/ptz/orders', async (route) => {
      if (refusals++ > 0) return route.fallback();
      const error = { code: 'ptz_over', message: 'over', remedy: 'again' };
      return route.fulfill({ status: 409, json: { error } });
    });
    await pad().focus();
    await page.keyboard.down('ArrowLeft');
    await until('it moves in another session', () => refusals >= 3);
    await page.evaluate(() => window.dispatchEvent(new Event('blur')));
    await until('the stop', () => moves(from).at(-1) === 'stop');
    await page.keyboard.up('ArrowLeft');
    await page.unroute('**/ptz/orders');
    assert.equal((await panel().getByRole('alert').allTextContents()).join(''), '');
  });

  /** Holds the pad with a finger, which takes no focus that could be lost, and does something that takes the pad away. */
  async function holdWhile(act) {
    const from = orders.length;
    const box = await pad().boundingBox();
    // By the session that has the authenticator: another one would take it along when it ends.
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: box.x + box.width * 0.8, y: box.y + box.height / 2 }] });
    await until('it moves', () => moves(from).length >= 2);
    await act();
    await until('the stop', () => moves(from).at(-1) === 'stop');
    // Twice as long as from one order to the next.
    await page.waitForTimeout(800);
    assert.equal(moves(from).at(-1), 'stop', 'it does not go on');
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    assert.equal(moves(from).filter((type) => type === 'stop').length, 1);
  }

  it('stops when the panel is closed while it is held', async () => {
    await page.getByRole('button', { name: 'Move', exact: true }).focus();
    await holdWhile(async () => {
      await page.keyboard.press('m');
      await panel().waitFor({ state: 'detached' });
    });
    await page.getByRole('button', { name: 'Move', exact: true }).click();
    await panel().waitFor();
  });

  it('stops when somebody leaves the page while it is held, and is not moved by another mouse button', async () => {
    const from = orders.length;
    const box = await pad().boundingBox();
    await page.mouse.move(box.x + box.width * 0.8, box.y + box.height / 2);
    await page.mouse.down({ button: 'right' });
    await page.waitForTimeout(500);
    await page.mouse.up({ button: 'right' });
    assert.deepEqual(moves(from), []);
    await holdWhile(() => page.evaluate(() => document.querySelector('a[href="/events"]').click()));
    await page.goBack();
    await page.locator('.stage .live').waitFor();
    await page.getByRole('button', { name: 'Move', exact: true }).click();
    await panel().waitFor();
  });

  it('shows nothing that the gateway did not sign', async () => {
    await page.route('**/api/v1/cameras/*/ptz', async (route) => {
      const response = await route.fetch();
      const answer = await response.json();
      const session = JSON.parse(Buffer.from(answer.envelope.payload, 'base64'));
      session.presets[0].name = 'The door, honestly';
      answer.envelope.payload = Buffer.from(JSON.stringify(session)).toString('base64');
      await route.fulfill({ response, json: answer });
    });
    await page.reload();
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.locator('.stage .live').waitFor();
    await page.waitForTimeout(2000);
    assert.equal(await page.getByRole('button', { name: 'Move', exact: true }).count(), 0);
    await page.unroute('**/api/v1/cameras/*/ptz');
  });

  it('stands in the history', async () => {
    await page.getByRole('link', { name: 'History' }).first().click();
    // A choice of the filter has the same words.
    await page.getByText('changed the positions of').locator('visible=true').first().waitFor();
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
