// What an administrator does, each as the few signed steps that it is. Every step shows up in the roster or in the site's answer;
// none of it is done by the server.

import { find, get, post } from '../api/client';
import type { GatewayListing } from '../api/types';
import { compareText, hex } from '../seal/bytes';
import type { Answer, CameraQuestion, Findings, Found, Look, Offer, Refused } from '../seal/cameraAnswer';
import { type Bandwidth, type CameraAccess, type CameraCommand, type CameraReport, changesSite, type CommandResult, type Forwarding, readResult, type SignedCommand } from '../seal/commands';
import { random } from '../seal/crypto';
import { type Envelope, readEnvelope } from '../seal/dsse';
import { acceptMac, type Enrolment, readEnrolling } from '../seal/enrolment';
import { DAY_MS, DEVICE_DAYS_MAX } from '../seal/limits';
import type { Camera, Device, Gateway, Scope, Statement } from '../seal/statements';
import { postSigned } from './confirmed';
import { call } from './keeper';
import { PROPOSAL_LIFE_MS } from './orders';
import { type Organisation, Proposed } from './organisation.svelte';
import type { Retention } from './retention';

const POLL_MS = 1000;

export const newCameraId = (): string => `cam_${hex(random(16))}`;

/** Looks whether a gateway has come with the code; throws if it is a false one. */
export async function enrolling(enrolment: Enrolment): Promise<Gateway | null> {
  const answer = await find<unknown>(`/api/v1/enrolments/${enrolment.lookup}`);
  return answer === null ? null : readEnrolling(answer, enrolment);
}

/** Signs the gateway into the roster and proves the roster to it. Can be repeated if the second half failed. */
export async function acceptGateway(organisation: Organisation, enrolment: Enrolment, gateway: Gateway): Promise<void> {
  const known = organisation.gateway(gateway.id);
  if (known && JSON.stringify(known) !== JSON.stringify(gateway)) throw new Error('The roster has another gateway under this id. Do not go on; ask whoever runs the server.');
  if (!known) await organisation.append({ type: 'add_gateway', gateway });
  const mac = await acceptMac(enrolment, organisation.anchor, organisation.statementOf(gateway.id));
  await post(`/api/v1/enrolments/${enrolment.lookup}/accept`, { mac });
}

/** Waits until a gateway is connected, because commands reach it only then. */
export async function connected(gateway: string, patienceMs = 60_000): Promise<GatewayListing> {
  for (const end = Date.now() + patienceMs; ; ) {
    const found = (await get<{ gateways: GatewayListing[] }>('/api/v1/gateways')).gateways.find(({ id }) => id === gateway);
    if (found?.connected && found.state !== null) return found;
    if (Date.now() > end) throw new Error('The gateway is not connected. Check that it runs and reaches the server, then try again.');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Has the gateway try the camera. Address and password are sealed to the gateway before they leave the browser. */
export async function testCamera(organisation: Organisation, gateway: Gateway, camera: string, access: CameraAccess): Promise<CameraReport> {
  const { report } = await command(organisation, gateway, { type: 'test_camera', camera, access });
  if (!report) throw new Error('The gateway answered without a report. Update it, then try again.');
  return report;
}

/** What a camera or the network between refuses, and why. */
export class CameraRefused extends Error {
  constructor(readonly refused: Refused) {
    super(refused.error);
  }
}

/** Has the gateway ask its networks for cameras. */
export const findCameras = async (organisation: Organisation, gateway: Gateway): Promise<Found> => (await asked(organisation, gateway, { type: 'find_cameras' }, 'found')).answer;

/** Has the gateway ask a camera which streams it has. The password is sealed to the gateway before it leaves the browser. */
export const askCamera = async (organisation: Organisation, gateway: Gateway, question: CameraQuestion): Promise<Offer> => (await asked(organisation, gateway, { type: 'ask_camera', question }, 'offer')).answer;

/** Has the gateway look at a camera's streams for some seconds, and show a picture. */
export const lookAtCamera = (organisation: Organisation, gateway: Gateway, camera: string, access: CameraAccess): Promise<{ answer: Look; bitmap: ImageBitmap | null }> =>
  asked(organisation, gateway, { type: 'look_at_camera', camera, access }, 'look');

const findingsAfter = async (organisation: Organisation, gateway: Gateway, after: string | null, seen: number | null): Promise<Findings> => (await asked(organisation, gateway, { type: 'list_findings', after, seen }, 'findings')).answer;

/** What a gateway found to have leaked into its first cameras: at once, or when there is another version than the one that was seen. */
export const firstFindings = (organisation: Organisation, gateway: Gateway, seen: number | null): Promise<Findings> => findingsAfter(organisation, gateway, null, seen);

/** And into all others. */
export async function restOfFindings(organisation: Organisation, gateway: Gateway, first: Findings): Promise<Findings> {
  const cameras = [...first.cameras];
  for (let { next } = first; next !== null; ) {
    const more = await findingsAfter(organisation, gateway, next, null);
    // A gateway that leads in circles is not followed.
    if (more.next !== null && more.next <= next) throw new Error('The gateway answered something else than it was asked. Update it, then try again.');
    cameras.push(...more.cameras);
    ({ next } = more);
  }
  return { ...first, cameras, next: null };
}

/** Has a gateway read a camera, or each, for secrets that leaked. */
export const sweepCameras = async (organisation: Organisation, gateway: Gateway, camera: string | null): Promise<void> => void (await asked(organisation, gateway, { type: 'sweep_cameras', camera }, 'findings'));

export const stopSweep = async (organisation: Organisation, gateway: Gateway): Promise<void> => void (await asked(organisation, gateway, { type: 'stop_sweep' }, 'findings'));

async function asked<T extends Answer['type']>(organisation: Organisation, gateway: Gateway, body: CameraCommand, type: T): Promise<{ answer: Extract<Answer, { type: T }>; bitmap: ImageBitmap | null }> {
  const { answer, nonce } = await command(organisation, gateway, body);
  if (!answer) throw new Error('The gateway answered without an answer. Update it, then try again.');
  const opened = await call('openAnswer', { org: organisation.org, gateway: gateway.id, nonce, answer });
  if (opened.answer.type === 'refused') throw new CameraRefused(opened.answer);
  if (opened.answer.type !== type) throw new Error('The gateway answered something else than it was asked. Update it, then try again.');
  return { answer: opened.answer as Extract<Answer, { type: T }>, bitmap: opened.bitmap };
}

/** Names the camera in the roster, then gives the gateway its address. */
export async function addCamera(organisation: Organisation, gateway: Gateway, camera: { id: string; name: string }, access: CameraAccess): Promise<void> {
  const statement: Statement = {
    type: 'bind_camera',
    camera: { id: camera.id, name: camera.name, gateway: gateway.id, serial: null, certificate: access.certificate, groups: [] },
  };
  const prepared = await organisation.prepare(statement);
  const put: CameraCommand = { type: 'put_camera', camera: camera.id, access };
  if (organisation.needsOthers) return proposeBoth(organisation, gateway, put, prepared);
  await command(organisation, gateway, put, [prepared]);
  await organisation.appendPrepared(prepared, statement);
}

/** Gives the gateway another address for a camera that the roster has. */
export async function changeAccess(organisation: Organisation, gateway: Gateway, camera: Camera, access: CameraAccess): Promise<void> {
  const put: CameraCommand = { type: 'put_camera', camera: camera.id, access };
  const rebound: Statement = { type: 'bind_camera', camera: { ...camera, certificate: access.certificate } };
  const binds = camera.certificate !== access.certificate;
  if (binds && organisation.needsOthers) return proposeBoth(organisation, gateway, put, await organisation.prepare(rebound));
  await command(organisation, gateway, put);
  if (binds) await organisation.append(rebound);
}

export async function renameCamera(organisation: Organisation, camera: Camera, name: string): Promise<void> {
  await organisation.append({ type: 'bind_camera', camera: { ...camera, name } });
}

/** Groups are names: what is shared by group, and roles at a group, hold for every camera that has it. */
export async function setGroups(organisation: Organisation, camera: Camera, groups: readonly string[]): Promise<void> {
  await organisation.append({ type: 'bind_camera', camera: { ...camera, groups: [...new Set(groups)].sort(compareText) } });
}

export async function setRetention(organisation: Organisation, gateway: Gateway, retention: Retention): Promise<void> {
  await command(organisation, gateway, { type: 'set_retention', ...retention });
}

export async function setForwarding(organisation: Organisation, gateway: Gateway, camera: string, forwarding: Forwarding): Promise<void> {
  await command(organisation, gateway, { type: 'set_forwarding', camera, forwarding });
}

export async function setBandwidth(organisation: Organisation, gateway: Gateway, bandwidth: Bandwidth): Promise<void> {
  await command(organisation, gateway, { type: 'set_bandwidth', bandwidth });
}

export async function removeCamera(organisation: Organisation, gateway: Gateway, camera: string): Promise<void> {
  await command(organisation, gateway, { type: 'remove_camera', camera });
}

/** Signs the device in the roster and, for a person who has none yet, the access. */
export async function approveDevice(organisation: Organisation, device: Device, access: { scope: Scope; audio: boolean } | null, end: number): Promise<void> {
  const until = Math.min(end, Date.now() + DEVICE_DAYS_MAX * DAY_MS);
  const add: Statement = { type: 'add_device', device: { ...device, until } };
  const newcomer = access && !organisation.state.access.some(({ person }) => person === device.person);
  await organisation.append(...(newcomer ? [{ type: 'set_access' as const, person: device.person, ...access, until: null }] : []), add);
}

/** What the roster says of a camera, and what its gateway is told, are agreed on each by itself. */
async function proposeBoth(organisation: Organisation, gateway: Gateway, body: CameraCommand, statement: Envelope): Promise<never> {
  const { envelope } = await signed(organisation, gateway, body, PROPOSAL_LIFE_MS);
  await postSigned('/api/v1/proposals', { envelope: statement, reason: '' }, [envelope]);
  await postSigned('/api/v1/proposals', { envelope, reason: '' });
  throw new Proposed(0);
}

async function signed(organisation: Organisation, gateway: Gateway, body: CameraCommand, lifeMs?: number): Promise<SignedCommand> {
  const { state } = await connected(gateway.id, 10_000);
  return call('command', { org: organisation.org, gateway, state: state!, command: body, lifeMs });
}

/** Has a gateway do something, or proposes it where it takes several administrators. */
async function command(organisation: Organisation, gateway: Gateway, body: CameraCommand, alongside: readonly Envelope[] = []): Promise<CommandResult> {
  if (organisation.needsOthers && changesSite(body.type)) {
    const { envelope } = await signed(organisation, gateway, body, PROPOSAL_LIFE_MS);
    await postSigned('/api/v1/proposals', { envelope, reason: '' });
    throw new Proposed(0);
  }
  const { envelope, nonce } = await signed(organisation, gateway, body);
  const answer = await postSigned<{ envelope: unknown }>(`/api/v1/gateways/${gateway.id}/commands`, { envelope }, alongside);
  const result = await readResult(readEnvelope(answer.envelope), organisation.org, gateway, nonce);
  if (!result.ok) throw new Error(result.error ?? 'The gateway refused without saying why. Look at its log.');
  return result;
}
