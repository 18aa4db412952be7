// Footage taken out in the app: what arrives on the disk, whether others can verify it, and what is left when it does not come to an end.
// The browser's dialogues for files cannot be used without a person: they hand out places of the browser's own file system here.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, addPlainCamera, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, plainCamera, start } from './support/product.mjs';

/** What a camera's name must not do to a file's. */
const HOSTILE = '../Yard\u202Egnp\\.:x';

function chosen() {
  const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true });
  globalThis.showDirectoryPicker = folder;
  globalThis.showSaveFilePicker = async ({ suggestedName }) => (await folder()).getFileHandle(suggestedName, { create: true });
}

/** The same packets at the same times. The command line's layout rounds where a track begins to a millisecond (its edit list); nothing else may differ. */
function samePackets(ours, theirs, stream) {
  const read = (packets) => packets.map((packet) => packet.split(',')).map(([pts, dts, ...rest]) => ({ pts: Number(pts), dts: Number(dts), rest: rest.join() }));
  const [a, b] = [read(ours), read(theirs)];
  assert.equal(a.length, b.length, stream);
  const shift = a[0].pts - b[0].pts;
  assert.ok(Math.abs(shift) <= 0.001, `${stream} begins ${shift} s later`);
  for (const [n, { pts, dts, rest }] of a.entries()) {
    const isThere = Math.abs(pts - shift - b[n].pts) < 1e-5 && Math.abs(dts - shift - b[n].dts) < 1e-5;
    assert.ok(isThere && rest === b[n].rest, `${stream} ${n}: ${ours[n]} and ${theirs[n]}`);
  }
}

describe('an export', { timeout: 400_000, skip: (!isReal || givenLink !== null) && 'the stand-in takes no orders' }, () => {
  let product, camera, browser, page, context, cdp, problems, out, began, gatewayKey;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const panel = () => page.getByRole('region', { name: /^(Export|Share)$/ });
  const button = (name) => panel().getByRole('button', { name, exact: true });
  const done = () => button('Done').waitFor();
  const recordings = /\/api\/v1\/recordings\//;

  /** Names and sizes of what lies in the place that was chosen. */
  const files = () =>
    page.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true });
      const all = [];
      for await (const [name, handle] of folder) all.push({ name, size: (await handle.getFile()).size });
      return all.sort((a, b) => a.name.localeCompare(b.name));
    });
  async function fetched(name) {
    const text = await page.evaluate(async (wanted) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen');
      const bytes = new Uint8Array(await (await (await folder.getFileHandle(wanted)).getFile()).arrayBuffer());
      let text = '';
      for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
      return btoa(text);
    }, name);
    const path = join(out, name);
    await writeFile(path, Buffer.from(text, 'base64'));
    return path;
  }
  const clear = () => page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry('chosen', { recursive: true }));
  const probe = (path) => JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'format=duration:stream=codec_type,codec_name,width', '-of', 'json', path], { encoding: 'utf8' }));
  const verify = (proof, key, film) => execFileSync(process.env.LENSKEEP_BIN, ['verify', '--gateway-key', key, '--out', film, proof], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  /** When each picture, or each piece of sound, is shown, and its size. */
  const packets = (path, stream) => execFileSync('ffprobe', ['-v', 'error', '-select_streams', stream, '-show_entries', 'packet=pts_time,dts_time,size,flags', '-of', 'csv=p=0', path], { encoding: 'utf8', maxBuffer: 1 << 26 }).trim().split('\n');

  const range = async () => {
    const value = async (name) => Number(await page.getByRole('slider', { name }).getAttribute('aria-valuenow'));
    return { from: await value('Start of the export'), to: await value('End of the export') };
  };
  /** Ends of the range by the fields, as the page's zone spells them. */
  async function setRange(from, to) {
    const spelt = (at) => new Date(at).toLocaleString('sv-SE', { timeZone: 'Europe/Berlin' }).replace(' ', 'T');
    await panel().getByLabel('From', { exact: true }).fill(spelt(from));
    await panel().getByLabel('To', { exact: true }).fill(spelt(to));
  }

  before(async () => {
    out = await mkdtemp(join(tmpdir(), 'lenskeep-export-'));
    [product, camera] = await Promise.all([start(), plainCamera()]);
    browser = await launch();
    ({ page, context, cdp, problems } = await visitor(browser));
    await context.addInitScript(chosen);
    await setUp(page, product.link);
    await addDemoCamera(page);
    await addPlainCamera(page, camera, HOSTILE);
    began = Date.now() + 5000;
    await openDemoCamera(page);
    // A recording appears when it is closed.
    await until('a minute of both cameras', () => Date.now() > began + 80_000, 100_000);
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    await product?.stop();
    await rm(out, { recursive: true, force: true });
  });

  it('has a range that keys and the mouse set on the timeline', async () => {
    await page.getByRole('button', { name: 'Pause', exact: true }).focus();
    await page.keyboard.press('e');
    await panel().waitFor();
    const first = await range();
    assert.equal(first.to - first.from, 60_000, 'a minute');
    await page.getByRole('slider', { name: 'Start of the export' }).focus();
    await page.keyboard.press('ArrowRight');
    assert.equal((await range()).from, first.from + 1000);
    await page.keyboard.press('Shift+ArrowLeft');
    assert.equal((await range()).from, first.from - 59_000);
    const handle = await page.getByRole('slider', { name: 'End of the export' }).boundingBox();
    await page.mouse.move(handle.x + 6, handle.y + 10);
    await page.mouse.down();
    await page.mouse.move(handle.x - 14, handle.y + 10, { steps: 4 });
    await page.mouse.up();
    assert.ok((await range()).to < first.to - 20_000, 'dragged');
    await page.getByRole('button', { name: 'Play', exact: true }).or(page.getByRole('button', { name: 'Pause', exact: true })).focus();
    await page.keyboard.press('o');
    assert.ok(Math.abs((await range()).to - Date.now()) < 5000, 'the end at the playhead');
    await page.keyboard.press('e');
    assert.equal(await panel().count(), 0);
  });

  it('writes a film and a proof that others verify', async () => {
    await page.getByRole('button', { name: 'Export' }).click();
    await setRange(began, began + 20_000);
    await panel().getByLabel('With a proof file').check();
    await panel().getByLabel('Reason (optional)').fill('A parcel is missing');
    await panel().getByText(/about \d+ [kM]B/).waitFor();
    await seen('export-panel');
    await button('Export').click();
    await done();
    await seen('export-done');
    const written = await files();
    assert.deepEqual(written.map(({ name }) => name.replace(/^Demo camera \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d/, 'NAME')), ['NAME.lkproof', 'NAME.mp4']);
    const [proof, film] = await Promise.all(written.map(({ name }) => fetched(name)));
    const { format, streams } = probe(film);
    // From the key frame before it: at most one group of pictures more.
    assert.ok(Number(format.duration) >= 19.5 && Number(format.duration) <= 26, `${format.duration} s`);
    assert.ok(streams.some(({ codec_type }) => codec_type === 'video'));
    assert.ok(streams.some(({ codec_type }) => codec_type === 'audio'), 'with sound');
    const key = (await panel().locator('.copy code').first().textContent()).trim();
    gatewayKey = key;
    const proven = join(out, 'proven.mp4');
    assert.match(verify(proof, key, proven), /genuine {2}part 1 of/);
    // By another writer, from the proof alone.
    for (const stream of ['v:0', 'a:0']) samePackets(packets(film, stream), packets(proven, stream), stream);
    execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', film, '-f', 'null', '-']);
    const altered = await readFile(proof);
    altered[altered.length >> 1] ^= 1;
    await writeFile(join(out, 'altered.lkproof'), altered);
    assert.throws(() => verify(join(out, 'altered.lkproof'), key, join(out, 'altered.mp4')));
    await button('Done').click();
    await clear();
  });

  it('takes several cameras, without sound, under names that lead nowhere else', async () => {
    await setRange(began, began + 10_000);
    await panel().getByLabel('With a proof file').uncheck();
    await panel().getByLabel('With sound').uncheck();
    await panel().getByLabel(HOSTILE).check();
    await panel().getByLabel('Stream').selectOption('sub');
    await button('Export').click();
    await done();
    const names = (await files()).map(({ name }) => name);
    assert.equal(names.length, 2, names.join());
    assert.ok(names.some((name) => /^___Yard_gnp___x \d/.test(name)), names.join());
    for (const name of names) {
      const { streams } = probe(await fetched(name));
      assert.deepEqual(streams.map(({ codec_type }) => codec_type), ['video'], name);
    }
    await button('Done').click();
    await clear();
    await panel().getByLabel(HOSTILE).uncheck();
  });

  it('stops at once when it is cancelled, and leaves nothing behind', async () => {
    await context.route(recordings, () => {}); // Never answered.
    await button('Export').click();
    await button('Cancel').waitFor();
    await panel().getByText(/ read/).waitFor();
    await seen('export-running');
    const before = Date.now();
    await button('Cancel').click();
    await panel().getByText('The export was cancelled. What was not whole was taken back.').waitFor();
    assert.ok(Date.now() - before < 1000, `${Date.now() - before} ms`);
    assert.deepEqual(await files(), []);
    await context.unroute(recordings);
    await button('Done').click();
  });

  it('goes on when the connection comes back', async () => {
    let refused = 0;
    await context.route(recordings, (route) => ((refused += 1) <= 3 ? route.abort('connectionreset') : route.continue()));
    await button('Export').click();
    await done();
    await context.unroute(recordings);
    assert.ok(refused > 3);
    const [film] = await files();
    assert.ok(Number(probe(await fetched(film.name)).format.duration) > 9);
    await button('Done').click();
    await clear();
  });

  it('says in words that the disk is full, and leaves nothing behind', async () => {
    const { origin } = new URL(page.url());
    const { usage } = await page.evaluate(() => navigator.storage.estimate());
    await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + 60_000 });
    await panel().getByLabel('Stream').selectOption('main');
    await button('Export').click();
    await panel().getByText(/^There is no more room for /).waitFor();
    await cdp.send('Storage.overrideQuotaForOrigin', { origin });
    assert.deepEqual(await files(), []);
    await button('Done').click();
  });

  it('is downloaded where the browser lets nobody choose a place', async () => {
    await page.evaluate(() => (delete globalThis.showDirectoryPicker, delete globalThis.showSaveFilePicker));
    const download = page.waitForEvent('download');
    await button('Export').click();
    const path = await (await download).path();
    assert.ok(Number(probe(path).format.duration) > 9);
    await button('Done').click();
    const left = () => page.evaluate(async () => { let count = 0; for await (const _ of await (await navigator.storage.getDirectory()).getDirectoryHandle('exports')) count += 1; return count; });
    await until('what was kept for it to be gone', async () => (await left()) === 0);
  });

  describe('shared by a link', () => {
    let link, guest, asked;
    const NOTE = 'For you: <img src=x onerror="globalThis.pwned = 1">';
    const show = () => guest.page.getByRole('button', { name: 'Show the footage' }).click();
    const share = async (from, to, openings) => {
      await page.getByRole('button', { name: 'Share', exact: true }).click();
      await setRange(from, to);
      await panel().getByLabel('It can be opened').selectOption(openings);
      await panel().getByLabel('Message (optional)').fill(NOTE);
    };
    const made = async () => {
      await button('Make a link').click();
      await done();
      return (await panel().locator('.copy code').first().textContent()).trim();
    };
    /** Somebody without an account, who has a browser. */
    async function visit(url, options) {
      await guest?.context.close();
      guest = await visitor(browser, options);
      asked = [];
      guest.page.on('request', (request) => asked.push(request));
      await guest.page.goto(url);
    }
    after(() => guest?.context.close());

    it('is made on the page of a camera, once', async () => {
      await openDemoCamera(page);
      await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
      await share(began, began + 10_000, '3 times');
      await panel().getByLabel('With a proof file').check();
      await seen('share-panel');
      link = await made();
      assert.match(link, /^https?:\/\/[^/]+\/s\/shr_[0-9a-f]{32}#[A-Za-z0-9_-]{43}$/);
      await seen('share-done');
      await button('Done').click();
      assert.equal(await page.getByText(link).count(), 0);
    });

    it('opens for whoever has it, without an account, and counts once', async () => {
      await visit(link);
      await guest.page.getByRole('heading', { name: 'Somebody shared footage with you' }).waitFor();
      found.push(...(await look(guest.page, 'shared-before')));
      assert.ok(!asked.some((request) => request.url().includes('/api/')), 'nothing is asked before the press of the button');
      await show();
      const video = guest.page.locator('video');
      await video.waitFor();
      await until('the film to play', () => video.evaluate(({ currentTime, videoWidth }) => currentTime > 0.3 && videoWidth > 0));
      const length = await video.evaluate(({ duration }) => duration);
      assert.ok(length >= 9.5 && length <= 16, `${length} s`);
      await guest.page.getByText('can be opened 2 more times').waitFor();
      found.push(...(await look(guest.page, 'shared')));
      assert.equal(await guest.page.locator('blockquote').innerText(), NOTE);
      assert.equal(await guest.page.locator('blockquote img').count(), 0);
      const key = new URL(link).hash.slice(1);
      for (const request of asked) assert.ok(!`${request.url()} ${JSON.stringify(request.headers())} ${request.postData()}`.includes(key), request.url());
      assert.deepEqual(await guest.context.cookies(), []);
      await guest.page.reload();
      await show();
      await guest.page.getByText('can be opened 2 more times').waitFor();
    });

    it('is saved, with a proof that others verify', async () => {
      const saved = async (name) => {
        const [download] = await Promise.all([guest.page.waitForEvent('download'), guest.page.getByText(name).click()]);
        const path = join(out, download.suggestedFilename());
        await download.saveAs(path);
        return path;
      };
      const [film, proof] = [await saved('Save the film'), await saved('Save the proof')];
      const { streams } = probe(film);
      assert.deepEqual(streams.map(({ codec_type }) => codec_type).sort(), ['audio', 'video']);
      execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', film, '-f', 'null', '-']);
      assert.match(verify(proof, gatewayKey, join(out, 'shared.mp4')), /genuine {2}part 1 of/);
      assert.deepEqual(guest.problems, []);
    });

    it('shows nothing without the part behind the #, nor what was altered on the way', async () => {
      await visit(link.split('#')[0]);
      await guest.page.getByRole('heading', { name: 'This link is not whole' }).waitFor();
      await visit(`${link.slice(0, -43)}${'A'.repeat(43)}`);
      await show();
      await guest.page.getByText('The link is not valid').waitFor();
      await visit(link);
      const ofFilms = /\/files\/[1-9]\d*\/pieces\/0$/;
      await guest.context.route(ofFilms, async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        body[body.length >> 1] ^= 1;
        await route.fulfill({ response, body });
      });
      await show();
      await guest.page.getByText('was altered on the way').waitFor();
      assert.equal(await guest.page.locator('video').count(), 0);
      await guest.context.unroute(ofFilms);
      await guest.page.getByRole('button', { name: 'Try again' }).click();
      await guest.page.locator('video').waitFor();
    });

    it('goes on when the connection comes back', async () => {
      await visit(link);
      let refused = 0;
      await guest.context.route(/\/pieces\/0$/, (route) => ((refused += 1) <= 2 ? route.abort('connectionreset') : route.continue()));
      await guest.page.getByRole('button', { name: 'Show the footage' }).click();
      await guest.page.locator('video').waitFor();
      assert.ok(refused > 2);
    });

    it('opens nothing once it was opened as often as it may be, or is withdrawn', async () => {
      await visit(link);
      await show();
      await guest.page.getByText('The link was opened as often as it may be.').waitFor();
      await page.getByRole('navigation').getByRole('link', { name: 'Links', exact: true }).click();
      await page.getByText('1 that have ended').click();
      await page.getByText('used up, opened 3 of 3 times').waitFor();
      await openDemoCamera(page);
      await share(began, began + 5000, 'any number of times');
      const other = await made();
      await button('Done').click();
      await visit(other, { viewport: { width: 390, height: 844 } });
      await show();
      await guest.page.locator('video').waitFor();
      await page.getByRole('navigation').getByRole('link', { name: 'Links', exact: true }).click();
      await page.getByText('opened once').waitFor();
      await seen('links');
      await page.getByRole('button', { name: /^Withdraw the link to Demo camera/ }).click();
      await page.getByText('2 that have ended').waitFor();
      // Whoever has it open loads it again: what was fetched is gone with the page.
      await guest.page.reload();
      await show();
      await guest.page.getByText('The link was withdrawn.').waitFor();
    });

    it('takes back what it sent when it is cancelled', async () => {
      await openDemoCamera(page);
      await share(began, began + 5000, 'once');
      // All but the description has come by then.
      const description = /\/files\/0\/pieces\/0$/;
      let sent = 0;
      await context.route(/\/files\/[1-9]\d*\/pieces\/\d+$/, (route) => ((sent += 1), route.continue()));
      const wanted = page.waitForRequest(description);
      await context.route(description, () => {});
      await button('Make a link').click();
      await wanted;
      assert.ok(sent > 0);
      await button('Cancel').click();
      await panel().getByText('The export was cancelled').waitFor();
      await context.unroute(description);
      assert.equal(await panel().getByText('.mp4').count(), 0, 'nothing is said to be there');
      await button('Done').click();
      await page.getByRole('navigation').getByRole('link', { name: 'Links', exact: true }).click();
      await page.getByText('3 that have ended').waitFor();
      assert.equal(await page.getByRole('button', { name: /^Withdraw/ }).count(), 0);
    });
  });

  it('stands in the history, with a signature', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'History', exact: true }).click();
    const entry = page.locator('details').filter({ has: page.locator('summary', { hasText: 'took footage out' }) });
    await entry.first().waitFor();
    // By the second one, two cameras were exported, each with an order of its own.
    assert.ok((await entry.count()) >= 3);
    await entry.first().locator('summary').click();
    await entry.first().getByText('Signature').waitFor();
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
