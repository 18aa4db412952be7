// The statements of the roster as they are written (docs/format.md section 2). Shapes only; roster.ts has the rules.

import { KEM_PUBLIC_BYTES } from './limits';
import { b64, bool, hash, id, int, literal, loose, name, nullable, object, type Of, type Shape, sorted, tagged } from './shape';
import { compareText, refuse } from './bytes';

const LIST_MAX = 10_000;
const WITNESSES_MAX = 16;

const org = id('org_');
const person = id('usr_');
const deviceId = id('dev_');
const gatewayId = id('gw_');
const cameraId = id('cam_');
const kem = b64(KEM_PUBLIC_BYTES);
const signKey = b64(32);
const self = (entry: string) => entry;

const deviceFields = { id: deviceId, person, name, kind: literal('browser', 'app', 'cli'), kem, sign: signKey, until: int };
const gatewayFields = { id: gatewayId, name, kem, sign: signKey };

export const deviceShape = object(deviceFields);
export const recoveryShape = object({ id: deviceId, kem, sign: signKey });
export const gatewayShape = object(gatewayFields);
/** As they come in answers that nobody signed: in any order. What is read from them is in the order of the format again. */
export const offeredDevice = loose(deviceFields);
export const offeredGateway = loose(gatewayFields);
export const cameraShape = object({
  id: cameraId,
  name,
  gateway: gatewayId,
  serial: nullable(name),
  certificate: nullable(hash),
  groups: sorted(name, self, 1000),
});
export const scopeShape = tagged('kind', {
  all: {},
  cameras: { cameras: sorted(cameraId, self, LIST_MAX) },
  groups: { groups: sorted(name, self, LIST_MAX) },
});
/** One word, as C2SP signed-note has it: it stands in a line. */
const witnessName: Shape<string> = (value, at) => {
  const found = name(value, at);
  return /[\p{White_Space}+]/u.test(found) ? refuse(`${at} must have no spaces and no plus`) : found;
};
export const witnessShape = object({ name: witnessName, key: signKey });
export const administratorsShape = object({ k: int, devices: sorted(deviceId, self, LIST_MAX) });
export const statementShape = tagged('type', {
  genesis: { name, device: deviceShape, recovery: recoveryShape, administrators: administratorsShape },
  add_device: { device: deviceShape },
  renew_device: { device: deviceId, until: int },
  revoke_device: { device: deviceId },
  add_gateway: { gateway: gatewayShape },
  revoke_gateway: { gateway: gatewayId },
  bind_camera: { camera: cameraShape },
  set_access: { person, scope: scopeShape, audio: bool, until: nullable(int) },
  set_administrators: { k: int, devices: sorted(deviceId, self, LIST_MAX) },
  set_witnesses: { witnesses: sorted(witnessShape, (witness) => witness.name, WITNESSES_MAX) },
  veto: { statement: hash },
  /** SHA-256 of the state, which whoever replays has. */
  snapshot: { state: hash },
});

export const entryShape = object({ org, seq: int, previous: nullable(hash), at: int, statement: statementShape });

export type Device = Of<typeof deviceShape>;
export type Recovery = Of<typeof recoveryShape>;
export type Gateway = Of<typeof gatewayShape>;
export type Camera = Of<typeof cameraShape>;
export type Scope = Of<typeof scopeShape>;
export type Witness = Of<typeof witnessShape>;
export type Administrators = Of<typeof administratorsShape>;
export type Statement = Of<typeof statementShape>;
export type Entry = Of<typeof entryShape>;

export interface Access {
  person: string;
  scope: Scope;
  audio: boolean;
  until: number | null;
}

/** What the log amounts to, with its keys in the order in which a snapshot's hash is taken. */
export interface State {
  name: string;
  devices: Device[];
  revoked_devices: string[];
  recovery: Recovery;
  gateways: Gateway[];
  revoked_gateways: string[];
  cameras: Camera[];
  access: Access[];
  administrators: Administrators;
  witnesses: Witness[];
}

/** Sorted as `sorted` asks for it. */
export function inOrder<T>(entries: Iterable<T>, key: (entry: T) => string): T[] {
  return [...entries].sort((a, b) => compareText(key(a), key(b)));
}
