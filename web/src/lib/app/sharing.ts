// Who may watch what, and what is proposed, in words.

import type { Scope, Statement } from '../seal/statements';
import { type Names, nameOf } from './history';
import { dateTime } from './words';

export function scopeWords(scope: Scope, names: Names): string {
  switch (scope.kind) {
    case 'all':
      return 'all cameras';
    case 'cameras':
      return scope.cameras.length === 0 ? 'no camera' : scope.cameras.map((id) => nameOf(id, names)).join(', ');
    case 'groups':
      return scope.groups.length === 0 ? 'no camera' : `cameras in ${scope.groups.join(', ')}`;
  }
}

const until = (time: number | null) => (time === null ? '' : ` until ${dateTime(time)}`);

/** What a statement changes, for whoever is asked to sign it. */
export function statementWords(statement: Statement, names: Names): string {
  const named = (id: string) => `“${nameOf(id, names)}”`;
  switch (statement.type) {
    case 'genesis':
      return `Found the organisation “${statement.name}”`;
    case 'add_device':
      return `Let in the device “${statement.device.name}” of ${nameOf(statement.device.person, names)}${until(statement.device.until)}`;
    case 'renew_device':
      return `Renew the device ${named(statement.device)}${until(statement.until)}`;
    case 'revoke_device':
      return `Shut out the device ${named(statement.device)}`;
    case 'add_gateway':
      return `Let in the gateway “${statement.gateway.name}”`;
    case 'revoke_gateway':
      return `Shut out the gateway ${named(statement.gateway)}`;
    case 'bind_camera':
      return `Add or change the camera “${statement.camera.name}” at ${named(statement.camera.gateway)}`;
    case 'set_access':
      return `Let ${nameOf(statement.person, names)} watch ${scopeWords(statement.scope, names)}, ${statement.audio ? 'with' : 'without'} sound${statement.until === null ? '' : ','}${until(statement.until)}`;
    case 'set_administrators':
      return `Administrators: ${statement.devices.map(named).join(', ')}; ${statement.k === 1 ? 'each alone' : `${statement.k} people must agree`}`;
    case 'set_witnesses':
      return statement.witnesses.length === 0 ? 'Let nobody’s signature under the history count but the gateways’' : `Whose signatures under the history count, beside the gateways’: ${statement.witnesses.map(({ name }) => name).join(', ')}`;
    case 'veto':
      return 'Refuse a recovery';
    case 'snapshot':
      return 'Shorten the roster’s log by a snapshot';
  }
}

/** Days from now until the end of a local date such as `2026-12-24`. */
export function endOfDay(date: string): number {
  const [year, month, day] = date.split('-').map(Number);
  return new Date(year!, month! - 1, day! + 1).getTime() - 1;
}

export function startOfDay(date: string): number {
  const [year, month, day] = date.split('-').map(Number);
  return new Date(year!, month! - 1, day!).getTime();
}

/** The local date of a time, as date inputs want it. */
export function dateOf(time: number): string {
  const date = new Date(time);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
