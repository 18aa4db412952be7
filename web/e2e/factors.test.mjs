// Ways to sign in, by hand: a password with a code, recovery codes, passkeys by name, and accounts of programs. Against the real product.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { authenticator } from './support/authenticator.mjs';
import { launch, look, visitor } from './support/browser.mjs';
import { invite, letInWaiting, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const PASSWORD = 'purple otter quay 91';
const skip = givenLink !== null ? 'the link is used up by the walk' : !isReal && 'the stand-in checks no password';

describe('ways to sign in', { timeout: 400_000, skip }, () => {
  let product, browser, ada, grace, anew, elsewhere, code, codes;
  const found = [];
  const seen = (page) => async (name) => void found.push(...(await look(page, name)));
  const ways = () => ada.page.getByRole('region', { name: 'Ways to sign in' });

  before(async () => {
    product = await start();
    browser = await launch();
    [ada, grace, anew, elsewhere] = [await visitor(browser), await visitor(browser), await visitor(browser), await visitor(browser)];
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  /** Fills in the two steps of a password; gives the authenticator. */
  async function setPassword(page, login, name) {
    await page.getByLabel('Name to sign in with').fill(login);
    await page.getByLabel('Password', { exact: true }).fill('password1234');
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('among those that everybody tries first').waitFor();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByRole('img', { name: 'Code to scan with an authenticator app' }).waitFor();
    await page.getByText('Type it instead').click();
    await seen(page)(`${name}-scan`);
    const next = authenticator((await page.locator('details code').textContent()).trim());
    await page.getByLabel('Code that the app shows now').fill('000000');
    await page.getByRole('button', { name: 'Finish' }).click();
    await page.getByText('not the one that the authenticator should show').waitFor();
    await page.getByLabel('Code that the app shows now').fill(await next());
    await page.getByRole('button', { name: 'Finish' }).click();
    return next;
  }

  it('shows the first passkey, and lets it be named', async () => {
    await setUp(ada.page, product.link);
    await ada.page.getByRole('button', { name: 'Go to your cameras' }).click();
    await ada.page.getByRole('link', { name: 'Security', exact: true }).click();
    await ways().getByRole('button', { name: 'Rename First passkey' }).click();
    await ways().getByLabel('Name of the passkey').fill('Laptop');
    await ways().getByRole('button', { name: 'Save' }).click();
    await ways().getByText('Laptop').waitFor();
    assert.equal(await ways().getByRole('button', { name: 'Remove Laptop' }).count(), 0, 'the last one stays');
  });

  it('sets a password with a code to scan, and refuses what everybody uses', async () => {
    await ways().getByRole('button', { name: 'Set a password and a code' }).click();
    code = await setPassword(ada.page, 'Ada@example.org', 'security');
    await ways().getByText('ada@example.org').waitFor();
  });

  it('makes recovery codes and shows them once', async () => {
    await ways().getByRole('button', { name: 'Make recovery codes' }).click();
    const list = ada.page.getByRole('list', { name: 'Recovery codes' });
    await list.waitFor();
    codes = await list.getByRole('listitem').allTextContents();
    assert.equal(codes.length, 10);
    await seen(ada.page)('security-recovery-codes');
    await ways().getByRole('button', { name: 'I have them' }).click();
    await ways().getByText('10 of 10 left').waitFor();
    await seen(ada.page)('security-ways');
  });

  it('signs in with password and code, and not with a code that is wrong', async () => {
    await ada.page.getByRole('button', { name: 'Sign out' }).first().click();
    await ada.page.getByRole('button', { name: 'Use a password and a code' }).click();
    const sign = async (digits) => {
      await ada.page.getByLabel('Name', { exact: true }).fill('ada@example.org');
      await ada.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await ada.page.getByLabel('Code from your authenticator').fill(digits);
      await ada.page.getByRole('button', { name: 'Sign in', exact: true }).click();
    };
    await sign('000000');
    await ada.page.getByText('Signing in did not succeed').waitFor();
    await seen(ada.page)('sign-in-password');
    await sign(await code());
    await ada.page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await ada.page.getByRole('heading', { name: 'Security' }).waitFor();
  });

  it('lets a recovery code make a passkey elsewhere, and says so here', async () => {
    await anew.page.goto(new URL('/', product.link).href);
    await anew.page.getByRole('button', { name: 'Use a recovery code' }).click();
    await anew.page.getByLabel('Recovery code').fill(codes[0].toUpperCase().replaceAll('-', ' '));
    await seen(anew.page)('sign-in-recovery');
    await anew.page.getByRole('button', { name: 'Go on' }).click();
    await anew.page.getByText('Welcome back, Ada').waitFor();
    await anew.page.getByRole('button', { name: 'Make a passkey' }).click();
    await anew.page.getByText('Your new passkey is ready').waitFor();
    await anew.page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await anew.page.getByRole('heading', { name: 'Make the key of this browser' }).waitFor();
    await ada.page.getByText('A recovery code was used as Ada').waitFor();
    await seen(ada.page)('security-recovered');
    await ada.page.reload();
    await ada.page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await ways().getByRole('button', { name: /^Remove .* on / }).click();
    await ways().getByText('Laptop').waitFor();
    await ways().getByRole('button', { name: /^Remove .* on / }).waitFor({ state: 'detached' });
    await ways().getByRole('button', { name: /Make new ones/ }).click();
    await ways().getByRole('button', { name: 'I have them' }).click();
    await ada.page.reload();
    await ada.page.getByRole('button', { name: 'Unlock with your passkey' }).click();
    await ways().getByText('10 of 10 left').waitFor();
    assert.equal(await ada.page.getByText('A recovery code was used').count(), 0);
  });

  it('takes an invitation without a passkey, and confirms by code', async () => {
    await ada.page.getByRole('link', { name: 'Devices', exact: true }).click();
    await grace.page.goto(await invite(ada.page, 'Grace'));
    await grace.page.getByRole('button', { name: 'Use a password and a code instead' }).click();
    const next = await setPassword(grace.page, 'grace', 'join');
    await grace.page.getByLabel('Passphrase for this browser').fill(PASSWORD);
    await grace.page.getByLabel('The same again').fill(PASSWORD);
    await grace.page.getByRole('button', { name: 'Make the key' }).click();
    await letInWaiting(ada.page, 'Grace');
    await grace.page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
    await grace.page.getByRole('link', { name: 'Security', exact: true }).click();
    await grace.page.getByRole('button', { name: 'Make recovery codes' }).click();
    const dialog = grace.page.getByRole('dialog', { name: 'Confirm with a code' });
    await dialog.getByLabel('Code').fill('000000');
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.getByText('The code is not right').waitFor();
    await seen(grace.page)('confirm-by-code');
    await dialog.getByLabel('Code').fill(await next());
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await grace.page.getByRole('list', { name: 'Recovery codes' }).waitFor();
    await grace.page.getByRole('button', { name: 'I have them' }).click();
    // Turning away changes nothing.
    await grace.page.getByRole('button', { name: /Make new ones/ }).click();
    await dialog.getByLabel('Code').waitFor();
    await grace.page.keyboard.press('Escape');
    await grace.page.getByText('Nothing was confirmed').waitFor();
  });

  it('makes an account for a program, whose token reads what it may, until it is revoked', async () => {
    await ada.page.getByRole('link', { name: 'People', exact: true }).click();
    await ada.page.getByRole('link', { name: 'service accounts' }).click();
    await ada.page.getByRole('heading', { name: 'No program has an account' }).waitFor();
    await ada.page.getByLabel('Name of the program').fill('Dashboard');
    await seen(ada.page)('service-accounts');
    await ada.page.getByRole('button', { name: 'Sign and make' }).click();
    const token = await ada.page.getByText(/^lkst_[0-9a-f]{64}$/).textContent();
    await seen(ada.page)('service-accounts-made');
    const ask = async (path) => (await fetch(new URL(path, product.link), { headers: { authorization: `Bearer ${token.trim()}` } })).status;
    assert.equal(await ask('/api/v1/cameras'), 200);
    assert.equal(await ask('/api/v1/gateways'), 404);
    assert.equal(await ask('/api/v1/me'), 401);
    await ada.page.getByRole('button', { name: 'I have it' }).click();
    await ada.page.getByRole('button', { name: 'Revoke Dashboard' }).click();
    await ada.page.getByText('1 that have ended').waitFor();
    assert.equal(await ask('/api/v1/cameras'), 401);
  });

  it('makes a link by which another place gets a passkey, once', async () => {
    await ada.page.getByRole('link', { name: 'Security', exact: true }).click();
    await ways().getByRole('button', { name: /^Add one for localhost:/ }).click();
    const link = (await ways().getByText(/\/passkey#token=/).textContent()).trim();
    // The program at that origin is not part of this test; the token is good at each of the cloud's origins.
    const here = new URL(product.link).origin + link.slice(new URL(link).origin.length);
    await elsewhere.page.goto(here);
    await seen(elsewhere.page)('passkey-here');
    await elsewhere.page.getByRole('button', { name: 'Make a passkey' }).click();
    await elsewhere.page.getByRole('heading', { name: 'Your passkey is ready' }).waitFor();
    await elsewhere.page.goto(new URL('/', here).href);
    await elsewhere.page.goto(here);
    await elsewhere.page.getByRole('button', { name: 'Make a passkey' }).click();
    await elsewhere.page.getByText('The link is not valid').waitFor();
    await elsewhere.page.goto(new URL('/', here).href);
    await elsewhere.page.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await elsewhere.page.getByRole('heading', { name: 'Make the key of this browser' }).waitFor();
  });

  it('had no violation that axe finds, and no error of page or policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual([...ada.problems, ...grace.problems, ...anew.problems, ...elsewhere.problems], []);
  });
});
