// A camera that goes away: people are told, in the inbox and while no page is open, with what to do.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addPlainCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, plainCamera, start } from './support/product.mjs';
import { pushService, subscribesHere } from './support/push.mjs';

describe('trouble', { timeout: 300_000, skip: (!isReal || givenLink !== null) && 'the stand-in has no camera that goes away' }, () => {
  let product, camera, service, browser, context, page, cdp, problems, registration;
  const found = [];
  const seen = async (name) => void found.push(...(await look(page, name)));
  const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(({ title, body, silent, data }) => ({ title, body, silent, path: data.path })));
  const deliver = (data) => cdp.send('ServiceWorker.deliverPushMessage', { origin: new URL(page.url()).origin, registrationId: registration, data });
  const goTo = (name) => page.getByRole('navigation').getByRole('link', { name, exact: true }).click();

  before(async () => {
    service = await pushService();
    [product, camera] = await Promise.all([start({ configure: () => '[push]\nservices = ["127.0.0.1"]\n' }), plainCamera()]);
    browser = await launch();
    ({ context, page, cdp, problems } = await visitor(browser, { permissions: ['notifications'] }));
    await context.addInitScript(subscribesHere, service.subscription);
    await cdp.send('ServiceWorker.enable');
    cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => (registration = registrations.at(-1)?.registrationId ?? registration));
    await setUp(page, product.link);
    await page.getByRole('button', { name: 'Go to your cameras' }).click();
    await addPlainCamera(page, camera, 'Gate');
  });
  after(async () => {
    await browser?.close();
    camera?.stop();
    service?.stop();
    await product?.stop();
  });

  it('is among what one is told of unless one says otherwise', async () => {
    await goTo('Events');
    await page.getByRole('link', { name: 'Notifications' }).click();
    assert.ok(await page.getByLabel('Camera does not answer').isChecked());
    await seen('trouble-notifications');
    await page.getByRole('button', { name: 'Turn on notifications' }).click();
    await page.getByRole('heading', { name: 'On in this browser' }).waitFor();
  });

  it('is told to a browser that nobody looks at, with what to do', async () => {
    camera.stop();
    const message = await until('a notice', async () => service.got.map((each) => service.open(each)).find((text) => text.includes('notice')), 120_000);
    assert.ok(!/Gate|camera|down|cam_/.test(message), message);
    await until('the registration', async () => registration !== undefined);
    await deliver(message);
    const notice = await until('the notification', async () => (await shown()).find(({ title }) => title === 'Camera does not answer · Gate'));
    assert.match(notice.body, /^The camera (could not be reached|sent nothing)\. /);
    assert.match(notice.path, /^\/cameras\/cam_[0-9a-f]{32}\?at=/);
  });

  it('stands in the inbox, where trouble alone can be shown', async () => {
    await goTo('Events');
    const row = page.locator('[data-event]').filter({ hasText: 'Camera does not answer' });
    await row.waitFor();
    assert.match(await row.innerText(), /Gate[\s\S]*Look at its power and network|Gate[\s\S]*Restart the camera/);
    await goTo('Cameras');
    await page.getByRole('link', { name: 'Health' }).click();
    await page.getByRole('link', { name: 'What was wrong before' }).click();
    await row.waitFor();
    assert.equal(await page.getByRole('button', { name: 'Trouble' }).getAttribute('aria-pressed'), 'true');
    await seen('trouble-events');
  });

  it('of a gateway that is silent is shown as the server’s word, with the name that this browser keeps', async () => {
    const { gateway } = JSON.parse(service.open(service.got.find((each) => service.open(each).includes('notice'))));
    const message = { gateways: { silent: [{ gateway, since: Date.now() }], back: [], more: 0 } };
    await deliver(JSON.stringify({ ...message, title: 'Pay here' }));
    const notice = await until('its notification', async () => (await shown()).find(({ title }) => title.startsWith('Your server hears nothing of ')));
    assert.ok(!notice.title.endsWith('a gateway') && notice.path === '/health', JSON.stringify(notice));
    assert.ok((await shown()).every(({ title, body }) => !/Pay/.test(title + body)));
  });

  it('broke nothing on the way', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
