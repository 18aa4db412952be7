// Roles: who does what where. A role narrows what was shared and never widens it; assigning one is signed by this device, and by others
// where several administrators must agree.

import { get, post } from '../api/client';
import { type Action, type Assignment, type Role, rolesState, sortedRoles } from '../seal/action';
import { t } from '../say';
import { type Names, nameOf } from './history';
import { order } from './orders';
import type { Organisation } from './organisation.svelte';
import { PERMISSION_WORDS } from './services';
import { scopeWords } from './sharing';
import { dateTime } from './words';

/** Shorter than the longest that an action may live: clocks differ. */

export const ROLE_WORDS: Record<Role, { title: string; may: string }> = {
  viewer: { title: 'Viewer', may: 'watches and plays' },
  operator: { title: 'Operator', may: 'watches, plays, hears, moves, exports, shares and locks' },
  auditor: { title: 'Auditor', may: 'reads the history, and opens no picture by this role' },
  installer: { title: 'Installer', may: 'delivers orders that administrators signed to sites' },
};

export interface RolesOf {
  person: string;
  roles: Assignment[];
}

export interface AllRoles {
  /** As administrators assigned them. */
  assigned: Map<string, Assignment[]>;
  /** Beside those, by groups of identity providers and directories. */
  byGroups: Map<string, Assignment[]>;
}

export async function allRoles(): Promise<AllRoles> {
  const { people, by_groups } = await get<{ people: RolesOf[]; by_groups: RolesOf[] }>('/api/v1/roles');
  const map = (list: RolesOf[]) => new Map(list.map(({ person, roles }) => [person, roles]));
  return { assigned: map(people), byGroups: map(by_groups) };
}

export async function assignRoles(organisation: Organisation, person: string, before: readonly Assignment[], after: readonly Assignment[]): Promise<void> {
  await organisation.refresh();
  await order(organisation, '/api/v1/roles', await rolesState(person, before), { type: 'assign_roles', person, roles: sortedRoles(after) });
}

/** Has the server forget who somebody was; ids and signatures stay. */
export async function erase(organisation: Organisation, person: string): Promise<void> {
  await organisation.refresh();
  await order(organisation, '/api/v1/erasures', organisation.headHash, { type: 'erase_person', person });
}

export function placeWords(place: string, names: Names): string {
  const at = place.indexOf(':');
  const [kind, which] = at < 0 ? [place, ''] : [place.slice(0, at), place.slice(at + 1)];
  if (kind === 'all') return t('everywhere');
  return kind === 'group' ? `in ${which}` : `at ${nameOf(which, names)}`;
}

export const assignmentWords = ({ role, place }: Assignment, names: Names): string => `${ROLE_WORDS[role].title} ${placeWords(place, names)}`;

/** What a signed action orders, for whoever is asked to sign it too. */
export function actionWords(action: Action, names: Names): string {
  switch (action.type) {
    case 'assign_roles':
      return action.roles.length === 0 ? `Take all roles from ${nameOf(action.person, names)}` : `Make ${nameOf(action.person, names)} ${action.roles.map((role) => assignmentWords(role, names)).join(', ')}`;
    case 'erase_person':
      return `Forget who ${nameOf(action.person, names)} was`;
    case 'create_service_account':
      return `Give the program “${action.name}” an account until ${dateTime(action.until)}: it may ${action.permissions.map((permission) => PERMISSION_WORDS[permission]).join(', ')}; about ${scopeWords(action.scope, names)}`;
    case 'set_policy':
      return 'Put another set of policies in force';
    default:
      return 'Something that is not agreed on here';
  }
}

/** Why an answer about a camera comes out as it does. */
export interface Explained {
  allowed: boolean;
  refused: string | null;
  rules: { id: string; why: string }[];
  missing: 'reason' | 'second_factor' | null;
}

export const why = (operation: string, camera: string, person?: string): Promise<Explained> => post<Explained>('/api/v1/explanations', { operation, camera, person: person ?? null });
