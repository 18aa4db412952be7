// What a signature alone does not do: the passkey's second look at its user, and changes that take two administrators.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, letIn, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const open = (page, name) => page.getByRole('link', { name, exact: true }).click();

describe('approvals', { timeout: 400_000, skip: !isReal ? 'the stand-in decides nothing' : givenLink !== null && 'the link is used up by the walk' }, () => {
  let product, browser, ada, grace;
  const found = [];
  const seen = async (page, name) => void found.push(...(await look(page, name)));

  before(async () => {
    product = await start();
    browser = await launch();
    [ada, grace] = [await visitor(browser), await visitor(browser)];
    await setUp(ada.page, product.link);
    await addDemoCamera(ada.page);
    await letIn(ada.page, grace.page, 'Grace');
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  it('says what a person may watch, and takes it away', async () => {
    await open(ada.page, 'People');
    await seen(ada.page, 'people');
    const card = ada.page.locator('.person').filter({ hasText: 'Grace' });
    await card.getByRole('button', { name: /Change what/ }).click();
    await card.getByLabel('These cameras only').check();
    await seen(ada.page, 'people-sharing');
    await card.getByRole('button', { name: 'Sign', exact: true }).click();
    await card.getByText('Watches no camera.').waitFor();
    await grace.page.reload();
    await grace.page.getByRole('button', { name: /Unlock|Sign in/ }).click();
    await grace.page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
    assert.equal(await grace.page.getByRole('link', { name: /Demo camera/ }).count(), 0);
  });

  it('asks a second administrator where two are needed', async () => {
    await open(ada.page, 'Devices');
    await ada.page.getByRole('button', { name: 'Make administrator' }).click();
    await until('two administrators', async () => (await ada.page.getByText('Administrator', { exact: true }).count()) === 2);
    await open(ada.page, 'People');
    await ada.page.getByRole('group', { name: 'Administrators who must agree' }).getByRole('button', { name: '2' }).click();
    await until('two to be needed', () => ada.page.getByRole('button', { name: '2', exact: true }).isDisabled());

    const card = ada.page.locator('.person').filter({ hasText: 'Grace' });
    await card.getByRole('button', { name: /Change what/ }).click();
    await card.getByLabel('All cameras, also future ones').check();
    await card.getByRole('button', { name: 'Sign', exact: true }).click();
    await ada.page.getByText('Proposed. It takes effect when').waitFor();
    await ada.page.reload();
    await ada.page.getByRole('button', { name: /Unlock|Sign in/ }).click();
    await open(ada.page, 'People');
    await ada.page.getByText('You have agreed').waitFor();
    await seen(ada.page, 'approvals-proposed');

    await grace.page.reload();
    await grace.page.getByRole('button', { name: /Unlock|Sign in/ }).click();
    await open(grace.page, 'People');
    const proposal = grace.page.locator('article').filter({ hasText: /watch all cameras/ });
    await seen(grace.page, 'approvals-inbox');
    await proposal.getByRole('button', { name: 'Agree' }).click();
    await grace.page.getByText('Nothing waits for you.').waitFor();
    await grace.page.getByText(/Watches all cameras, with/).first().waitFor();
    await until('both to watch all', async () => (await grace.page.getByText(/Watches all cameras, with/).count()) === 2);
  });

  it('asks both what a gateway is told, shows it in words, and tells its author what became of it', async () => {
    await open(ada.page, 'Cameras');
    await ada.page.getByRole('link', { name: /Demo camera/ }).click();
    await ada.page.getByText('About this camera').click();
    await ada.page.getByRole('button', { name: 'Stop recording' }).click();
    await ada.page.getByText('Proposed. It takes effect when').waitFor();

    await open(grace.page, 'Cameras');
    await open(grace.page, 'People');
    const proposal = grace.page.locator('article').filter({ hasText: /forget the camera “Demo camera” and record it no more/ });
    await proposal.getByText('1 of 2 agree').waitFor();
    await seen(grace.page, 'approvals-command');
    await proposal.getByRole('button', { name: 'Agree' }).click();
    await grace.page.getByText('Nothing waits for you.').waitFor();

    await open(ada.page, 'People');
    await ada.page.getByText('Before', { exact: true }).click();
    await ada.page.getByText(/forget the camera “Demo camera” and record it no more: the gateway has carried it out/).waitFor();
    await seen(ada.page, 'approvals-outcome');
  });

  it('asks both for a camera whose address nobody but the gateway can see', async () => {
    await open(ada.page, 'Cameras');
    await ada.page.getByRole('link', { name: /Demo camera/ }).click();
    await ada.page.getByText('About this camera').click();
    const demo = await ada.page.evaluate(async () => (await (await fetch('/api/v1/status')).json()).demo_camera);
    await ada.page.getByRole('link', { name: 'Change address or password' }).click();
    await ada.page.getByLabel('Address', { exact: true }).fill(demo.url);
    await ada.page.getByLabel('User name of the camera').fill(demo.username ?? '');
    await ada.page.getByLabel('Password of the camera').fill(demo.password ?? '');
    await ada.page.getByRole('button', { name: 'Test the connection' }).click();
    await ada.page.getByRole('button', { name: 'Use this address' }).click();
    await ada.page.getByText('Proposed. It takes effect when').waitFor();

    await open(grace.page, 'Cameras');
    await open(grace.page, 'People');
    const proposal = grace.page.locator('article').filter({ hasText: /an address and password for the camera “Demo camera”/ });
    await proposal.getByText('Address and password are sealed to the gateway and cannot be shown here.').waitFor();
    assert.ok(!(await proposal.textContent()).includes('rtsp'), 'nobody is shown the address');
    await seen(grace.page, 'approvals-address');
    await proposal.getByRole('button', { name: 'Agree' }).click();
    await grace.page.getByText('Nothing waits for you.').waitFor();
    await open(ada.page, 'Cameras');
    await ada.page.getByRole('link', { name: /Demo camera.*Recording/s }).waitFor();
  });

  it('changes nothing without a verified user', async () => {
    await open(ada.page, 'People');
    await ada.verify(false);
    await ada.page.getByRole('group', { name: 'Administrators who must agree' }).getByRole('button', { name: 'One' }).click();
    await ada.page.getByText('The passkey was cancelled or took too long').waitFor();
    await open(grace.page, 'Cameras');
    await open(grace.page, 'People');
    await grace.page.getByText('Nothing waits for you.').waitFor();
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual([...ada.problems, ...grace.problems], []);
  });
});
