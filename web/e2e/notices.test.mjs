// Notifications, from a camera through gateway, cloud and push service to the service worker. The push service is ours, as there is none
// without the internet; what it is sent is opened by an implementation that is not.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer as listen } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { setUp } from './support/person.mjs';
import { givenLink, isReal, start, watchfulCamera } from './support/product.mjs';
import { pushService, subscribesHere } from './support/push.mjs';

const RULE = '<img src=x onerror=alert(1)>Yard';

/** A mail server that takes everything, and says what it took. */
async function mailServer() {
  const mails = [];
  const server = listen((socket) => {
    let text = '';
    let inData = false;
    socket.write('220 here ESMTP\r\n');
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      text += piece;
      for (;;) {
        const end = text.indexOf(inData ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + (inData ? 5 : 2));
        if (inData) mails.push(line.replaceAll('=\r\n', '').replaceAll('=3D', '='));
        inData = !inData && line === 'DATA';
        socket.write(inData ? '354 go on\r\n' : '250 yes\r\n');
      }
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { mails, port: server.address().port, stop: () => server.close() };
}

describe('notifications', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no camera that tells anything' }, () => {
  let product, camera, service, post, browser, context, page, cdp, problems, registration;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(({ title, body, tag, silent, timestamp, image, data }) => ({ title, body, tag, silent, timestamp, image, path: data.path })));
  const deliver = (data) => cdp.send('ServiceWorker.deliverPushMessage', { origin: new URL(page.url()).origin, registrationId: registration, data });
  const notices = () => service.got.map((message) => service.open(message)).filter((text) => text.includes('notice'));

  before(async () => {
    [service, post] = await Promise.all([pushService(), mailServer()]);
    const mail = `[mail]\nhost = "127.0.0.1"\nport = ${post.port}\ntls = "none"\nfrom = "Cameras <cameras@example.org>"\n`;
    [product, camera] = await Promise.all([start({ configure: () => `[push]\nservices = ["127.0.0.1"]\n${mail}` }), watchfulCamera(RULE)]);
    browser = await launch();
    ({ context, page, cdp, problems } = await visitor(browser, { permissions: ['notifications'] }));
    await context.addInitScript(subscribesHere, service.subscription);
    await cdp.send('ServiceWorker.enable');
    cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => (registration = registrations.at(-1)?.registrationId ?? registration));
    await setUp(page, product.link);
    await page.getByRole('button', { name: 'Go to your cameras' }).click();
    await page.getByRole('link', { name: 'Add a camera' }).first().click();
    await page.getByRole('button', { name: 'Enter an address by hand' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Gate');
    await page.getByLabel('Address', { exact: true }).fill(camera.address);
    await page.getByLabel('User name of the camera').fill('viewer');
    await page.getByLabel('Password of the camera').fill('secret');
    await page.getByText('Events that the camera tells').click();
    await page.getByLabel('Address of its ONVIF service').fill(camera.onvif);
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.getByText('The camera says what it sees').waitFor();
    await page.getByRole('button', { name: 'Add the camera' }).click();
    await page.getByRole('heading', { name: 'Gate' }).waitFor();
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    service?.stop();
    post?.stop();
    await product?.stop();
  });

  it('are turned on for one browser, with what is wanted', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('link', { name: 'Notifications' }).click();
    await page.getByRole('heading', { name: 'Be told while this page is closed' }).waitFor();
    await seen('notifications-off');
    await page.getByLabel('After one, nothing more of the same kind and camera').selectOption('0');
    await page.getByRole('button', { name: 'Turn on notifications' }).click();
    await page.getByRole('heading', { name: 'On in this browser' }).waitFor();
    await page.getByLabel('Quiet each night').check();
    await seen('notifications-on');
    await page.getByLabel('Quiet each night').uncheck();
    await page.getByRole('button', { name: 'Send a test' }).click();
    await until('the test, beside what the camera tells', async () => service.got.some((message) => service.open(message) === '{"test":true}'));
    await until('the registration', async () => registration !== undefined);
    await deliver('{"test":true}');
    await until('its notification', async () => (await shown()).some(({ title }) => title === 'Notifications work'));
  });

  it('say what happened to this browser, though it is locked, and to nobody on the way', async () => {
    await until('a notice', async () => notices().length > 0);
    const message = notices()[0];
    const sealed = Buffer.from(JSON.parse(message).notice, 'base64').toString('latin1');
    for (const word of ['Yard', 'motion', 'Gate', 'cam_']) assert.ok(!(message + sealed).includes(word), `the server could read ${word}`);
    await page.getByRole('navigation').getByRole('link', { name: 'Security' }).click();
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByRole('button', { name: 'Unlock with your passkey' }).waitFor();
    await deliver(message);
    const notice = await until('the notification', async () => (await shown()).find(({ title }) => title === 'Motion · Gate'));
    assert.ok(notice.body.startsWith(`${RULE} · `), `the camera’s words as they are: ${notice.body}`);
    assert.match(notice.path, /^\/cameras\/cam_[0-9a-f]{32}\?at=\d{4}-/);
    const first = service.got.find((each) => service.open(each) === message);
    console.log(`${first.at - notice.timestamp} ms from the gateway hearing of it until the push service had it`);
    await deliver(message);
    await until('the same once more, without a sound', async () => (await shown()).some(({ tag, silent }) => tag === notice.tag && silent));
    // Which the gateway took when it heard of it, and sealed for this browser.
    const { image } = await until('its picture', async () => (await shown()).find(({ tag, image }) => tag === notice.tag && image));
    const size = await page.evaluate(async (image) => {
      const picture = new Image();
      picture.src = image;
      await picture.decode();
      return [picture.naturalWidth, picture.naturalHeight];
    }, image);
    assert.ok(image.startsWith('data:image/jpeg;base64,') && size[0] >= 320, `${size}`);
  });

  it('lead to the moment, in the page that is open', async () => {
    await page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await page.getByRole('heading', { name: 'Security' }).waitFor();
    const path = (await shown()).find(({ title }) => title === 'Motion · Gate').path;
    const [worker] = context.serviceWorkers();
    const send = (open) => worker.evaluate(async (open) => (await self.clients.matchAll({ type: 'window', includeUncontrolled: true })).forEach((client) => client.postMessage({ open })), open);
    await send('https://example.org/');
    await send('/setup#x');
    await send(path);
    await page.getByRole('heading', { name: 'Gate' }).waitFor();
    assert.ok(page.url().endsWith(path), page.url());
  });

  it('that a hostile server or push service makes say nothing', async () => {
    const { gateway } = JSON.parse(notices()[0]);
    const forged = JSON.stringify({ gateway, notice: randomBytes(668).toString('base64') });
    for (const text of ['', 'not JSON', '[]', '{"gateway":1}', forged, JSON.stringify({ title: 'Pay here', body: 'https://example.org' }), 'x'.repeat(5000)]) {
      await page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications({ tag: 'unreadable' })).forEach((each) => each.close()));
      await deliver(text);
      await until('something was told', async () => (await shown()).some(({ tag, silent }) => tag === 'unreadable' && silent));
    }
    assert.ok((await shown()).every(({ title, body }) => !/Pay|example/.test(title + body)));
  });

  it('keep their key where scripts cannot read it', async () => {
    const keys = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('lenskeep', 1);
          opening.onsuccess = () => {
            const reading = opening.result.transaction('kept').objectStore('kept').get('notices');
            reading.onsuccess = () => resolve(Object.values(reading.result.keys).flat().map(({ key }) => [key.extractable, key.algorithm.name]));
          };
        }),
    );
    assert.ok(keys.length > 0);
    for (const key of keys) assert.deepEqual(key, [false, 'AES-GCM']);
  });

  it('come by e-mail, too, at an address that was confirmed', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('link', { name: 'Notifications' }).click();
    await page.getByLabel('Your address').fill('ada@example.org');
    await seen('notifications-mail');
    await page.getByRole('button', { name: 'Send a link to confirm it' }).click();
    await page.getByText('Not confirmed yet').waitFor();
    const asked = await until('the link', async () => post.mails[0]);
    await seen('notifications-mail-asked');
    const [link] = /http\S+#confirm=[0-9a-f]{64}/.exec(asked);
    // On another device, where nobody is signed in.
    const elsewhere = await visitor(browser, {});
    await elsewhere.page.goto(link);
    await elsewhere.page.getByRole('button', { name: 'Confirm', exact: true }).click();
    await elsewhere.page.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();
    const told = await until('what the camera tells', async () => post.mails[1]);
    assert.ok(!/Yard|Gate|motion/i.test(told), told);
    const [stop] = /http\S+#stop=[0-9a-f]{64}/.exec(told);
    await elsewhere.page.goto('about:blank');
    await elsewhere.page.goto(stop);
    await elsewhere.page.getByRole('heading', { name: 'Get no more mails?' }).waitFor();
    found.push(...(await look(elsewhere.page, 'mail-stop')));
    await elsewhere.page.getByRole('button', { name: 'Get no more' }).click();
    await elsewhere.page.getByRole('heading', { name: 'No more mails come' }).waitFor();
    assert.deepEqual(elsewhere.problems, []);
    await elsewhere.context.close();
    await page.getByRole('navigation').getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('link', { name: 'Notifications' }).click();
    await page.getByLabel('Your address').waitFor();
  });

  it('are put off, and turned off', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('link', { name: 'Notifications' }).click();
    await page.getByRole('button', { name: 'Not for an hour' }).click();
    await page.getByText(/^Not before/).waitFor();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const before = notices().length;
    // The camera tells something every nine seconds.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    assert.equal(notices().length, before);
    await page.getByRole('button', { name: 'Go on now' }).click();
    await until('the next one', async () => notices().length > before);
    await page.getByRole('button', { name: 'Turn off' }).click();
    await page.getByRole('heading', { name: 'Be told while this page is closed' }).waitFor();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const last = service.got.length;
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    assert.equal(service.got.length, last);
  });

  it('broke nothing on the way', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
