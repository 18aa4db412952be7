// Signing in at an OpenID provider that others wrote, as people do: away, back, and what comes then.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, look, visitor } from './support/browser.mjs';
import { openIdProvider, SECRET } from './support/openid-provider.mjs';
import { addDemoCamera, letInWaiting, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

const PASSPHRASE = 'correct horse battery staple';

describe('an OpenID provider', { timeout: 300_000, skip: (givenLink !== null || !isReal) && 'the product is started with a provider' }, () => {
  let provider, product, browser, ada, grace, home;
  const found = [];
  const seen = (page) => async (name) => void found.push(...(await look(page, name)));

  before(async () => {
    const configure = async (address, data) => {
      home = address;
      provider = await openIdProvider(address);
      await writeFile(join(data, 'secret'), `${SECRET}\n`);
      return `
        [[identity_providers]]
        id = "corp"
        name = "Corner shops"
        issuer = "${provider.issuer}"
        client_id = "lenskeep"
        client_secret_file = "${join(data, 'secret')}"
        [identity_providers.roles]
        guards = ["operator all"]
      `;
    };
    product = await start({ configure });
    browser = await launch();
    ada = await visitor(browser);
    grace = await visitor(browser);
    await setUp(ada.page, product.link);
    await addDemoCamera(ada.page);
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
    provider?.stop();
  });

  it('says so, if somebody goes back there', async () => {
    await grace.page.goto(home);
    await seen(grace.page)('provider-offered');
    await grace.page.getByRole('button', { name: 'Sign in with Corner shops' }).click();
    await grace.page.getByRole('link', { name: /Cancel/ }).click();
    await grace.page.getByText('You were not let in there, or went back.').waitFor();
    assert.equal(new URL(grace.page.url()).search, '');
    await seen(grace.page)('provider-cancelled');
  });

  it('signs in whoever it knows, and leaves no code in the address', async () => {
    await grace.page.getByRole('button', { name: 'Sign in with Corner shops' }).click();
    await grace.page.locator('input[name=login]').fill('Grace');
    await grace.page.locator('input[name=password]').fill('whatever');
    await grace.page.getByRole('button', { name: 'Sign-in' }).click();
    await grace.page.getByRole('button', { name: 'Continue' }).click();
    await grace.page.getByText('You are signed in as Grace.').waitFor();
    assert.equal(grace.page.url(), `${home}/`);
    await grace.page.getByLabel('Passphrase for this browser').fill(PASSPHRASE);
    await grace.page.getByLabel('The same again').fill(PASSPHRASE);
    await grace.page.getByRole('button', { name: 'Make the key' }).click();
    await grace.page.getByRole('button', { name: 'It is the same' }).click();
  });

  it('opens nothing until her device was let in, and her group gives her a role', async () => {
    await ada.page.getByRole('link', { name: 'Devices', exact: true }).click();
    await ada.page.getByText('The name is what the server says').waitFor();
    await seen(ada.page)('devices-asking-told');
    await letInWaiting(ada.page, 'Grace');
    await grace.page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
    await ada.page.getByRole('link', { name: 'People', exact: true }).click();
    await ada.page.getByText('By their groups: Operator').waitFor();
    await seen(ada.page)('people-by-groups');
    await ada.page.getByRole('link', { name: 'History', exact: true }).click();
    for (const words of [/made an account for/, /signed in/]) await ada.page.locator('main :not(option)', { hasText: words }).last().waitFor();
  });

  it('is no way in for a link that somebody else began', async () => {
    // Grace begins in a browser of her own, which does not finish, and sends the address to which the provider sent it.
    const other = await visitor(browser);
    await other.page.route('**/api/v1/login/providers/corp', (route) => route.abort());
    const returned = other.page.waitForRequest(/\/sign-in\/corp\?/);
    await other.page.goto(home);
    await other.page.getByRole('button', { name: 'Sign in with Corner shops' }).click();
    await other.page.locator('input[name=login]').fill('Grace');
    await other.page.locator('input[name=password]').fill('whatever');
    await other.page.getByRole('button', { name: 'Sign-in' }).click();
    await other.page.getByRole('button', { name: 'Continue' }).click();
    const victim = await visitor(browser);
    await victim.page.goto((await returned).url());
    await victim.page.getByText('This sign-in was not begun in this browser.').waitFor();
    assert.equal(victim.page.url(), `${home}/`);
  });

  it('looks right in light, dark and on a phone, and breaks no rule of accessibility', () => {
    assert.deepEqual(found, []);
    for (const { problems } of [ada, grace]) assert.deepEqual(problems, []);
  });
});
