// Moving a camera (docs/format.md section 11): the session that its gateway opened, and the orders that this device signs in it.

import { fromBase64, refuse } from './bytes';
import type { Signer } from './crypto';
import { type Envelope, openSignedBy, sign } from './dsse';
import { bool, hash, id, list, object, type Of, text } from './shape';
import type { Gateway } from './statements';

/** A movement that is not ordered again stops by itself after so long. */
export const MOVE_MS_MAX = 1000;
export const SPEED_MAX = 1000;
export const PRESET_NAME_CHARS_MAX = 64;
const PRESETS_MAX = 256;
const PRESET_TOKEN_BYTES_MAX = 64;

const sessionShape = object({
  org: id('org_'),
  gateway: id('gw_'),
  camera: id('cam_'),
  challenge: hash,
  session: hash,
  pan_tilt: bool,
  zoom: bool,
  home: bool,
  // In UTF-16: characters beyond the plane count twice.
  presets: list(object({ token: text(PRESET_TOKEN_BYTES_MAX, 1), name: text(2 * PRESET_NAME_CHARS_MAX, 1) }), PRESETS_MAX),
});
export type PtzSession = Of<typeof sessionShape>;

/** Thousandths of the camera's speed, to the right, up and nearer. */
export interface Speed {
  pan: number;
  tilt: number;
  zoom: number;
}

export type Movement = ({ type: 'move' } & Speed) | { type: 'stop' } | { type: 'home' } | { type: 'go_to' | 'remove_preset'; preset: string } | { type: 'save_preset'; name: string };

/** What this gateway opened for this camera, in answer to this request. */
export async function readPtzSession(envelope: Envelope, org: string, gateway: Gateway, camera: string, challenge: string): Promise<PtzSession> {
  const { document } = await openSignedBy(envelope, 'ptz-session.v1+json', sessionShape, gateway.id, fromBase64(gateway.sign));
  if (document.org !== org || document.gateway !== gateway.id || document.camera !== camera || document.challenge !== challenge) refuse('the answer belongs to another request');
  return document;
}

/** `elapsed_ms`: since the session came, by a clock that nobody sets. */
export const signPtzOrder = ({ org, gateway, camera, session }: PtzSession, number: number, elapsed_ms: number, movement: Movement, signer: Signer): Promise<Envelope> =>
  sign('ptz-order.v1+json', { org, gateway, camera, session, number, elapsed_ms, movement: written(movement) }, signer);

function written(movement: Movement): object {
  if (movement.type !== 'move') return { ...movement };
  // Not minus zero, which JSON has no word for.
  const { pan, tilt, zoom } = movement;
  return { type: 'move', pan: pan + 0, tilt: tilt + 0, zoom: zoom + 0 };
}
