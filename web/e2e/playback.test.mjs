// Looking closely at what was recorded: nearer, backward, and all cameras of a wall at one time.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { launch, look, picture, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addPlainCamera, openDemoCamera, setUp, shownTime } from './support/person.mjs';
import { givenLink, isReal, plainCamera, start } from './support/product.mjs';

const MINUTE = 60_000;

describe('playback', { timeout: 900_000, skip: (!isReal || givenLink !== null) && 'the stand-in records nothing meanwhile' }, () => {
  let product, camera, browser, page, problems;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const timeline = () => page.getByRole('slider', { name: 'Recorded time' });
  const stage = () => page.locator('#stage');
  const factor = async () => Number(/scale\(([\d.]+)\)/.exec((await page.locator('#stage canvas').getAttribute('style')) ?? '')?.[1] ?? 1);
  const speed = () => page.getByLabel('Speed').inputValue();
  const paused = () => page.locator('.stage[data-state=paused]').waitFor();
  /** How long what is recorded is, by the timeline. */
  const recorded = () =>
    timeline().evaluate((slider) => {
      const box = slider.getBoundingClientRect();
      const shown = Number(slider.getAttribute('aria-valuemax')) - Number(slider.getAttribute('aria-valuemin'));
      return [...slider.querySelectorAll('.covered')].reduce((sum, path) => sum + path.getBoundingClientRect().width, 0) * (shown / box.width);
    });

  before(async () => {
    [product, camera] = await Promise.all([start(), plainCamera()]);
    browser = await launch();
    ({ page, problems } = await visitor(browser, { hasTouch: true }));
    await setUp(page, product.link);
    await addDemoCamera(page);
    await addPlainCamera(page, camera, 'Yard');
    await openDemoCamera(page);
    await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    await product?.stop();
  });

  it('plays what is recorded, until it is paused', async () => {
    // More than one recording.
    await until('two recordings', async () => (await recorded()) > MINUTE * 1.2, 240_000);
    await timeline().press('Home');
    await until('recorded footage to play', async () => Date.now() - (await shownTime(page)) > MINUTE);
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await paused();
  });

  describe('nearer', () => {
    // Buttons lie over the picture where the pointer is.
    const away = async () => void (await page.mouse.move(1, 1), await page.waitForTimeout(300));
    const box = async () => {
      await stage().scrollIntoViewIfNeeded();
      return stage().boundingBox();
    };

    /** A browser scrolls smoothly. */
    const scrolled = async () => {
      let last = -1;
      await until('the page to stand still', async () => last === (last = await page.evaluate(() => scrollY)));
    };

    it('leaves a wheel to the page, until Ctrl is held', async () => {
      const { x, y, width, height } = await box();
      await away();
      const whole = await picture(page);
      await page.mouse.move(x + width / 4, y + height / 4);
      const top = await page.evaluate(() => scrollY);
      await page.mouse.wheel(0, 60);
      await until('the page to scroll', async () => (await page.evaluate(() => scrollY)) > top);
      await scrolled();
      assert.equal(await factor(), 1);
      await page.evaluate(() => scrollTo(0, 0));
      await page.keyboard.down('Control');
      await page.mouse.wheel(0, -60);
      await page.keyboard.up('Control');
      await until('the picture to come near', async () => (await factor()) > 1.5);
      assert.ok((await picture(page)) !== whole);
      // Near already, the wheel is the picture's; at the whole it is the page's again.
      const before = await factor();
      await page.mouse.wheel(0, -100);
      await until('nearer', async () => (await factor()) > before);
      await until('the whole again', async () => (await page.mouse.wheel(0, 100), (await factor()) === 1));
      await until('the page to scroll again', async () => (await page.waitForTimeout(600), await page.mouse.wheel(0, 60), (await page.evaluate(() => scrollY)) > 0));
      await page.evaluate(() => scrollTo(0, 0));
      await scrolled();
      await away();
      assert.ok((await picture(page)) === whole, 'the whole picture as before');
    });

    it('is moved by a mouse, and toggled by two presses', async () => {
      const { x, y, width, height } = await box();
      await page.mouse.dblclick(x + width / 2, y + height / 2);
      await until('the picture to come near', async () => (await factor()) === 2.5);
      await page.mouse.move(x + 20, y + 20);
      const near = await picture(page);
      await page.mouse.move(x + width / 2, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + width / 2 - 150, y + height / 2 - 90, { steps: 5 });
      await page.mouse.up();
      await page.mouse.move(x + 20, y + 20);
      await until('another part of it', async () => (await picture(page)) !== near);
      await page.mouse.dblclick(x + width / 2, y + height / 2);
      await until('the whole again', async () => (await factor()) === 1);
    });

    it('is pinched and moved by fingers', async () => {
      const cdp = await page.context().newCDPSession(page);
      const touch = (type, ...points) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([id, x, y]) => ({ id, x, y })) });
      const { x, y, width, height } = await box();
      const [cx, cy] = [x + width / 2, y + height / 2];
      await touch('touchStart', [1, cx - 40, cy], [2, cx + 40, cy]);
      for (let step = 1; step <= 8; step += 1) await touch('touchMove', [1, cx - 40 - step * 10, cy], [2, cx + 40 + step * 10, cy]);
      await touch('touchEnd');
      await until('the picture to come near', async () => Math.abs((await factor()) - 3) < 0.2);
      const near = await picture(page);
      await touch('touchStart', [1, cx, cy]);
      for (let step = 1; step <= 5; step += 1) await touch('touchMove', [1, cx - step * 20, cy - step * 10]);
      await touch('touchEnd');
      await until('another part of it', async () => (await picture(page)) !== near);
    });

    it('saves the whole picture all the same', async () => {
      assert.ok((await factor()) > 1);
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Snapshot' }).click()]);
      const png = await readFile(await download.path());
      const size = [png.readUInt32BE(16), png.readUInt32BE(20)];
      assert.deepEqual(size, await page.locator('#stage canvas').evaluate(({ width, height }) => [width, height]));
    });

    it('obeys keys and buttons, as far as eight times', async () => {
      await seen('camera-near');
      await page.getByRole('button', { name: /^Zoom .*whole picture/ }).click();
      assert.equal(await factor(), 1);
      await until('eight times', async () => (await page.keyboard.press('+'), (await factor()) === 8));
      await page.keyboard.press('+');
      assert.equal(await factor(), 8);
      const near = await picture(page);
      await page.keyboard.press('ArrowRight');
      await until('another part of it', async () => (await picture(page)) !== near);
      await page.keyboard.press('-');
      assert.ok((await factor()) < 8);
      // The timeline's own keys stay its own.
      const before = await factor();
      await timeline().press('+');
      assert.equal(await factor(), before);
      await page.getByRole('button', { name: 'Nearer' }).focus();
      await page.keyboard.press('0');
      await until('the whole again', async () => (await factor()) === 1);
    });
  });

  describe('backward', () => {
    const falls = async (what) => {
      // Pictures that were shown before the Worker was told may still be on their way to the page.
      const sent = await shownTime(page);
      let last = sent;
      await until(`${what}: a first picture`, async () => {
        const before = last;
        last = await shownTime(page);
        assert.ok(last <= sent + 500, `${last} after ${sent}`);
        return last < before;
      });
      const first = last;
      await until(what, async () => {
        const at = await shownTime(page);
        assert.ok(at <= last, `${at} after ${last}`);
        last = at;
        return at < first - 1500;
      });
    };

    it('plays each picture before the one that is shown, and the same ones as forward', async () => {
      await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
      await timeline().press('End');
      await timeline().press('PageDown');
      await until('a picture', async () => (await stage().getAttribute('data-state')) === 'paused');
      await page.getByRole('button', { name: 'Play', exact: true }).focus();
      await page.keyboard.press('j');
      assert.equal(await speed(), '-1');
      await falls('time to go backward');
      await page.keyboard.press('k');
      await paused();
      await page.waitForTimeout(300);
      const at = await shownTime(page);
      const shown = await picture(page);
      await page.keyboard.press(',');
      await until('the picture before', async () => (await shownTime(page)) < at);
      assert.ok(at - (await shownTime(page)) < 500);
      await page.keyboard.press('.');
      await until('the same time', async () => (await shownTime(page)) === at);
      assert.ok((await picture(page)) === shown, 'the same picture as forward');
      await seen('camera-backward');
    });

    it('turns, and goes faster when it is told again', async () => {
      await page.getByRole('button', { name: 'Play', exact: true }).focus();
      await page.keyboard.press('l');
      assert.equal(await speed(), '1');
      const from = await shownTime(page);
      await until('time to go forward', async () => (await shownTime(page)) > from + 500);
      await page.keyboard.press('j');
      assert.equal(await speed(), '-1');
      await page.keyboard.press('j');
      assert.equal(await speed(), '-2');
      await falls('time to go backward');
      await page.keyboard.press('l');
      await page.keyboard.press('l');
      await page.keyboard.press('l');
      assert.equal(await speed(), '4');
    });

    it('reaches the beginning of all that is recorded, from one recording to the one before', async () => {
      await timeline().press('End');
      await page.getByLabel('Speed').selectOption('-16');
      await until('the beginning', async () => (await page.getByText('This is the beginning of what is recorded.').count()) > 0, 120_000);
      const first = await shownTime(page);
      await timeline().press('Home');
      await until('forward from the beginning', async () => (await speed()) === '-16');
      const start = Number(await timeline().getAttribute('aria-valuenow'));
      // From key frame to key frame, at this speed.
      assert.ok(first - start < 5000, `${first - start} ms after the beginning`);
    });
  });

  describe('a wall at one time', () => {
    const tile = (name) => page.locator('.tile').filter({ hasText: name });
    const state = (wanted) => page.locator(`.controls[data-state=${wanted}]`).waitFor();
    const time = async () => Date.parse(await page.locator('.controls time').getAttribute('datetime'));
    /** What the Worker says of each, and the time of all, in one moment. */
    const reported = () =>
      page.evaluate(() => {
        const tiles = [...document.querySelectorAll('.tile')].map(({ dataset }) => ({ at: Number(dataset.at ?? NaN), late: dataset.late === undefined ? null : Number(dataset.late) }));
        return { at: Date.parse(document.querySelector('.controls time').dateTime), tiles };
      });
    const pictures = async () => [await picture(page, '[data-camera]:nth-child(1) canvas:not(.still)'), await picture(page, '[data-camera]:nth-child(2) canvas:not(.still)')];
    /** Cameras send ten pictures a second or more. */
    const INTERVAL_MS = 120;
    const due = async () => {
      const { at, tiles } = await reported();
      return tiles.every((each) => each.at <= at && at - each.at < INTERVAL_MS);
    };
    /** A time of which both have footage: what was closed last may be of one alone. */
    let ofBoth;

    it('shows all cameras at the same time', async () => {
      await page.getByRole('navigation').getByRole('link', { name: 'Wall', exact: true }).click();
      await page.getByRole('button', { name: 'Recorded', exact: true }).click();
      await state('paused');
      assert.match(page.url(), /\?at=/);
      await page.getByLabel('Shown time').selectOption({ label: '10 minutes' });
      await until('footage of all', () => page.locator('.timeline .covered').count());
      await timeline().press('End');
      await until('it to be said', async () => (await page.locator('.tile .said').filter({ hasText: 'Nothing recorded' }).count()) === 2);
      const covered = await page.locator('.timeline .covered').last().boundingBox();
      await page.mouse.click(covered.x + covered.width * 0.6, covered.y + covered.height / 2);
      await state('paused');
      await until('what is due then', due);
      await seen('wall-past');
    });

    it('plays them by one clock', async () => {
      const before = await pictures();
      const from = (ofBoth = await time());
      await page.getByRole('button', { name: 'Play', exact: true }).click();
      await state('playing');
      const worst = [];
      await until('time to pass', async () => {
        const { at, tiles } = await reported();
        worst.push(Math.abs(tiles[0].at - tiles[1].at));
        for (const { late } of tiles) assert.ok(late === null || late < 50, `${late} ms late`);
        return at > from + 3000 && tiles.every(({ late }) => late !== null);
      });
      worst.sort((a, b) => a - b);
      console.log(`between two cameras, by what was reported: ${worst[Math.floor(worst.length / 2)]} ms (p50) of ${worst.length}`);
      await page.getByRole('button', { name: 'Pause', exact: true }).click();
      await state('paused');
      await until('what is due then', due);
      const afterwards = await pictures();
      for (const n of [0, 1]) assert.ok(afterwards[n] !== before[n], 'another picture');
    });

    it('goes faster, and says who has nothing', async () => {
      await page.getByLabel('Speed').selectOption('4');
      const from = await time();
      await page.getByRole('button', { name: 'Play', exact: true }).click();
      await until('time to pass quickly', async () => (await time()) > from + 4000);
      await page.getByRole('button', { name: 'Pause', exact: true }).click();
      await page.getByLabel('Speed').selectOption('1');
      // The other one was added later.
      await timeline().press('Home');
      await tile('Yard').getByText('Nothing recorded at this time').waitFor();
      await until('the first to have something', async () => (await tile('Demo camera').getAttribute('data-state')) === 'playing');
      assert.equal(await tile('Yard').locator('canvas:not(.still)').isVisible(), false, 'no picture of another time');
      await seen('wall-past-nothing');
    });

    it('enlarges one, which rests the others, and brings them back', async () => {
      const [from, to] = await Promise.all(['aria-valuemin', 'aria-valuemax'].map(async (name) => Number(await timeline().getAttribute(name))));
      const { x, width, y, height } = await page.locator('.timeline .band').boundingBox();
      await page.mouse.click(x + (width * (ofBoth - from)) / (to - from), y + height / 2);
      await state('paused');
      await page.getByRole('button', { name: 'Enlarge Yard' }).click();
      await until('the other to rest', async () => (await tile('Demo camera').getAttribute('data-rendition')) === null);
      await page.keyboard.press('+');
      await until('it to come near', async () => /scale/.test((await tile('Yard').locator('canvas:not(.still)').getAttribute('style')) ?? ''));
      await page.keyboard.press('Escape');
      await until('the same time again', due);
    });

    it('keeps the time in its address, and goes back to live', async () => {
      const at = await time();
      assert.equal(new URL(page.url()).searchParams.get('at'), new Date(at).toISOString());
      await page.reload();
      await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
      await state('paused');
      assert.equal(await time(), at);
      await page.getByRole('button', { name: 'Back to live' }).click();
      await until('live pictures', async () => (await page.locator('.tile[data-rendition]').count()) === 2);
      assert.equal(new URL(page.url()).search, '');
      assert.equal(await timeline().count(), 0);
    });
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
