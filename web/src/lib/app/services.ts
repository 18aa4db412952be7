// Accounts of programs. This browser makes the token, and signs what the account may do; the server learns the token's hash.

import { get, remove } from '../api/client';
import { tAs } from '../say';
import type { ServiceListing } from '../api/types';
import type { Action, ServicePermission } from '../seal/action';
import { hex, utf8 } from '../seal/bytes';
import { random, sha256 } from '../seal/crypto';
import { name } from '../seal/shape';
import type { Scope } from '../seal/statements';
import { order } from './orders';
import { type Organisation, Proposed } from './organisation.svelte';

const PATH = '/api/v1/service-accounts';

export const PERMISSION_WORDS: Record<ServicePermission, string> = {
  list_cameras: 'see cameras and how their streams are',
  list_gateways: 'see gateways and whether they are connected',
  list_recordings: 'see when something was recorded',
  read_history: tAs('permission', 'read the history'),
  provision_people: 'provision people (SCIM)',
};

export const services = async (): Promise<ServiceListing[]> => (await get<{ accounts: ServiceListing[] }>(PATH)).accounts;
export const revoke = (id: string): Promise<void> => remove(`${PATH}/${id}`);

export interface Made {
  name: string;
  token: string;
  /** Others have to agree before the token is worth something. */
  proposed: boolean;
}

export async function create(organisation: Organisation, wanted: { name: string; permissions: ServicePermission[]; scope: Scope; until: number }): Promise<Made> {
  await organisation.refresh();
  const token = `lkst_${hex(random(32))}`;
  const made = { name: name(wanted.name.trim(), 'the name'), token };
  const account = `svc_${hex(random(16))}`;
  const action: Action = { type: 'create_service_account', account, token: hex(await sha256(utf8(token))), name: made.name, permissions: wanted.permissions.toSorted(), scope: wanted.scope, until: wanted.until };
  try {
    await order(organisation, PATH, organisation.headHash, action);
    return { ...made, proposed: false };
  } catch (error) {
    if (error instanceof Proposed) return { ...made, proposed: true };
    throw error;
  }
}
