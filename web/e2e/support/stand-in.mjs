// Stands in for the product in tests of pages: serves web/dist with the product's own headers, and answers the viewers' API from memory.
// It verifies nothing that the real server verifies. Whether the parts fit is shown by the same walk against the real product.

import { randomBytes } from 'node:crypto';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer as createVite } from 'vite';
import { makeSite } from './site.mjs';

const web = join(dirname(fileURLToPath(import.meta.url)), '../..');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };

/** The policy as the server's source has it, so that pages are tested under no other. */
async function policy() {
  const source = await readFile(join(web, '../crates/cloud/src/http/headers.rs'), 'utf8');
  const [, text] = /CONTENT_SECURITY_POLICY: &str = "([^"]+)"/.exec(source);
  return text.replaceAll(/\\\n\s*/g, '');
}

export async function standIn() {
  const vite = await createVite({ root: web, server: { middlewareMode: true, watch: null, ws: false, hmr: false }, appType: 'custom', logLevel: 'error', optimizeDeps: { noDiscovery: true } });
  const parts = ['bytes', 'crypto', 'dsse', 'enrolment', 'hpke', 'merkle', 'shape'];
  const seal = Object.assign({}, ...(await Promise.all(parts.map((part) => vite.ssrLoadModule(`/src/lib/seal/${part}.ts`)))));
  const csp = await policy();
  const site = await makeSite(seal);
  const secret = randomBytes(16);
  const { lookup, answer } = await site.enrol(secret);
  const token = randomBytes(16).toString('hex');
  const cookie = randomBytes(32).toString('hex');
  const org = { log: [], devices: [], cameras: [], gateways: [], requests: [], history: [], people: {}, invited: null, credentials: {}, accepted: false };
  let signedIn = null;

  const fail = (status, code, message, remedy = '') => Object.assign(new Error(message), { status, body: { error: { code, message, remedy } } });
  const hash = (envelope) => createHash('sha256').update(Buffer.from(envelope.payload, 'base64')).digest('hex');
  const entryOf = (envelope) => JSON.parse(Buffer.from(envelope.payload, 'base64'));
  const write = (action, resource, actor = signedIn) => org.history.push({ seq: org.history.length, at: Date.now(), actor, action, resource, hash: createHash('sha256').update(`${org.history.length}`).digest('hex') });
  const me = () => ({ org: org.id, org_name: org.name, person: signedIn, person_name: org.people[signedIn], devices: org.devices.filter(({ person }) => person === signedIn).map(({ id }) => id), administrator: signedIn === org.first, reads_history: signedIn === org.first, verified_by: 'passkey', recovery_used_at: null });
  const creation = (person, name) => ({ publicKey: { rp: { id: 'localhost', name: 'Lenskeep' }, user: { id: Buffer.from(person).toString('base64url'), name, displayName: name }, challenge: randomBytes(32).toString('base64url'), pubKeyCredParams: [{ type: 'public-key', alg: -7 }], timeout: 60_000, attestation: 'none' } });

  function take(envelope) {
    const { seq, statement, org: id } = entryOf(envelope);
    if (seq !== org.log.length) throw fail(409, 'roster_moved', 'The roster has moved on.');
    org.log.push(envelope);
    org.id ??= id;
    if (statement.type === 'genesis') org.name = statement.name;
    if (statement.device?.id) org.devices.push(statement.device), (org.requests = org.requests.filter(({ device }) => device.id !== statement.device.id));
    if (statement.type === 'revoke_device') org.devices = org.devices.filter(({ id: device }) => device !== statement.device);
    if (statement.type === 'add_gateway') org.gateways.push(statement.gateway);
    if (statement.type === 'bind_camera') org.cameras = [...org.cameras.filter(({ id: camera }) => camera !== statement.camera.id), statement.camera];
    site.learn(hash(envelope));
    write('append_roster', hash(envelope));
    return { seq };
  }
  const requestOf = (id) => org.requests.find(({ device }) => device.id === id) ?? (() => { throw fail(404, 'not_found', 'There is no such request.'); })();
  const enter = (person) => ((signedIn = person), { cookie: true, body: me() });
  const open = new Set(['GET status', 'POST setup/passkey', 'POST setup', 'POST login/passkey/begin', 'POST login/passkey', 'POST login/device/challenge', 'POST login/device', 'POST invitations/passkey', 'POST invitations/accept']);

  const demo = { url: 'rtsp://127.0.0.1:8554/main', sub_url: 'rtsp://127.0.0.1:8554/sub', onvif_url: null, username: 'demo', password: 'demo' };
  const routes = {
    'GET status': () => ({ set_up: org.log.length > 0, version: '0.1.0', rp_id: 'localhost', gateway_port: 8471, ca_sha256: 'cd'.repeat(32), demo_camera: demo }),
    'POST setup/passkey': ({ body }) => {
      if (body.token !== token || org.log.length > 0) throw fail(403, 'token', 'This set-up link was used or is wrong.', 'Start lenskeep again for a new one.');
      const person = `usr_${randomBytes(16).toString('hex')}`;
      return { person, ceremony: 'c1', options: creation(person, body.person_name) };
    },
    'POST setup': ({ body }) => {
      org.first = body.person;
      org.people[body.person] = body.person_name;
      org.credentials[body.passkey.credential.id] = body.person;
      signedIn = body.person;
      take(body.genesis);
      return enter(body.person);
    },
    'POST login/passkey/begin': () => ({ ceremony: 'c2', options: { publicKey: { challenge: randomBytes(32).toString('base64url'), rpId: 'localhost', allowCredentials: [], userVerification: 'required', timeout: 60_000 } } }),
    'POST login/passkey': ({ body }) => {
      if (JSON.stringify(body).includes('"prf"')) throw fail(400, 'prf', 'The PRF result was sent to the server.');
      const person = org.credentials[body.credential.id];
      if (!person) throw fail(401, 'passkey', 'This passkey is not known here.', 'Use the one you made for Lenskeep.');
      return enter(person);
    },
    'POST login/device/challenge': () => ({ challenge: randomBytes(32).toString('hex') }),
    'POST login/device': ({ body }) => enter(org.devices.find(({ id }) => id === entryOf(body.envelope).device).person),
    'POST logout': () => ((signedIn = null), undefined),
    'GET me': () => me(),
    'GET roster': ({ query }) => ({ statements: org.log.slice(query.has('after') ? Number(query.get('after')) + 1 : 0) }),
    'POST roster': ({ body }) => take(body.envelope),
    'GET device-requests': () => ({ requests: org.requests }),
    'POST device-requests': ({ body }) => (org.requests.push({ device: body.device, created_at: Date.now(), pairing: body.pairing, nonce: null }), undefined),
    'GET device-requests/*': ({ part }) => ({ nonce: requestOf(part).nonce }),
    'POST device-requests/*/nonce': ({ part, body }) => ((requestOf(part).nonce = body.nonce), undefined),
    'POST invitations': ({ body }) => {
      org.invited = { ...body, token: randomBytes(16).toString('hex') };
      write('invite', body.person);
      return { token: org.invited.token, expires_at: Date.now() + 86_400_000 };
    },
    'POST invitations/passkey': ({ body }) => {
      if (body.token !== org.invited?.token) throw fail(403, 'token', 'This invitation was used or is too old.', 'Ask for another one.');
      return { person: org.invited.person, person_name: org.invited.person_name, ceremony: 'c3', options: creation(org.invited.person, org.invited.person_name) };
    },
    'POST invitations/accept': ({ body }) => {
      org.people[org.invited.person] = org.invited.person_name;
      org.credentials[body.passkey.credential.id] = org.invited.person;
      return enter(org.invited.person);
    },
    'GET enrolments/*': ({ part }) => {
      if (part !== lookup) throw fail(404, 'not_found', 'Nobody came with this code.');
      return answer;
    },
    'POST enrolments/*/accept': () => ((org.accepted = true), write('enrol', site.gateway.id), undefined),
    'GET gateways': () => ({ gateways: org.gateways.map(({ id, name }) => ({ id, name, connected: org.accepted, state: site.state, version: '0.1.0', certificate_expires_at: Date.now() + 86_400_000 })) }),
    'GET silences': () => ({ silences: [] }),
    'POST gateways/*/commands': async ({ body }) => (write('configure', site.gateway.id), { envelope: await site.command(body.envelope, org.devices) }),
    'GET cameras': () => ({ cameras: org.cameras.map(({ id, name, gateway }) => ({ id, name, gateway, hears: true, streams: site.streams(id) })) }),
    'GET cameras/*/recordings': ({ part, query }) => site.recordings(part, query.get('rendition') ?? 'main', Number(query.get('from') ?? 0), Number(query.get('to') ?? Date.now())),
    'GET cameras/*/timeline': ({ part, query }) => site.timeline(part, query.get('rendition') ?? 'main', Number(query.get('from')), Number(query.get('to')), Number(query.get('parts') ?? 1000)),
    'GET epochs/*/grants/*': async ({ last }) => site.grant(org.id, org.devices.find(({ id }) => id === last)),
    'POST cameras/*/live': () => ({ ticket: randomBytes(32).toString('hex'), expires_at: Date.now() + 30_000 }),
    'GET sessions': () => ({ sessions: [] }),
    'GET factors': () => ({ passkeys: [], password: null, recovery: { left: 0, made_at: null, used_at: null }, origins: [] }),
    'GET history/checkpoint': () => ({ size: 0, note: '', key: '', fault: null, witnesses: [], outside: [] }),
    'GET history': ({ query }) => ({ entries: org.history.filter(({ seq }) => seq < Number(query.get('before') ?? Infinity)).reverse().slice(0, Number(query.get('limit') ?? 100)) }),
  };

  async function api(request, response, path, query) {
    const [kind, part, ...rest] = path.split('/');
    const wild = ['device-requests', 'enrolments', 'gateways', 'cameras', 'epochs', 'recordings'].includes(kind) && part;
    const pattern = wild ? [kind, '*', ...rest.map((text, i) => (i === 1 ? '*' : text))].join('/') : path;
    const name = `${request.method} ${pattern}`;
    if (request.method === 'POST' && request.headers['x-lenskeep'] !== '1') throw fail(403, 'other_site', 'The request does not come from a page of this server.');
    if (!open.has(name) && (signedIn === null || !request.headers.cookie?.includes(cookie))) throw fail(401, 'signed_out', 'You are signed out.', 'Sign in again.');
    if (name === 'GET recordings/*') {
      const bytes = site.bytesOf(part);
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range);
      write('playback', part);
      response.writeHead(206, { 'content-type': 'application/vnd.lenskeep.recording' });
      return response.end(bytes.subarray(Number(from), Number(to) + 1));
    }
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const route = routes[name] ?? (() => { throw fail(404, 'not_found', 'There is no such thing.'); });
    const result = await route({ part, last: rest.at(-1), query, body: pieces.length > 0 ? JSON.parse(Buffer.concat(pieces)) : null });
    if (result?.cookie) response.setHeader('set-cookie', `__Host-lenskeep=${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict`);
    const body = result?.cookie ? result.body : result;
    response.writeHead(body === undefined ? 204 : 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  }

  const server = createHttp((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    response.setHeader('content-security-policy', csp);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('referrer-policy', 'no-referrer');
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    const work = pathname.startsWith('/api/v1/') ? api(request, response, pathname.slice(8), searchParams) : file(response, pathname);
    work.catch((error) => {
      if (!error.status) console.error(error);
      response.writeHead(error.status ?? 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify(error.body ?? { error: { code: 'internal', message: String(error), remedy: '' } }));
    });
  });

  async function file(response, pathname) {
    const wanted = normalize(pathname);
    const bytes = await readFile(join(web, 'dist', wanted)).catch(() => null);
    const [name, content] = bytes ? [wanted, bytes] : ['index.html', await readFile(join(web, 'dist/index.html'))];
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' });
    response.end(content);
  }

  server.on('upgrade', (request, socket) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
    socket.on('error', () => socket.destroy());
    socket.on('data', () => socket.destroy()); // A viewer says one thing: close.
    const camera = pathname.split('/')[4];
    write('live', `${camera} ${searchParams.get('rendition')}`);
    void site.live(camera, searchParams.get('rendition'), (message) => socket.writable && (socket.write(frame(message)), true));
  });

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${server.address().port}`;
  return {
    link: `${origin}/setup#token=${token}&gateway=${secret.toString('hex')}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await vite.close();
    },
  };
}

/** RFC 6455, section 5.2: one unmasked frame, text or binary. */
function frame(message) {
  const payload = Buffer.from(message);
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = typeof message === 'string' ? 0x81 : 0x82;
  if (head.length === 2) head[1] = payload.length;
  else if (head.length === 4) (head[1] = 126), head.writeUInt16BE(payload.length, 2);
  else (head[1] = 127), head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}
