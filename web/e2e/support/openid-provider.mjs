// A certified OpenID provider (npm oidc-provider) with its own pages: whoever types a name is that person, and a guard.

import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

export const SECRET = 'a secret & more';

/** `home` is where it sends people back to. */
export async function openIdProvider(home) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'lenskeep', client_secret: SECRET, redirect_uris: [`${home}/sign-in/corp`], response_types: ['code'], grant_types: ['authorization_code'] }],
    claims: { openid: ['sub'], profile: ['name', 'groups'] },
    cookies: { keys: ['of a test'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id, groups: ['guards'] }) }),
  });
  server.on('request', provider.callback());
  return {
    issuer,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
