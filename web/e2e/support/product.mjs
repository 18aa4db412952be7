// What the tests walk through: the product that a link names, the product that a binary starts, or the stand-in.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { standIn } from './stand-in.mjs';

const READY_MS = 60_000;

/** A set-up link works once, so a product that a link names serves one test only. */
export const givenLink = process.env.LENSKEEP_SETUP_LINK ?? null;
export const isReal = givenLink !== null || process.env.LENSKEEP_BIN !== undefined;

/** `further` are arguments. `configure` gets the address of the web app and the data folder, and gives further settings (TOML). */
export async function start({ configure = null, further = [] } = {}) {
  if (givenLink) return { link: givenLink, stop: async () => {} };
  if (!process.env.LENSKEEP_BIN) return standIn();
  const data = await mkdtemp(join(tmpdir(), 'lenskeep-e2e-'));
  const port = await freePort();
  if (configure) {
    const file = join(data, 'cloud.toml');
    await writeFile(file, await configure(`http://localhost:${port}`, data));
    further = [...further, '--config', file];
  }
  const child = spawn(process.env.LENSKEEP_BIN, ['up', '--data', data, '--listen', `127.0.0.1:${port}`, '--app-port', String(port + 4), ...further], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const link = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no set-up link after ${READY_MS / 1000} s:\n${said}`)), READY_MS);
    const hear = (piece) => {
      said = (said + piece).slice(-20_000);
      const found = /https?:\/\/\S+\/setup#\S+/.exec(said);
      if (!found) return;
      clearTimeout(timer);
      resolve(found[0]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', (piece) => (said = (said + piece).slice(-20_000)));
    child.on('exit', (code) => reject(new Error(`lenskeep ended with ${code}:\n${said}`)));
    child.on('error', reject);
  });
  return {
    link,
    said: () => said,
    port,
    data,
    /** As a power cut does. */
    kill: () => child.kill('SIGKILL'),
    async stop() {
      await end(child);
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Another program beside the product's, as soon as it has said something. Its configuration is TOML. */
export async function beside(name, arguments_, { wait = true } = {}) {
  const child = spawn(join(dirname(process.env.LENSKEEP_BIN), name), arguments_, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.resume();
  if (wait) await once(child.stdout, 'data');
  child.stdout.resume();
  return { stop: () => end(child) };
}

/** A camera that speaks RTSPS, with user name `viewer` and password `secret`. Only its address matters to the stand-in. */
export async function encryptedCamera() {
  if (!process.env.LENSKEEP_BIN) return { address: 'rtsps://192.0.2.9/main', stop() {} };
  const port = await freePort();
  const binary = join(dirname(process.env.LENSKEEP_BIN), 'camera-sim');
  const child = spawn(binary, ['--listen', `127.0.0.1:${port}`, '--tls', String(port + 1), '--user', 'viewer'], { env: { ...process.env, CAMERA_PASSWORD: 'secret' }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    address: `rtsps://127.0.0.1:${port + 1}/main`,
    stop: () => child.kill(),
    /** Keeps its connections and sends nothing. */
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
  };
}

/** One that says every few seconds that something moves, by a rule of this name; with user name `viewer` and password `secret`. */
export async function watchfulCamera(rule) {
  const port = await freePort();
  const events = `127.0.0.1:${port + 1}`;
  const says = ['--onvif', events, '--event-every', '9', '--event-rule', rule];
  const child = spawn(join(dirname(process.env.LENSKEEP_BIN), 'camera-sim'), ['--listen', `127.0.0.1:${port}`, '--user', 'viewer', ...says], { env: { ...process.env, CAMERA_PASSWORD: 'secret' }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { address: `rtsp://127.0.0.1:${port}/main`, subAddress: `rtsp://127.0.0.1:${port}/sub`, onvif: `http://${events}/onvif/device_service`, stop: () => child.kill() };
}

/** One of Axis, with these parameters and lines of its log; with user name `viewer` and password `secret`. */
export async function axisCamera(parameters, log) {
  const port = await freePort();
  const web = `127.0.0.1:${port + 1}`;
  const has = [...parameters.flatMap((parameter) => ['--parameter', parameter]), ...log.flatMap((line) => ['--log', line])];
  const child = spawn(join(dirname(process.env.LENSKEEP_BIN), 'camera-sim'), ['--listen', `127.0.0.1:${port}`, '--user', 'viewer', '--onvif', web, '--vapix', ...has], { env: { ...process.env, CAMERA_PASSWORD: 'secret' }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { address: `rtsp://127.0.0.1:${port}/main`, events: `http://${web}/vapix/ws-data-stream`, stop: () => child.kill() };
}

/** One that is found by whoever looks at its address, and is called as people wrote it. */
export async function foundCamera(name, host = '127.0.0.1', ...further) {
  const port = await freePort();
  const at = `${host}:${port + 2}`;
  const says = ['--listen', `127.0.0.1:${port}`, '--onvif', `127.0.0.1:${port + 1}`, '--discovery', at, '--name', name, '--user', 'viewer', '--audio', ...further];
  const child = spawn(join(dirname(process.env.LENSKEEP_BIN), 'camera-sim'), says, { env: { ...process.env, CAMERA_PASSWORD: 'secret' }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { at, port, stop: () => child.kill() };
}

/** One that speaks RTSP to everybody, as often as one likes. */
export async function plainCamera() {
  const port = await freePort();
  const child = spawn(join(dirname(process.env.LENSKEEP_BIN), 'camera-sim'), ['--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const to = (signal) => () => child.kill(signal);
  return { address: `rtsp://127.0.0.1:${port}/main`, subAddress: `rtsp://127.0.0.1:${port}/sub`, stop: to('SIGTERM'), freeze: to('SIGSTOP'), thaw: to('SIGCONT') };
}

/** `up` takes the ports after the first for gateways, metrics, the demonstration camera, `lenskeep app` and that camera's events. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await Promise.all([0, 1, 2, 3, 4, 6].map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
