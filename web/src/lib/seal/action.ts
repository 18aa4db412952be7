// Signed actions (docs/format.md section 6): what a person orders the cloud to do where a session alone must not be enough.

import { hex } from './bytes';
import { random, type Signer } from './crypto';
import { type Envelope, sign } from './dsse';
import { hash, id, int, literal, name, nullable, object, type Of, sorted, tagged, text } from './shape';
import { scopeShape } from './statements';

const EXPIRY_MS = 5 * 60 * 1000;
const REASON_CHARS_MAX = 500;

/** All that a program's account can be allowed, in the order in which it is written. */
export const SERVICE_PERMISSIONS = ['list_cameras', 'list_gateways', 'list_recordings', 'read_history'] as const;
export type ServicePermission = (typeof SERVICE_PERMISSIONS)[number];
const servicePermission = literal(...SERVICE_PERMISSIONS);

const bodyShape = tagged('type', {
  create_service_account: { account: id('svc_'), name, permissions: sorted(servicePermission, (entry) => entry, 4), scope: scopeShape, until: int },
  export: { camera: id('cam_'), from: int, to: int, reason: nullable(text(REASON_CHARS_MAX)) },
});
export const actionShape = object({ org: id('org_'), nonce: hash, expires_at: int, previous_state: hash, action: bodyShape });
export type Action = Of<typeof bodyShape>;

export async function signAction(org: string, previousState: string, action: Action, now: number, signer: Signer): Promise<Envelope> {
  const document = { org, nonce: hex(random(32)), expires_at: now + EXPIRY_MS, previous_state: previousState, action };
  return sign('action.v1+json', actionShape(document, 'the action'), signer);
}
