// Commands to a site and their answers (docs/format.md section 3), and camera access sealed to the gateway's key.
// The address and password of a camera exist in the clear only here and in the gateway.

import { base64, concat, fromBase64, fromHex, hex, refuse, utf8 } from './bytes';
import { random, sha256, type Signer } from './crypto';
import { type Envelope, openSignedBy, peek, sign, signersOf } from './dsse';
import type { CameraQuestion } from './cameraAnswer';
import { EVENT_KINDS, type EventKind } from './event';
import { hpkeSeal } from './hpke';
import { KEM_ENC_BYTES } from './limits';
import { b64, bool, hash, id, int, list, literal, nullable, object, type Of, pattern, type Shape, sorted, tagged, text, writeCanonical } from './shape';
import type { Gateway, State } from './statements';

const EXPIRY_MS = 5 * 60 * 1000;
const LIFE_MS_MAX = 10 * 60 * 1000;
/** Of a command that several administrators must sign, who are asked first. */
const SEVERAL_LIFE_MS_MAX = 72 * 60 * 60 * 1000;

export interface CameraAccess {
  url: string;
  sub_url: string | null;
  username: string | null;
  password: string | null;
  certificate: string | null;
  /** Of the ONVIF device service, where the camera says what it sees. */
  onvif_url: string | null;
}

export type CameraCommand =
  | { type: 'test_camera' | 'look_at_camera' | 'put_camera'; camera: string; access: CameraAccess }
  | { type: 'find_cameras' }
  | { type: 'ask_camera'; question: CameraQuestion }
  | { type: 'list_findings'; after: string | null; seen: number | null }
  | { type: 'sweep_cameras'; camera: string | null }
  | { type: 'stop_sweep' }
  | { type: 'remove_camera'; camera: string }
  | { type: 'set_retention'; bytes_max: number; age_days_max: number; quiet: Quiet | null }
  | { type: 'set_forwarding'; camera: string; forwarding: Forwarding }
  | { type: 'set_bandwidth'; bandwidth: Bandwidth };

/** Footage in which nothing happened goes earlier than the rest. */
export interface Quiet {
  days_max: number;
  /** Events of these kinds leave footage quiet; in the order of `EVENT_KINDS`. */
  kinds: EventKind[];
}

/** Kinds that count for nothing where nobody has set others. */
export const QUIET_KINDS_FIRST: readonly EventKind[] = ['motion'];

/** Which recordings of one rendition go to the store by themselves. */
export type Forward = 'always' | 'events' | 'never';

export interface Forwarding {
  main: Forward;
  sub: Forward;
  /** While an event is active, recordings close every two seconds. */
  short_in_events: boolean;
}

/** kbit/s: null is no limit, 0 nothing but events. Spans of the day are minutes since midnight UTC; of those that overlap, the first counts. */
export interface Bandwidth {
  kilobits_max: number | null;
  spans: { from: number; to: number; kilobits_max: number | null }[];
}

/** Least bandwidth that can be set, other than none, in kbit/s. */
export const KILOBITS_MIN = 128;
export const SPANS_MAX = 24;

const nonceShape = pattern(/^[0-9a-f]{32}$/, 'a nonce');
const sealed = object({ enc: b64(KEM_ENC_BYTES), ciphertext: b64(16, 64 * 1024) });
const camera = id('cam_');
const forward = literal('always', 'events', 'never');
const quiet = object({ days_max: int, kinds: sorted(literal(...EVENT_KINDS), (kind) => String.fromCharCode(EVENT_KINDS.indexOf(kind)), EVENT_KINDS.length) });
const orders = tagged('type', {
  test_camera: { camera, sealed },
  find_cameras: {},
  ask_camera: { sealed },
  look_at_camera: { camera, sealed },
  list_findings: { after: nullable(camera), seen: nullable(int) },
  sweep_cameras: { camera: nullable(camera) },
  stop_sweep: {},
  put_camera: { camera, sealed },
  remove_camera: { camera },
  set_retention: { bytes_max: int, age_days_max: int },
  set_forwarding: { camera, forwarding: object({ main: forward, sub: forward, short_in_events: bool }) },
  set_bandwidth: { bandwidth: object({ kilobits_max: nullable(int), spans: list(object({ from: int, to: int, kilobits_max: nullable(int) }), SPANS_MAX) }) },
});
const quietRetention = object({ type: literal('set_retention'), bytes_max: int, age_days_max: int, quiet });
/** The last key is left out where no difference is made. */
const orderShape: Shape<Of<typeof orders> | Of<typeof quietRetention>> = (value, at) => (Object.hasOwn(Object(value), 'quiet') ? quietRetention(value, at) : orders(value, at));
const commandShape = object({
  org: id('org_'),
  target: id('gw_'),
  nonce: nonceShape,
  expires_at: int,
  previous_state: hash,
  command: orderShape,
});
/** As it is signed: what was sealed stays so. */
export type SiteCommand = Of<typeof commandShape>;

/** A command, and which administrators signed it so far. */
export interface CommandAgreement {
  command: SiteCommand;
  hash: string;
  /** How many different administrators must sign. */
  needed: number;
  agreed: Set<string>;
}

/** What changes nothing, and so takes one administrator. */
const QUESTIONS = new Set(['test_camera', 'find_cameras', 'ask_camera', 'look_at_camera', 'list_findings', 'sweep_cameras', 'stop_sweep']);
export const changesSite = (type: string): boolean => !QUESTIONS.has(type);

export const streamShape = object({ video_codec: text(64), width: int, height: int, audio_codec: nullable(text(64)), key_frame_after_ms: int });
// `main` is null for a camera whose certificate nobody has trusted yet: it was asked for nothing else.
const streams = { main: nullable(streamShape), sub: nullable(streamShape), certificate: nullable(hash) };
const withoutEvents = object(streams);
// `error` says why no events can be had.
const withEvents = object({ ...streams, events: object({ error: nullable(text(4096)) }) });
export type StreamReport = Of<typeof streamShape>;
export type CameraReport = Of<typeof withoutEvents> & { events?: { error: string | null } };
/** The last key is left out where no event service was asked. */
const reportShape: Shape<CameraReport> = (value, at) => (Object.hasOwn(Object(value), 'events') ? withEvents(value, at) : withoutEvents(value, at));

const resultFields = {
  org: id('org_'),
  gateway: id('gw_'),
  nonce: nonceShape,
  at: int,
  ok: bool,
  error: nullable(text(4096)),
  report: nullable(reportShape),
};
const withoutAnswer = object(resultFields);
/** A picture may be in it. */
const ANSWER_BYTES_MAX = 192 * 1024;
const withAnswer = object({ ...resultFields, answer: object({ enc: b64(KEM_ENC_BYTES), ciphertext: b64(16, ANSWER_BYTES_MAX) }) });
export type SealedAnswer = Of<typeof withAnswer>['answer'];
export type CommandResult = Of<typeof withoutAnswer> & { answer?: SealedAnswer };
/** The last key is left out where nothing was asked. */
const resultShape: Shape<CommandResult> = (value, at) => (Object.hasOwn(Object(value), 'answer') ? withAnswer(value, at) : withoutAnswer(value, at));

export interface SignedCommand {
  envelope: Envelope;
  nonce: string;
}

export async function signCommand(org: string, gateway: Gateway, previousState: string, command: CameraCommand, now: number, signer: Signer, lifeMs = EXPIRY_MS): Promise<SignedCommand> {
  const nonce = hex(random(16));
  const body = {
    org,
    target: gateway.id,
    nonce,
    expires_at: now + lifeMs,
    previous_state: hash(previousState, 'the state of the site'),
    command: await written(org, gateway, nonce, command),
  };
  return { envelope: await sign('command.v1+json', body, signer), nonce };
}

/** What an envelope would have its gateway do; who signed it is not judged. */
export const readCommand = async (envelope: Envelope): Promise<SiteCommand> => (await peek(envelope, 'command.v1+json', commandShape)).document;

/** How far administrators agree on a command. A signature that does not hold, or is not of an administrator, refuses the whole. */
export async function commandAgreement(envelope: Envelope, org: string, { devices, administrators }: State, now: number): Promise<CommandAgreement> {
  const { document: command, hash } = await peek(envelope, 'command.v1+json', commandShape);
  if (command.org !== org) refuse('the command is for another organisation');
  const signing = devices.filter((device) => administrators.devices.includes(device.id) && now <= device.until);
  const signers = await signersOf(envelope, 'command.v1+json', (keyid) => {
    const found = signing.find((device) => device.id === keyid);
    return found && fromBase64(found.sign);
  });
  if (signers.size !== envelope.signatures.length) refuse('the command is signed by somebody who is no administrator');
  const needed = changesSite(command.command.type) ? administrators.k : 1;
  const life = needed > 1 ? SEVERAL_LIFE_MS_MAX : LIFE_MS_MAX;
  if (command.expires_at <= now || command.expires_at > now + life) refuse('the command has expired, or lives for too long');
  const agreed = new Set(signing.filter((device) => signers.has(device.id)).map(({ person }) => person));
  return { command, hash: hex(hash), needed, agreed };
}

/** What the site's state becomes by a command. */
export const stateAfter = async (previous: string, nonce: string): Promise<string> => hex(await sha256(concat(fromHex(previous), utf8(nonce))));

/** Reads the gateway's answer, which must be signed by that gateway and answer this very command. */
export async function readResult(envelope: Envelope, org: string, gateway: Gateway, nonce: string): Promise<CommandResult> {
  const { document } = await openSignedBy(envelope, 'command-result.v1+json', resultShape, gateway.id, fromBase64(gateway.sign));
  if (document.org !== org || document.gateway !== gateway.id || document.nonce !== nonce) refuse('the answer belongs to another command');
  return document;
}

async function written(org: string, gateway: Gateway, nonce: string, command: CameraCommand): Promise<object> {
  switch (command.type) {
    case 'find_cameras':
    case 'stop_sweep':
      return { type: command.type };
    case 'list_findings':
      return { type: command.type, after: command.after, seen: command.seen };
    case 'sweep_cameras':
      return { type: command.type, camera: command.camera };
    case 'ask_camera':
      return { type: command.type, sealed: await sealQuestion(org, gateway, nonce, command.question) };
    case 'test_camera':
    case 'look_at_camera':
    case 'put_camera':
      return { type: command.type, camera: command.camera, sealed: await sealAccess(org, gateway, command.camera, nonce, command.access) };
    case 'remove_camera':
      return { type: command.type, camera: command.camera };
    case 'set_retention':
      return { type: command.type, bytes_max: command.bytes_max, age_days_max: command.age_days_max, ...(command.quiet ? { quiet: { days_max: command.quiet.days_max, kinds: [...command.quiet.kinds] } } : {}) };
    case 'set_forwarding':
      return { type: command.type, camera: command.camera, forwarding: { ...command.forwarding } };
    case 'set_bandwidth':
      return { type: command.type, bandwidth: { ...command.bandwidth } };
  }
}

async function sealQuestion(org: string, gateway: Gateway, nonce: string, { onvif_url, username, password, certificate }: CameraQuestion): Promise<{ enc: string; ciphertext: string }> {
  const plain = writeCanonical({ onvif_url, username, password, certificate });
  const { enc, ciphertext } = await hpkeSeal(fromBase64(gateway.kem), 'lenskeep camera question v1', [org, gateway.id, nonce].join('|'), plain);
  plain.fill(0);
  return { enc: base64(enc), ciphertext: base64(ciphertext) };
}

async function sealAccess(org: string, gateway: Gateway, camera: string, nonce: string, access: CameraAccess): Promise<{ enc: string; ciphertext: string }> {
  const { url, sub_url, username, password, certificate, onvif_url } = access;
  const plain = writeCanonical({ url, sub_url, username, password, certificate, ...(onvif_url === null ? {} : { onvif_url }) });
  const { enc, ciphertext } = await hpkeSeal(fromBase64(gateway.kem), 'lenskeep camera access v1', [org, gateway.id, camera, nonce].join('|'), plain);
  plain.fill(0);
  return { enc: base64(enc), ciphertext: base64(ciphertext) };
}
