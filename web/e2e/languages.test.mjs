// The app in other languages: set up and looked at in German, switched to French, and a link for somebody who reads neither first.
// Against LENSKEEP_SETUP_LINK, the binary LENSKEEP_BIN, or the stand-in.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { englishLeft, messagesOf, saying } from './support/languages.mjs';
import { start } from './support/product.mjs';

describe('the app in German and French', { timeout: 600_000 }, () => {
  let product, browser, page, problems, german, french;
  /** What somebody called something, and what gateways say. */
  const own = ['Ada', 'Eckladen', 'Lenskeep', 'Links', 'Camera', 'Passkey'];
  const found = [];
  const language = (which) => page.locator('html').getAttribute('lang').then((lang) => assert.equal(lang, which));
  const seen = async (name, said) => {
    found.push(...(await look(page, `${name}`)));
    found.push(...(await englishLeft(page, said, own)).map((text) => `${name}: still English: ${text}`));
  };
  const choose = async (code) => {
    await page.locator('select:visible:has(option[value=fr])').selectOption(code);
    await until(`the language ${code}`, async () => (await page.locator('html').getAttribute('lang')) === code);
  };
  const go = async (say, name, heading = name) => {
    await page.getByRole('navigation').getByRole('link', { name: say(name), exact: true }).click();
    await page.getByRole('heading', { name: say(heading), exact: true }).first().waitFor();
  };

  before(async () => {
    product = await start();
    browser = await launch();
    [german, french] = await Promise.all(['de', 'fr'].map(messagesOf));
    ({ page, problems } = await visitor(browser, { locale: 'de-AT' }));
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  it('is set up in the language of the browser', async () => {
    const say = saying(german);
    await page.goto(product.link);
    await page.getByLabel(say('Name of your home, shop or organisation')).fill('Eckladen');
    await language('de');
    await page.getByLabel(say('Your name')).fill('Ada');
    await seen('de-setup-names', german);
    await page.getByRole('button', { name: say('Next') }).click();
    await page.getByRole('button', { name: say('I have them on paper') }).waitFor();
    const words = await page.locator('.words li').evaluateAll((items) => items.map((item) => item.lastChild.textContent.trim()));
    own.push(...words);
    await seen('de-setup-recovery', german);
    await page.getByRole('button', { name: say('I have them on paper') }).click();
    for (const field of await page.locator('input[data-word]').all()) await field.fill(words[Number(await field.getAttribute('data-word'))]);
    await page.getByRole('button', { name: say('Confirm') }).click();
    await seen('de-setup-passkey', german);
    await page.getByRole('button', { name: say('Make a passkey') }).click();
    await page.getByRole('heading', { name: say('Lenskeep is ready') }).waitFor();
    await seen('de-setup-ready', german);
    await page.getByRole('button', { name: say('Add the demo camera') }).click();
    await page.getByRole('heading', { name: say('Cameras'), exact: true }).waitFor();
    await page.getByRole('link', { name: new RegExp(say('Demo camera')) }).waitFor();
    await seen('de-cameras', german);
  });

  it('says a camera and its recordings in German', async () => {
    const say = saying(german);
    await page.getByRole('link', { name: new RegExp(say('Demo camera')) }).click();
    await page.getByRole('heading', { name: say('Demo camera') }).waitFor();
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    await page.getByText(say('About this camera')).click();
    await seen('de-camera', german);
  });

  it('says all pages in German', async () => {
    const say = saying(german);
    for (const [name, file] of [['Wall', 'wall'], ['Events', 'events'], ['Links', 'links'], ['Devices', 'devices'], ['People', 'people'], ['Gateways', 'gateways'], ['History', 'history'], ['Security', 'security']]) {
      await go(say, name);
      await page.waitForTimeout(600);
      await seen(`de-${file}`, german);
    }
    for (const [path, heading] of [['/health', 'Health'], ['/notifications', 'Notifications'], ['/service-accounts', 'Service accounts'], ['/policies', 'Policies'], ['/cameras/add', 'Add a camera']]) {
      await page.evaluate((to) => document.body.append(Object.assign(document.createElement('a'), { href: to, id: 'way' })), path);
      await page.locator('#way').evaluate((anchor) => (anchor.click(), anchor.remove()));
      await page.getByRole('heading', { name: say(heading), exact: true }).first().waitFor();
      await page.waitForTimeout(600);
      await seen(`de${path.replaceAll('/', '-')}`, german);
    }
  });

  it('is switched to French while it stays unlocked', async () => {
    const say = saying(french);
    await choose('fr');
    for (const [name, file] of [['Cameras', 'cameras'], ['Wall', 'wall'], ['Events', 'events'], ['Devices', 'devices'], ['People', 'people'], ['History', 'history'], ['Security', 'security']]) {
      await go(say, name);
      await page.waitForTimeout(600);
      await seen(`fr-${file}`, french);
    }
  });

  it('keeps the choice in this browser, before somebody signs in too', async () => {
    const say = saying(french);
    await page.getByRole('button', { name: say('Sign out') }).click();
    await page.getByRole('button', { name: new RegExp(say('Sign in with a passkey')) }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: new RegExp(say('Sign in with a passkey')) }).waitFor();
    await language('fr');
    await seen('fr-sign-in', french);
    await choose('en');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await choose('de');
    await page.getByRole('heading', { name: saying(german)('Sign in') }).waitFor();
    await page.getByRole('button', { name: saying(german)('Sign in with a passkey') }).click();
    await page.getByRole('navigation').getByRole('link', { name: saying(german)('Cameras'), exact: true }).waitFor();
  });

  it('speaks to somebody with a link in the language of their browser', async () => {
    const visit = await visitor(browser, { locale: 'fr-CH' });
    const say = saying(french);
    await visit.page.goto(new URL('/s/none', page.url()).href);
    await visit.page.getByRole('heading', { name: say('This link is not whole') }).waitFor();
    assert.equal(await visit.page.locator('html').getAttribute('lang'), 'fr');
    assert.equal(await visit.page.title(), `${say('Shared footage')} · Lenskeep`);
    found.push(...(await look(visit.page, 'fr-shared')), ...(await englishLeft(visit.page, french)));
    assert.deepEqual(visit.problems, []);
    await visit.context.close();
  });

  it('has left no English, nothing for axe, and no problem with the policy', () => {
    assert.deepEqual(found, []);
    assert.deepEqual(problems, []);
  });
});
