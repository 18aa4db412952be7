// A push service, as there is none without the internet; what it is sent is opened by an implementation that is not ours.

import { createECDH, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { decrypt } from 'http_ece';

/** A push service that keeps what comes, and the keys of the one browser that is subscribed. */
export async function pushService() {
  const got = [];
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      got.push({ at: Date.now(), body: Buffer.concat(pieces) });
      response.writeHead(201).end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const keys = createECDH('prime256v1');
  keys.generateKeys();
  const auth = randomBytes(16);
  return {
    got,
    /** As a browser would open it. */
    open: ({ body }) => decrypt(body, { version: 'aes128gcm', privateKey: keys, authSecret: auth.toString('base64url') }).toString(),
    subscription: { endpoint: `http://127.0.0.1:${server.address().port}/one`, keys: { p256dh: keys.getPublicKey('base64url'), auth: auth.toString('base64url') } },
    stop: () => server.close(),
  };
}

/** Chromium subscribes at a service of its maker, which is not there: the page gets the one of the test. */
export function subscribesHere({ endpoint, keys }) {
  let subscribed = localStorage.getItem('subscribed') !== null;
  const subscription = {
    endpoint,
    options: { applicationServerKey: null },
    toJSON: () => ({ endpoint, keys }),
    unsubscribe: async () => ((subscribed = false), localStorage.removeItem('subscribed'), true),
  };
  PushManager.prototype.getSubscription = async () => (subscribed ? subscription : null);
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
    if (!userVisibleOnly || applicationServerKey.length !== 65) throw new TypeError('no browser takes this');
    localStorage.setItem('subscribed', '');
    subscribed = true;
    return subscription;
  };
}
