// Commands to a site and their answers (docs/format.md section 3), and camera access sealed to the gateway's key.
// The address and password of a camera exist in the clear only here and in the gateway.

import { base64, fromBase64, hex, refuse } from './bytes';
import { random, type Signer } from './crypto';
import { type Envelope, openSignedBy, sign } from './dsse';
import { hpkeSeal } from './hpke';
import { bool, hash, id, int, nullable, object, type Of, pattern, text, writeCanonical } from './shape';
import type { Gateway } from './statements';

const EXPIRY_MS = 5 * 60 * 1000;

export interface CameraAccess {
  url: string;
  sub_url: string | null;
  username: string | null;
  password: string | null;
  certificate: string | null;
}

export type CameraCommand =
  | { type: 'test_camera' | 'put_camera'; camera: string; access: CameraAccess }
  | { type: 'remove_camera'; camera: string }
  | { type: 'set_retention'; bytes_max: number; age_days_max: number };

const streamShape = object({ video_codec: text(64), width: int, height: int, audio_codec: nullable(text(64)), key_frame_after_ms: int });
// `main` is null for a camera whose certificate nobody has trusted yet: it was asked for nothing else.
const reportShape = object({ main: nullable(streamShape), sub: nullable(streamShape), certificate: nullable(hash) });
export type StreamReport = Of<typeof streamShape>;
export type CameraReport = Of<typeof reportShape>;

const resultShape = object({
  org: id('org_'),
  gateway: id('gw_'),
  nonce: pattern(/^[0-9a-f]{32}$/, 'a nonce'),
  at: int,
  ok: bool,
  error: nullable(text(4096)),
  report: nullable(reportShape),
});
export type CommandResult = Of<typeof resultShape>;

export interface SignedCommand {
  envelope: Envelope;
  nonce: string;
}

export async function signCommand(org: string, gateway: Gateway, previousState: string, command: CameraCommand, now: number, signer: Signer): Promise<SignedCommand> {
  const nonce = hex(random(16));
  const body = {
    org,
    target: gateway.id,
    nonce,
    expires_at: now + EXPIRY_MS,
    previous_state: hash(previousState, 'the state of the site'),
    command: await written(org, gateway, nonce, command),
  };
  return { envelope: await sign('command.v1+json', body, signer), nonce };
}

/** Reads the gateway's answer, which must be signed by that gateway and answer this very command. */
export async function readResult(envelope: Envelope, org: string, gateway: Gateway, nonce: string): Promise<CommandResult> {
  const { document } = await openSignedBy(envelope, 'command-result.v1+json', resultShape, gateway.id, fromBase64(gateway.sign));
  if (document.org !== org || document.gateway !== gateway.id || document.nonce !== nonce) refuse('the answer belongs to another command');
  return document;
}

async function written(org: string, gateway: Gateway, nonce: string, command: CameraCommand): Promise<object> {
  switch (command.type) {
    case 'test_camera':
    case 'put_camera':
      return { type: command.type, camera: command.camera, sealed: await sealAccess(org, gateway, command.camera, nonce, command.access) };
    case 'remove_camera':
      return { type: command.type, camera: command.camera };
    case 'set_retention':
      return { type: command.type, bytes_max: command.bytes_max, age_days_max: command.age_days_max };
  }
}

async function sealAccess(org: string, gateway: Gateway, camera: string, nonce: string, access: CameraAccess): Promise<{ enc: string; ciphertext: string }> {
  const { url, sub_url, username, password, certificate } = access;
  const plain = writeCanonical({ url, sub_url, username, password, certificate });
  const { enc, ciphertext } = await hpkeSeal(fromBase64(gateway.kem), 'lenskeep camera access v1', [org, gateway.id, camera, nonce].join('|'), plain);
  plain.fill(0);
  return { enc: base64(enc), ciphertext: base64(ciphertext) };
}
