// Chromium with a virtual authenticator, and what every test of a page asks of it.

import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.LENSKEEP_CHROMIUM ?? '/usr/bin/chromium';
const SCREENSHOTS = process.env.LENSKEEP_SCREENSHOTS;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const BROWSER = { executablePath: CHROMIUM, headless: true, args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'] };
const PERSON = { viewport: { width: 1280, height: 860 }, locale: 'en-GB', timezoneId: 'Europe/Berlin', acceptDownloads: true };

export async function launch() {
  return chromium.launch(BROWSER);
}

/** How long a page may take for anything before it is said that it does not do it. */
export const PATIENCE_MS = 150_000;

/** A person's browser: storage of its own and an authenticator of its own. */
export async function visitor(browser, { prf = true, ...options } = {}) {
  const context = await browser.newContext({ ...PERSON, ...options });
  return used(context, await context.newPage(), prf);
}

/** The same, with a profile that stays on the disk. */
export async function launchAt(profile, { prf = true } = {}) {
  const context = await chromium.launchPersistentContext(profile, { ...BROWSER, ...PERSON });
  return used(context, context.pages()[0] ?? (await context.newPage()), prf);
}

async function used(context, page, prf) {
  context.setDefaultTimeout(PATIENCE_MS);
  const problems = [];
  page.on('pageerror', (error) => problems.push(`page error: ${error.message}`));
  page.on('console', (message) => /Content Security Policy|TrustedHTML|TrustedScript/.test(message.text()) && problems.push(message.text()));
  page.on('dialog', (dialog) => void dialog.accept());
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true, hasPrf: prf },
  });
  /** Whether the authenticator recognises its user from now on. */
  const verify = (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  return { context, page, cdp, problems, verify };
}

const PHONE = { width: 390, height: 844 };

/** The page as people see it in light and dark, on a desk and on a phone; refuses what axe finds in any of them. */
export async function look(page, name) {
  const found = [];
  const size = page.viewportSize();
  for (const [place, viewport] of [['', size], ['-phone', PHONE]]) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(250); // Colours fade from one theme to the other, on a busy machine for longer.
      await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map(({ finished }) => finished)));
      const shown = `${name}${place}-${colorScheme}`;
      await shoot(page, shown);
      for (const { id, nodes } of await violations(page)) found.push(...nodes.map((node) => `${shown}: ${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) found.push(`${name}, phone: the page is ${overflow} pixels too wide`);
  await page.setViewportSize(size);
  return found;
}

async function shoot(page, name) {
  if (!SCREENSHOTS) return;
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

// Through the debugger, as the page's own policy rightly keeps out a script that somebody adds.
async function violations(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => (await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations);
}

/** A digest of what the canvas of the player shows: the canvas belongs to the Worker, so it is looked at from outside. */
export async function picture(page, selector = '#stage canvas') {
  const shot = await page.locator(selector).first().screenshot();
  return shot.toString('base64');
}

export async function until(what, check, patienceMs = PATIENCE_MS) {
  for (const end = Date.now() + patienceMs; ; ) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${patienceMs / 1000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
