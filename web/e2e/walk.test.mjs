// The whole way of a first user: from the printed link to live and recorded pictures, out, and in again.
// Against LENSKEEP_SETUP_LINK, the binary LENSKEEP_BIN, or the stand-in.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { launch, look, picture, until, visitor } from './support/browser.mjs';
import { addDemoCamera, liveMoves, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { encryptedCamera, isReal, start } from './support/product.mjs';

describe('the walk with a passkey that has PRF', { timeout: 600_000 }, () => {
  let product, browser, page, problems;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const timeline = () => page.getByRole('slider', { name: 'Recorded time' });
  const pause = async () => {
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
  };

  before(async () => {
    product = await start();
    browser = await launch();
    ({ page, problems } = await visitor(browser));
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  it('sets up an organisation, with recovery sheet and passkey, and lets the built-in gateway in', async () => {
    await setUp(page, product.link, { seen });
  });

  it('adds the demo camera after a test and shows its picture in the list', async () => {
    await addDemoCamera(page);
    await until('the picture in the list', () => page.locator('.tile canvas:not(.blank)').count());
    await seen('cameras');
  });

  it('shows the picture moving live', async () => {
    await openDemoCamera(page);
    await liveMoves(page, picture);
    await seen('camera-live');
  });

  it('shows what is recorded on a timeline and opens it where a person scrubs', async () => {
    // A recording appears when it is closed.
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    await timeline().scrollIntoViewIfNeeded();
    const covered = await page.locator('.timeline .covered').last().boundingBox();
    const y = covered.y + covered.height / 2;
    const goal = covered.x + covered.width * 0.3;
    await page.mouse.move(covered.x + covered.width * 0.8, y);
    await page.mouse.down();
    await page.mouse.move(covered.x + covered.width * 0.5, y, { steps: 6 });
    await page.mouse.move(goal, y, { steps: 6 });
    await page.mouse.up();
    await until('a recorded picture', async () => Date.now() - (await shownTime(page)) > 3000 && (await page.getByRole('button', { name: 'Pause', exact: true }).isVisible()));
    const first = await shownTime(page);
    const shown = await picture(page);
    await until('recorded footage to play', async () => (await shownTime(page)) > first + 700);
    await until('the recorded picture to change', async () => (await picture(page)) !== shown);
    await pause();
    // The stand-in explains no policies, which the page says.
    if (isReal) assert.deepEqual(await page.locator('[role=alert]').filter({ hasText: /\S/ }).allTextContents(), []);
    await seen('camera-recorded');
  });

  it('steps by single pictures and by the keyboard', async () => {
    const at = await shownTime(page);
    await page.getByRole('button', { name: 'One picture forward' }).click();
    await until('the next picture', async () => (await shownTime(page)) > at);
    await page.getByRole('button', { name: 'One picture back' }).click();
    await until('the picture before', async () => (await shownTime(page)) <= at);
    const here = await shownTime(page);
    await timeline().press('ArrowLeft');
    await until('five seconds back', async () => Math.abs(here - 5000 - (await shownTime(page))) < 1500);
    assert.match(await timeline().getAttribute('aria-valuetext'), /\d/);
  });

  it('zooms from a month to single pictures and moves, by wheel, mouse and keyboard', async () => {
    const shown = async () => Number(await timeline().getAttribute('aria-valuemax')) - Number(await timeline().getAttribute('aria-valuemin'));
    const length = page.getByLabel('Shown time');
    // In the document, as the page may scroll. What stands above says more of a view across midnight, and of an odd length.
    const top = () => page.locator('.timeline .band').evaluate((band) => Math.round(band.getBoundingClientRect().top - document.querySelector('section[aria-label=Recorded]').getBoundingClientRect().top));
    const stands = await top();
    await length.selectOption({ label: '30 days' });
    await until('a month of footage', () => page.locator('.timeline .some, .timeline .covered').evaluateAll((all) => all.filter((path) => path.getAttribute('d')).length));
    await seen('timeline-month');
    await length.selectOption({ label: '1 hour' });
    const band = await page.locator('.timeline .band').boundingBox();
    const middle = band.x + band.width / 2;
    await page.mouse.move(middle, band.y + band.height / 2);
    const under = async () => Number(await timeline().getAttribute('aria-valuemin')) + (await shown()) / 2;
    const before = await under();
    await page.mouse.wheel(0, -100);
    await until('less time', async () => (await shown()) < 3_500_000);
    assert.ok(Math.abs((await under()) - before) < 3000, 'what lies under the pointer stays there');
    await until('a few dozen pictures', async () => (await page.mouse.wheel(0, -120), (await shown()) <= 2000));
    assert.match(await page.locator('.timeline .scale').innerText(), /\d:\d\d:\d\d/);
    const from = Number(await timeline().getAttribute('aria-valuemin'));
    await page.mouse.move(middle, band.y + band.height + 8);
    await page.mouse.down();
    await page.mouse.move(middle + 200, band.y + band.height + 8, { steps: 5 });
    await page.mouse.up();
    await until('what is earlier', async () => Number(await timeline().getAttribute('aria-valuemin')) < from - 100);
    await timeline().press('-');
    await until('more time', async () => (await shown()) >= 2900);
    assert.equal(await top(), stands);
    for (const label of ['1 minute', '1 hour', '1 day', '7 days', '30 days']) {
      await length.selectOption({ label });
      await page.getByRole('button', { name: 'Earlier' }).click();
      await page.getByRole('button', { name: 'Show less time' }).click();
      assert.equal(await top(), stands, `the timeline moved at ${label}`);
    }
    await length.selectOption({ label: '10 minutes' });
  });

  it('is moved and pinched by fingers, also when one of them lifts out of turn', async () => {
    const cdp = await page.context().newCDPSession(page);
    const touch = (type, ...points) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([id, x, y]) => ({ id, x, y })) });
    // Both at once: it may be moving.
    const window_ = () => timeline().evaluate((slider) => ({ from: Number(slider.getAttribute('aria-valuemin')), to: Number(slider.getAttribute('aria-valuemax')) }));
    const long = ({ from, to }) => to - from;
    await timeline().scrollIntoViewIfNeeded();
    // Asked for anew each time: what stands above it may have changed.
    const place = async () => {
      const { x, y, width, height } = await page.locator('.timeline .band').boundingBox();
      return [x + width * 0.2, y + height / 2];
    };
    let [left, at] = await place();
    const first = await window_();
    await touch('touchStart', [1, left, at], [2, left + 100, at]);
    await touch('touchMove', [1, left, at], [2, left + 200, at]);
    await until('half the time', async () => Math.abs(long(await window_()) / long(first) - 0.5) < 0.1);
    await touch('touchEnd', [1, left, at], [2, left + 200, at]);
    // One that looks by the cursor's handle, and another beside it that lifts first: it does nothing, and leaves nothing behind.
    await page.getByLabel('Shown time').selectOption({ label: '1 hour' });
    [left, at] = await place();
    const handle = await page.locator('.timeline .cursor').boundingBox();
    await touch('touchStart', [1, handle.x, at], [2, left, at]);
    await touch('touchMove', [1, handle.x - 20, at], [2, left, at]);
    await touch('touchEnd', [2, left, at]);
    await touch('touchEnd', [1, handle.x - 20, at]);
    [left, at] = await place();
    const second = await window_();
    await touch('touchStart', [1, left, at]);
    for (let step = 1; step <= 6; step += 1) await touch('touchMove', [1, left + step * 25, at]);
    await touch('touchEnd', [1, left + 150, at]);
    await until('what is earlier', async () => (await window_()).from < second.from - long(second) * 0.05);
    assert.ok(Math.abs(long(await window_()) - long(second)) < 10, 'it was moved, not zoomed');
    // The session stays: with it would go the passkeys of the page.
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
  });

  it('copies a link to a moment, and opens it there', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.locator('.stage[data-state=paused]').waitFor();
    const at = await shownTime(page);
    await page.getByRole('button', { name: 'Link', exact: true }).click();
    await page.getByRole('button', { name: 'Copied', exact: true }).waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(new URL(link).searchParams.get('at'), new Date(at).toISOString());
    await page.goto(link);
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.getByRole('heading', { name: 'Demo camera' }).waitFor();
    await page.locator('.stage[data-state=paused]').waitFor();
    assert.ok(Math.abs((await shownTime(page)) - at) < 100, 'that moment');
    assert.equal(await page.locator('.stage .live').count(), 0);
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
  });

  it('turns sound on where the camera has it', async () => {
    const button = page.getByRole('button', { name: 'Sound on' });
    if ((await button.count()) === 0) return;
    await button.click();
    await page.getByRole('button', { name: 'Sound off' }).click();
  });

  it('saves a snapshot', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Snapshot' }).click()]);
    assert.match(download.suggestedFilename(), /^Demo camera .*\.png$/);
    const bytes = await readFile(await download.path());
    assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
    assert.ok(bytes.length > 2000, 'the snapshot has a picture in it');
  });

  const orders = { skip: !isReal && 'the stand-in keeps no settings' };
  it('sets what of a camera is forwarded, and marks an event', orders, async () => {
    const set = async (what) => {
      await page.getByLabel('Full-size stream').selectOption({ label: what });
      await page.getByRole('button', { name: 'Set what is forwarded' }).click();
      await page.getByText('The gateway is set.').waitFor();
    };
    await page.getByText('About this camera').click();
    await set('Only what belongs to events');
    await seen('camera-forwarding');
    await page.getByRole('button', { name: 'Mark an event' }).click();
    await page.getByText(/^Marked at /).waitFor();
    await page.getByRole('link', { name: 'Cameras', exact: true }).click();
    await openDemoCamera(page);
    await page.getByText('About this camera').click();
    // The gateway says how it is set.
    await until('what was set', async () => (await page.getByLabel('Full-size stream').inputValue()) === 'events');
    await set('Everything');
  });

  it('sets how fast a gateway sends, by times of the day', orders, async () => {
    await page.getByRole('link', { name: 'Gateways', exact: true }).click();
    await page.getByText('Change', { exact: true }).click();
    // The gateway says how it is set.
    await until('how much it keeps', async () => (await page.getByLabel('Keep at most, GB').inputValue()) === '50');
    await page.getByLabel('Send recordings').selectOption({ label: 'At most …' });
    await page.getByLabel('kbit/s').fill('2000');
    await page.getByRole('button', { name: 'Otherwise at a time of day' }).click();
    await seen('gateway-bandwidth');
    const form = page.locator('form').filter({ hasText: 'Send recordings' });
    await form.getByRole('button', { name: 'Set', exact: true }).click();
    await page.getByText(/^The gateway sends at most 2000 kbit\/s, from .* as fast as it goes\.$/).waitFor();
    await page.getByRole('button', { name: 'Take away part 1 of the day' }).click();
    await page.getByLabel('Send recordings').selectOption({ label: 'As fast as it goes' });
    await form.getByRole('button', { name: 'Set', exact: true }).click();
    await page.getByText('The gateway sends as fast as it goes.').waitFor();
  });

  it('says that all is well where everything records', async () => {
    await page.getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: 'Health', exact: true }).click();
    await page.getByRole('heading', { name: 'All is well' }).waitFor();
    // The stand-in keeps no timelines.
    if (isReal) await page.getByText('What was missing in the last day: the camera was looked at.').waitFor();
    await seen('health');
  });

  it('refuses to add a camera that does not answer, in plain words', async () => {
    await page.getByRole('link', { name: 'Cameras', exact: true }).click();
    await page.getByRole('link', { name: 'Add a camera' }).click();
    await page.getByRole('button', { name: 'Enter an address by hand' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Nobody');
    await page.getByLabel('Address', { exact: true }).fill('rtsp://ada:se:cr@t@127.0.0.1:9/nobody');
    await page.getByLabel('User name of the camera').focus();
    assert.equal(await page.getByLabel('Address', { exact: true }).inputValue(), 'rtsp://127.0.0.1:9/nobody');
    assert.equal(await page.getByLabel('Password of the camera').inputValue(), 'se:cr@t');
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.locator('.notice.bad').waitFor();
    await seen('add-camera');
  });

  it('sends an encrypted camera its password only after a person has trusted its certificate', async () => {
    const camera = await encryptedCamera();
    try {
      await page.getByLabel('Address', { exact: true }).fill(camera.address);
      await page.getByLabel('User name of the camera').fill('viewer');
      await page.getByLabel('Password of the camera').fill('secret');
      await page.getByRole('button', { name: 'Test the connection' }).click();
      await page.getByRole('heading', { name: 'Is this your camera?' }).waitFor();
      const goOn = page.getByRole('button', { name: 'Go on with the test' });
      assert.equal(await goOn.isDisabled(), true);
      await seen('certificate');
      await page.getByLabel('I trust this certificate').check();
      await goOn.click();
      await page.getByRole('heading', { name: 'The camera answers' }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Add the camera' }).isEnabled(), true);
    } finally {
      camera.stop();
    }
  });

  for (const [link, heading] of [['Devices', 'Devices'], ['Gateways', 'Gateways'], ['Security', 'Security']]) {
    it(`shows ${link}`, async () => {
      await page.getByRole('link', { name: link, exact: true }).click();
      await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
      await page.locator('.fingerprint').first().waitFor();
      await seen(link.toLowerCase());
    });
  }

  it('makes an enrolment code for another gateway', async () => {
    await page.getByRole('link', { name: 'Gateways', exact: true }).click();
    await page.getByRole('button', { name: 'Make an enrolment code' }).click();
    // 16 + 32 + 32 bytes in base32.
    await page.getByText(/^LK1-[a-z2-7]{128}$/).waitFor();
    await seen('gateway-code');
    await page.getByRole('button', { name: 'Cancel' }).click();
  });

  it('shows in the history who watched and what was changed', async () => {
    await page.getByRole('link', { name: 'History', exact: true }).click();
    for (const action of ['changed the roster', 'sent a signed command', 'watched live']) await page.locator('td summary', { hasText: action }).first().waitFor();
    await seen('history');
    await page.locator('td summary', { hasText: 'sent a signed command' }).first().click();
    await page.getByText('Signature', { exact: true }).first().waitFor();
    await seen('history-unfolded');
  });

  it('signs out, signs in again, and still opens the footage', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    await seen('sign-in');
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await openDemoCamera(page);
    await liveMoves(page, picture);
    await page.reload();
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.getByRole('heading', { name: 'Demo camera' }).waitFor();
    await liveMoves(page, picture);
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    await timeline().press('Home');
    await until('recorded footage to play', async () => Date.now() - (await shownTime(page)) > 10_000 && (await page.getByRole('button', { name: 'Pause', exact: true }).isVisible()));
  });

  it('is installable', async () => {
    const session = await page.context().newCDPSession(page);
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
    // Headless browsers of tests are "incognito", which is no fault of the app.
    assert.deepEqual(installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito'), []);
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
