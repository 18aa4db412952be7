// Signed actions (docs/format.md section 6): what a person orders the cloud to do where a session alone must not be enough.

import { compareText, fromBase64, hex, utf8 } from './bytes';
import { random, sha256, type Signer } from './crypto';
import { type Envelope, sign } from './dsse';
import { hash, id, int, literal, name, nullable, object, type Of, pattern, readCanonical, sorted, tagged, text } from './shape';
import { scopeShape } from './statements';

const EXPIRY_MS = 5 * 60 * 1000;
const REASON_CHARS_MAX = 500;

/** All that a program's account can be allowed, in the order in which it is written. */
export const SERVICE_PERMISSIONS = ['list_cameras', 'list_gateways', 'list_recordings', 'provision_people', 'read_history'] as const;
export type ServicePermission = (typeof SERVICE_PERMISSIONS)[number];
const servicePermission = literal(...SERVICE_PERMISSIONS);

/** Roles and kinds of places in the order in which they are written. */
export const ROLES = ['viewer', 'operator', 'auditor', 'installer'] as const;
export type Role = (typeof ROLES)[number];
const PLACES = ['all', 'gateway', 'group', 'camera'];
const place = pattern(/^(all|gateway:gw_[0-9a-f]{32}|group:[^\p{Cc}]{1,200}|camera:cam_[0-9a-f]{32})$/u, 'a place');
export const assignmentShape = object({ role: literal(...ROLES), place });
export type Assignment = Of<typeof assignmentShape>;

/** What compares as the assignments do: the role first, then the kind of place, then which. */
function order({ role, place }: Assignment): string {
  const [kind, ...rest] = place.split(':');
  return `${ROLES.indexOf(role)}${PLACES.indexOf(kind!)}${rest.join(':')}`;
}
export const sortedRoles = (roles: readonly Assignment[]): Assignment[] => roles.toSorted((a, b) => compareText(order(a), order(b)));

const bodyShape = tagged('type', {
  assign_roles: { person: id('usr_'), roles: sorted(assignmentShape, order, 200) },
  create_service_account: { account: id('svc_'), token: hash, name, permissions: sorted(servicePermission, (entry) => entry, SERVICE_PERMISSIONS.length), scope: scopeShape, until: int },
  erase_person: { person: id('usr_') },
  export: { camera: id('cam_'), from: int, to: int, reason: nullable(text(REASON_CHARS_MAX)) },
  open_past: { device: id('dev_'), from: int },
  set_policy: { digest: hash },
  share: { share: id('shr_'), cameras: sorted(id('cam_'), (camera) => camera, 16), from: int, to: int, access: hash, until: int, openings: nullable(int), reason: nullable(text(REASON_CHARS_MAX)) },
});
export const actionShape = object({ org: id('org_'), nonce: hash, expires_at: int, previous_state: hash, action: bodyShape });
export type Action = Of<typeof bodyShape>;

/** What an `assign_roles` follows. */
export const rolesState = async (person: string, roles: readonly Assignment[]): Promise<string> => hex(await sha256(utf8(JSON.stringify([person, sortedRoles(roles)]))));

/** What a `set_policy` names: the files by name, in the order of their names. */
export async function policyDigest(files: Record<string, string>): Promise<string> {
  const entries = Object.entries(files).sort(([a], [b]) => compareText(a, b));
  return hex(await sha256(utf8(`{${entries.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`).join(',')}}`)));
}

/** What an envelope would have its signer order; its signatures are not judged. */
export const readAction = ({ payload }: Envelope): Of<typeof actionShape> => readCanonical(actionShape, fromBase64(payload), 'the action');

export async function signAction(org: string, previousState: string, action: Action, now: number, signer: Signer, lifeMs = EXPIRY_MS): Promise<Envelope> {
  const document = { org, nonce: hex(random(32)), expires_at: now + lifeMs, previous_state: previousState, action };
  return sign('action.v1+json', actionShape(document, 'the action'), signer);
}
