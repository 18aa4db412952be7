// A cloud that lies: every answer of the server may be anything. The browser must notice, say so, and show or sign nothing.
// Answers are altered on their way, so the same lies are told in the name of the real server.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { launch, look, until, visitor } from './support/browser.mjs';
import { addDemoCamera, invite, letInWaiting, openDemoCamera, setUp } from './support/person.mjs';
import { givenLink, isReal, start } from './support/product.mjs';

describe('a cloud that lies', { timeout: 500_000, skip: givenLink !== null && 'the link is used up by the walk' }, () => {
  let product, browser, page;

  before(async () => {
    product = await start();
    browser = await launch();
    ({ page } = await visitor(browser));
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
  });

  /** While `act` runs, JSON answers that match go through `alter`. Says whether there were any. */
  async function lying(pattern, alter, act) {
    let lies = 0;
    await page.route(pattern, async (route) => {
      const response = await route.fetch();
      if (!response.ok()) return route.fulfill({ response });
      lies += 1;
      await route.fulfill({ response, json: alter(await response.json()) });
    });
    try {
      await act();
    } finally {
      await page.unroute(pattern);
    }
    assert.ok(lies > 0, `nothing matched ${pattern}`);
  }
  const said = async (text, timeout = 45_000) => page.locator('[role=alert]').filter({ hasText: text }).first().waitFor({ timeout });
  const unlock = () => page.getByRole('button', { name: 'Unlock with your passkey' }).click();
  const flipped = (base64) => {
    const bytes = Buffer.from(base64, 'base64');
    bytes[bytes.length >> 1] ^= 1;
    return bytes.toString('base64');
  };

  it('cannot pass off a gateway of its own at enrolment', async () => {
    const other = Buffer.alloc(32, 7).toString('base64');
    await lying(
      '**/api/v1/enrolments/*',
      (answer) => ({ ...answer, gateway: { ...answer.gateway, sign: other } }),
      async () => {
        const going = setUp(page, product.link).then(() => assert.fail('the set-up went on with a false gateway'));
        going.catch(() => undefined); // Later it does, with the true one.
        await Promise.race([going, said('does not know the enrolment code', 60_000)]);
      },
    );
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Add the demo camera' }).waitFor();
  });

  it('cannot answer a command in the gateway’s place', async () => {
    await lying(
      '**/api/v1/gateways/*/commands',
      ({ envelope }) => {
        const result = JSON.parse(Buffer.from(envelope.payload, 'base64'));
        const payload = Buffer.from(JSON.stringify({ ...result, at: result.at + 1 })).toString('base64');
        return { envelope: { ...envelope, payload } };
      },
      async () => {
        await page.getByRole('button', { name: 'Add the demo camera' }).click();
        await said('sign');
      },
    );
    await addDemoCamera(page);
  });

  it('cannot rename a camera, nor show one that the roster does not have', async () => {
    await lying(
      '**/api/v1/cameras',
      ({ cameras }) => ({ cameras: [...cameras.map((camera) => ({ ...camera, name: 'False name' })), { ...cameras[0], id: `cam_${'0'.repeat(32)}`, name: 'False camera' }] }),
      async () => {
        await page.reload();
        await unlock();
        await page.getByRole('link', { name: /Demo camera/ }).waitFor();
        assert.equal(await page.getByText('False').count(), 0);
      },
    );
  });

  it('cannot go back to an older roster', async () => {
    await lying(
      /\/api\/v1\/roster$/,
      ({ statements }) => ({ statements: statements.slice(0, 1) }),
      async () => {
        await page.route(/\/api\/v1\/roster\?after=/, (route) => route.fulfill({ json: { statements: [] } }));
        await page.reload();
        await unlock();
        await said('an older or another history');
        await page.unroute(/\/api\/v1\/roster\?after=/);
      },
    );
  });

  /** What this browser has seen of the roster, changed as another of its pages would. */
  const memory = (change) =>
    page.evaluate(
      ({ change }) =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open('lenskeep', 1);
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const transaction = opening.result.transaction('kept', 'readwrite');
            const store = transaction.objectStore('kept');
            const request = store.get('roster');
            request.onsuccess = () => {
              if (change === 'forget') store.delete('roster');
              else store.put({ ...request.result, ...change }, 'roster');
            };
            transaction.oncomplete = () => (opening.result.close(), resolve(request.result));
          };
        }),
      { change },
    );

  it('cannot show one page less than another page of this browser has seen', async () => {
    await page.reload();
    await unlock();
    await page.getByRole('link', { name: /Demo camera/ }).waitFor();
    const { head } = await memory({});
    await memory({ head: { seq: head.seq + 1, hash: 'ab'.repeat(32) } });
    await said('an older or another history');
    await memory({ head });
  });

  it('cannot alter a statement, nor put another organisation in the place of the pinned one', async () => {
    for (const which of [0, 1]) {
      await lying(
        /\/api\/v1\/roster$/,
        ({ statements }) => ({
          statements: statements.map((envelope, i) => {
            if (i !== which) return envelope;
            const entry = JSON.parse(Buffer.from(envelope.payload, 'base64'));
            return { ...envelope, payload: Buffer.from(JSON.stringify({ ...entry, at: entry.at + 1 })).toString('base64') };
          }),
        }),
        async () => {
          await page.reload();
          await unlock();
          await said(which === 0 ? 'another organisation' : /sign|follow/);
        },
      );
    }
    await page.reload();
    await unlock();
    await page.getByRole('heading', { name: 'Cameras', exact: true }).waitFor();
  });

  it('cannot cut off the history, nor rewrite it', { skip: !isReal && 'the stand-in publishes no log' }, async () => {
    const open = async () => {
      await page.getByRole('link', { name: 'Cameras', exact: true }).click();
      await page.getByRole('link', { name: 'History', exact: true }).click();
    };
    const bad = (text) => page.getByText('This history cannot be trusted').waitFor().then(() => page.getByText(text).waitFor());
    const head = page.waitForResponse('**/api/v1/history/checkpoint').then((response) => response.json());
    await open();
    await page.getByText('Unbroken').waitFor();
    const before = await head;
    // What the server does anyway makes the log grow: a reading of the history is an entry of it.
    await until('the log to grow', async () => {
      await open();
      return page.getByText(/continuing the/).waitFor({ timeout: 2000 }).then(async () => !(await page.getByText(`${before.size} entries`).count()), () => false);
    });
    await lying('**/api/v1/history/checkpoint', () => before, () => open().then(() => bad('its end was cut off')));
    await lying('**/api/v1/history/checkpoint', (answer) => ({ ...answer, note: answer.note.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`) }), async () => {
      await open();
      await page.getByText(/not signed by the log/).waitFor();
    });
    // A signed head that this browser's memory is no beginning of.
    await lying(
      '**/api/v1/history/consistency*',
      (answer) => ({ ...answer, proof: answer.proof.map((hash) => hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))) }),
      async () => {
        await until('a proof to be asked for', async () => {
          await open();
          return page.getByText('the history was rewritten').waitFor({ timeout: 3000 }).then(() => true, () => false);
        });
      },
    );
    await open();
    await page.getByText('Unbroken').waitFor();
  });

  it('cannot hide that a gateway has seen another history, nor sign in its name', { skip: !isReal && 'the stand-in publishes no log' }, async () => {
    const open = async () => {
      await page.getByRole('link', { name: 'Cameras', exact: true }).click();
      await page.getByRole('link', { name: 'History', exact: true }).click();
    };
    const history = '**/api/v1/history/checkpoint';
    const witnesses = (change) => (answer) => ({ ...answer, witnesses: answer.witnesses.map(change) });
    await until('the gateway to sign', async () => {
      await open();
      return page.getByText(/signed by 1 of 1 gateway/).waitFor({ timeout: 3000 }).then(() => true, () => false);
    });
    await lying(history, (answer) => ({ ...answer, witnesses: [] }), async () => {
      await open();
      await page.getByText('signed by no gateway yet').waitFor();
      await page.getByText('No gateway has signed this history').waitFor();
    });
    // The last line of the note is the gateway's; one of its bytes is another.
    await lying(history, witnesses((witness) => ({ ...witness, note: witness.note.replace(/(.)(.==\n)$/, (_, letter, rest) => (letter === 'A' ? 'B' : 'A') + rest) })), async () => {
      await open();
      await page.getByText('signed by no gateway yet').waitFor();
    });
    await lying(history, witnesses((witness) => ({ ...witness, conflict: 'rewritten' })), async () => {
      await open();
      await page.getByText(/^The gateway .* has seen another history/).waitFor();
    });
  });

  it('cannot invent a witness outside, nor hide that one objects', { skip: !isReal && 'the stand-in publishes no log' }, async () => {
    const open = async () => {
      await page.getByRole('link', { name: 'Cameras', exact: true }).click();
      await page.getByRole('link', { name: 'History', exact: true }).click();
    };
    const name = 'w.example/witness';
    const keyOf = (called) => {
      const bytes = Buffer.concat([Buffer.of(4), generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)]);
      return `${called}+${createHash('sha256').update(`${called}\n`).update(bytes).digest('hex').slice(0, 8)}+${bytes.toString('base64')}`;
    };
    const key = keyOf(name);
    const asked = (change) => (answer) => ({ ...answer, outside: [{ name, key, size: 3, note: answer.note, signed_at: Date.now(), conflict: null, trouble: null, ...change }] });
    // Whom no administrator named is neither heard nor counted.
    await lying('**/api/v1/history/checkpoint', asked({ conflict: 'rewritten' }), async () => {
      await open();
      await page.getByText('its signature does not count yet').waitFor();
      await page.getByText('Unbroken').waitFor();
      assert.equal(await page.getByText(/of \d+ outside/).count(), 0);
      await page.getByLabel(/I have compared this key/).check();
      await look(page, 'witness-offered');
      await page.getByRole('button', { name: 'Have it count' }).click();
      await page.getByText(`The witness ${name} has seen another history`).waitFor();
    });
    // What it did not sign is no signature of it, whatever the server says; and one that is kept from us is missed.
    const missed = page.getByText(`${name}, which your administrators named as a witness, has signed nothing that is shown here`);
    await lying('**/api/v1/history/checkpoint', asked({}), async () => {
      await open();
      await page.getByText(/and by 0 of 1 outside/).waitFor();
      await missed.waitFor();
      await page.getByText('Witnesses outside the organisation: 1').click();
      await page.getByText('The server shows a signature that is not by the key in your roster').waitFor();
      await look(page, 'witness-silent');
    });
    // Another key under a name that was compared is another one.
    const second = (offered) => (answer) => ({ ...answer, outside: [{ name: 'v.example', key: offered, size: 0, note: '', signed_at: 0, conflict: null, trouble: null }] });
    const count = page.getByRole('button', { name: 'Have it count' });
    await lying('**/api/v1/history/checkpoint', second(keyOf('v.example')), async () => {
      await open();
      await page.getByLabel(/I have compared this key/).check();
      await until('the tick to count', () => count.isEnabled());
      await page.unroute('**/api/v1/history/checkpoint');
      await page.route('**/api/v1/history/checkpoint', async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: second(keyOf('v.example'))(await response.json()) });
      });
      await until('another key to be shown', () => count.isDisabled());
    });
    // A key of another name is not even offered.
    await lying('**/api/v1/history/checkpoint', second(keyOf(name)), async () => {
      await open();
      await missed.waitFor();
      assert.equal(await count.count(), 0);
    });
    await open();
    await page.getByText('Witnesses outside the organisation: 1').click();
    await page.getByText('The server does not ask it').waitFor();
    await page.getByRole('button', { name: `Remove ${name}` }).click();
    await page.getByText('None yet').waitFor();
  });

  it('cannot give keys that the gateway did not seal to this device', async () => {
    await lying(
      '**/api/v1/epochs/*/grants/*',
      (envelope) => ({ ...envelope, signatures: envelope.signatures.map(({ keyid, sig }) => ({ keyid, sig: flipped(sig) })) }),
      async () => {
        // The Worker forgets keys with the page, so it has to ask again.
        await page.reload();
        await unlock();
        await openDemoCamera(page);
        await said('sign');
        assert.equal(await page.locator('.stage .live').count(), 0);
      },
    );
  });

  it('cannot swap the keys of a device after both screens showed the code', async () => {
    const { page: other } = await visitor(browser);
    await page.reload();
    await unlock();
    await other.goto(await invite(page, 'Grace'));
    await other.getByRole('button', { name: 'Make a passkey' }).click();
    await other.getByRole('button', { name: 'Make the key' }).click();
    const asking = page.locator('article').filter({ hasText: 'Grace' });
    await asking.locator('.code').waitFor();
    await asking.getByLabel('Both screens show the same code').check();
    await lying(
      '**/api/v1/device-requests',
      ({ requests }) => ({ requests: requests.map((request) => ({ ...request, device: { ...request.device, sign: flipped(request.device.sign) } })) }),
      async () => {
        await said('shows other keys for this device');
        assert.equal(await asking.getByRole('button', { name: 'Let it in' }).isDisabled(), true);
      },
    );
  });

  it('cannot freeze the roster of a viewer while the gateway goes on', async () => {
    const statements = page.getByText(/The roster has \d+ statements/);
    await statements.click();
    const shown = async () => Number(/has (\d+)/.exec(await statements.textContent())[1]);
    const before = await shown();
    // The gateway hears of Grace, and begins an epoch whose keys she is given, too.
    await letInWaiting(page, 'Grace');
    await until('Grace to stand in the roster', async () => (await shown()) > before);
    // A browser that has seen nothing newer, and is shown nothing newer.
    // The page would remember what it is still about to see: it is left before.
    const address = page.url();
    await page.goto(new URL('/icon.svg', address).href);
    await memory('forget');
    const older = ({ statements }) => ({ statements: statements.filter(({ payload }) => JSON.parse(Buffer.from(payload, 'base64')).seq < before) });
    await lying(/\/api\/v1\/roster(\?after=\d+)?$/, older, async () => {
      await page.goto(address);
      await unlock();
      await openDemoCamera(page);
      // Keys change with the next recording, which may be a minute away.
      await said('goes by another roster than this browser was shown', 90_000);
      await said('Two different rosters are being shown');
      assert.equal(await page.locator('.stage .live').count(), 0);
      await look(page, 'two-rosters');
    });
    await page.reload();
    await unlock();
    await openDemoCamera(page);
    await page.locator('.stage .live').waitFor();
  });

  it('cannot alter footage', async () => {
    await page.reload();
    await unlock();
    await until('footage on the timeline', () => page.locator('.timeline .covered').count());
    let lies = 0;
    await page.route('**/api/v1/recordings/*', async (route) => {
      const response = await route.fetch();
      const body = Buffer.from(await response.body());
      // Inside the ciphertext of the first chunks, and never in what is read first: header and tail are signed and tested elsewhere.
      if (body.length > 10_000) (body[5000] ^= 1), (lies += 1);
      await route.fulfill({ response, body });
    });
    // What stands above the timeline comes by and by, and moves it: whoever misses presses again.
    await page.locator('.stage .live').waitFor();
    const refusal = page.locator('[role=alert]').filter({ hasText: /does not open|altered/ }).first();
    await until(
      'altered footage to be refused',
      async () => {
        await page.locator('.timeline').scrollIntoViewIfNeeded();
        const covered = await page.locator('.timeline .covered').last().boundingBox();
        await page.mouse.click(covered.x + covered.width / 2, covered.y + covered.height / 2);
        return refusal.waitFor({ timeout: 10_000 }).then(
          () => true,
          () => false,
        );
      },
      60_000,
    );
    assert.ok(lies > 0);
    await page.unroute('**/api/v1/recordings/*');
  });
});
