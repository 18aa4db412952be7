// Accounts of programs. Making one is signed by this device and confirmed by its person.

import { get, remove } from '../api/client';
import type { ServiceListing, ServiceToken } from '../api/types';
import { type Action, signAction, type ServicePermission } from '../seal/action';
import { hex } from '../seal/bytes';
import { random } from '../seal/crypto';
import { name } from '../seal/shape';
import type { Scope } from '../seal/statements';
import { postSigned } from './confirmed';
import { call } from './keeper';
import type { Organisation } from './organisation.svelte';

const PATH = '/api/v1/service-accounts';

export const PERMISSION_WORDS: Record<ServicePermission, string> = {
  list_cameras: 'see cameras and how their streams are',
  list_gateways: 'see gateways and whether they are connected',
  list_recordings: 'see when something was recorded',
  read_history: 'read the history',
  provision_people: 'provision people (SCIM)',
};

export const services = async (): Promise<ServiceListing[]> => (await get<{ accounts: ServiceListing[] }>(PATH)).accounts;
export const revoke = (id: string): Promise<void> => remove(`${PATH}/${id}`);

export async function create(organisation: Organisation, wanted: { name: string; permissions: ServicePermission[]; scope: Scope; until: number }): Promise<ServiceToken> {
  await organisation.refresh();
  const action: Action = { type: 'create_service_account', account: `svc_${hex(random(16))}`, name: name(wanted.name.trim(), 'the name'), permissions: wanted.permissions.toSorted(), scope: wanted.scope, until: wanted.until };
  const signer = { keyid: organisation.device, sign: (data: Uint8Array<ArrayBuffer>) => call('sign', data) };
  const envelope = await signAction(organisation.org, organisation.headHash, action, Date.now(), signer);
  return postSigned<ServiceToken>(PATH, { envelope });
}
