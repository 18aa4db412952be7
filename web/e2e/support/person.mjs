// What a person does on the pages, by the words that stand there.

import { until } from './browser.mjs';

export async function setUp(page, link, { passphrase = null, seen = async () => {} } = {}) {
  await page.goto(link);
  await page.getByLabel('Name of your home, shop or organisation').fill('Corner shop');
  await page.getByLabel('Your name').fill('Ada');
  await seen('setup-names');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'I have them on paper' }).waitFor();
  const words = await page.locator('.words li').evaluateAll((items) => items.map((item) => item.lastChild.textContent.trim()));
  await seen('setup-recovery');
  await page.getByRole('button', { name: 'I have them on paper' }).click();
  for (const field of await page.locator('input[data-word]').all()) await field.fill(words[Number(await field.getAttribute('data-word'))]);
  await seen('setup-confirm');
  await page.getByRole('button', { name: 'Confirm' }).click();
  await seen('setup-passkey');
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  if (passphrase !== null) {
    await page.getByLabel('Passphrase for this browser').fill(passphrase);
    await page.getByLabel('The same again').fill(passphrase);
    await seen('setup-passphrase');
    await page.getByRole('button', { name: 'Finish' }).click();
  }
  await page.getByRole('heading', { name: 'Lenskeep is ready' }).waitFor();
  await seen('setup-ready');
  return words;
}

export async function addDemoCamera(page) {
  await page.getByRole('button', { name: 'Add the demo camera' }).click();
  await page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
  await page.getByRole('link', { name: /Demo camera/ }).waitFor();
}

/** A link for somebody new, from the page Devices. */
export async function invite(administrator, name) {
  await administrator.getByRole('link', { name: 'Devices', exact: true }).click();
  await administrator.getByRole('heading', { name: 'Add a device or a person' }).waitFor();
  const again = administrator.getByRole('button', { name: 'Make another link' });
  if (await again.isVisible()) await again.click();
  await administrator.getByLabel('Whose').selectOption('newcomer');
  await administrator.getByLabel('Name of the person').fill(name);
  await administrator.getByRole('button', { name: 'Make a link' }).click();
  return (await administrator.getByText(/\/join#token=/).textContent()).trim();
}

/** Invites a person, who makes a passkey and a key; compares what both screens show and lets the device in. */
export async function letIn(administrator, newcomer, name) {
  await newcomer.goto(await invite(administrator, name));
  await newcomer.getByRole('button', { name: 'Make a passkey' }).click();
  await newcomer.getByRole('button', { name: 'Make the key' }).click();
  await letInWaiting(administrator, name);
  await newcomer.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
}

/** Compares the code or the fingerprint of a device that waits, and lets it in. */
export async function letInWaiting(administrator, name) {
  const asking = administrator.locator('article').filter({ hasText: name });
  await asking.getByLabel(/show the same code|compared the fingerprint/).check();
  await asking.getByRole('button', { name: 'Let it in' }).click();
}

export async function openDemoCamera(page) {
  await page.getByRole('link', { name: 'Cameras', exact: true }).click();
  await page.getByRole('link', { name: /Demo camera/ }).click();
  await page.getByRole('heading', { name: 'Demo camera' }).waitFor();
}

/** The wall time that the player shows. */
export async function shownTime(page) {
  const text = await page.locator('.controls time').getAttribute('datetime');
  return text === null ? null : Date.parse(text);
}

export async function liveMoves(page, picture) {
  await page.locator('.stage .live').waitFor();
  const first = await until('a live picture', () => shownTime(page));
  await until('the time of the live picture to move', async () => (await shownTime(page)) > first + 1000);
  const before = await picture(page);
  await until('the live picture to change', async () => (await picture(page)) !== before);
}

export async function playState(page) {
  return page.getByRole('button', { name: 'Play', exact: true }).isVisible().then((paused) => (paused ? 'paused' : 'playing'));
}

/** An encrypted camera of the tests, whose certificate is trusted. */
export async function addEncryptedCamera(page, camera, name) {
  await page.getByRole('link', { name: 'Cameras', exact: true }).click();
  await page.getByRole('link', { name: 'Add a camera' }).click();
  await page.getByRole('button', { name: 'Enter an address by hand' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Address', { exact: true }).fill(camera.address);
  await page.getByLabel('User name of the camera').fill('viewer');
  await page.getByLabel('Password of the camera').fill('secret');
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByLabel('I trust this certificate').check();
  await page.getByRole('button', { name: 'Go on with the test' }).click();
  await page.getByRole('heading', { name: 'The camera answers' }).waitFor();
  await page.getByRole('button', { name: 'Add the camera' }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}

/** A camera that takes whoever comes, with its small stream. */
export async function addPlainCamera(page, camera, name) {
  await page.getByRole('link', { name: 'Cameras', exact: true }).click();
  await page.getByRole('link', { name: 'Add a camera' }).click();
  await page.getByRole('button', { name: 'Enter an address by hand' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Address', { exact: true }).fill(camera.address);
  await page.getByText('A second, smaller stream').click();
  await page.getByLabel('Address of the small stream').fill(camera.subAddress);
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByRole('heading', { name: 'The camera answers' }).waitFor();
  await page.getByRole('button', { name: 'Add the camera' }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}
