// The words of the history (crates/cloud-core writes them) as sentences, with ids turned into the names that the roster gives.

import type { HistoryEntry } from '../api/types';
import type { Statement } from '../seal/statements';
import type { Organisation } from './organisation.svelte';
import { t } from '../say';
import { dateTime } from './words';

const ACTIONS: Record<string, string> = {
  mint_upload: 'was allowed to store one recording',
  playback: 'opened a recording',
  live: 'watched live',
  list_recordings: 'listed recordings',
  configure: 'sent a signed command',
  enrol: 'handed over the roster',
  invite: 'invited a person',
  link_device: 'made a link for a device of',
  decline_device: 'turned a device away',
  open_past: 'opened older recordings to',
  hand_on: 'handed on keys to',
  append_roster: 'changed the roster',
  use_sheet: 'used the recovery sheet',
  propose: 'proposed a change',
  approve: 'agreed to a change',
  decline: 'declined a change',
  export: 'took footage out',
  ptz: t('moved'),
  change_presets: 'changed the positions of',
  share: 'shared footage by a link',
  open_share: 'was opened by whoever has the link',
  end_share: 'withdrew a link',
  bookmark: 'wrote a bookmark about',
  lock_footage: 'locked footage of',
  lift_lock: 'lifted a lock of footage of',
  remove_bookmark: 'removed a bookmark',
  add_passkey: 'added a passkey',
  rename_passkey: 'renamed a passkey',
  remove_passkey: 'removed a passkey',
  set_password: 'set password and code',
  remove_password: 'removed password and code',
  make_recovery_codes: 'made recovery codes',
  use_recovery_code: 'used a recovery code',
  list_cameras: 'listed cameras',
  list_gateways: 'listed gateways',
  create_service_account: 'made a service account',
  revoke_service_account: 'revoked a service account',
  assign_roles: 'gave roles to',
  set_policy: 'put policies in force',
  erase_person: t('erased'),
  state_reason: 'said why',
  arrange_wall: 'arranged a wall',
  read_events: 'read the events of',
  order_notices: 'chose notifications for',
  end_notices: 'turned notifications off for',
  order_mail: 'had mails sent to',
  end_mail: 'ended mails to',
  sign_in: 'signed in',
  end_sessions: 'signed out everywhere',
  create_person: 'made an account for',
  describe_person: t('described'),
  disable_person: 'shut out',
  enable_person: 'let in again',
  set_groups: 'told the groups of',
  remove_person: 'removed the account of',
  create_group: 'made a group',
  describe_group: 'described a group',
  set_members: 'changed who is in a group',
  remove_group: 'removed a group',
  refused: 'was refused',
  read_history: 'read the history',
  read_grants: 'fetched sealed keys',
  local_login: 'came in at the site itself',
  local_live: 'watched live at the site itself',
  local_playback: 'opened a recording at the site itself',
  local_export: 'took footage out at the site itself',
  local_refused: 'was refused at the site itself',
  local_journal_begins: 'began a journal of the site',
  local_journal_gap: 'has a hole in its journal',
  history_conflict: 'has seen another history',
  store_recordings: 'took note of',
};

export const actionNames = Object.keys(ACTIONS);
export const actionWords = (action: string): string => ACTIONS[action] ?? action.replaceAll('_', ' ');

const STATEMENTS: Record<Statement['type'], string> = {
  genesis: 'organisation founded',
  add_device: 'device let in',
  renew_device: 'device renewed',
  revoke_device: 'device shut out',
  add_gateway: 'gateway let in',
  revoke_gateway: 'gateway shut out',
  bind_camera: 'camera added or changed',
  set_access: 'access of a person',
  set_administrators: t('administrators'),
  set_witnesses: 'witnesses of the history',
  veto: 'recovery refused',
  snapshot: t('snapshot'),
};

const IDS = /\b(cam|gw|dev|usr|ep|org|shr|bm)_[0-9a-f]{32}\b/g;

export interface Names {
  organisation: Organisation;
  people: Record<string, string>;
}

/** How the log names people: all that is left of those who were erased. */
const REFERENCES = /\bref_[0-9a-f]{64}\b/g;
const erased = (): string => 'somebody who was erased';

export function nameOf(id: string, { organisation, people }: Names): string {
  if (id.startsWith('ref_')) return erased();
  if (id === 'cloud') return 'The server';
  if (id.startsWith('shr_')) return `The link ${short(id)}`;
  const { state } = organisation;
  const found = [...state.cameras, ...state.gateways, ...state.devices].find((entry) => entry.id === id);
  return found?.name ?? people[id] ?? short(id);
}

/** What it was done to, with known ids replaced and long digests cut. */
export function resourceWords({ action, resource }: HistoryEntry, names: Names): string {
  const [device, number] = resource.split(' ');
  if (action === 'open_past') return `${nameOf(device!, names)}, ${number === '0' ? 'all of them' : `since ${dateTime(Number(number))}`}`;
  if (action === 'hand_on') {
    const stretches = Number(number);
    return `${nameOf(device!, names)}, ${stretches === 1 ? 'of 1 stretch of at most an hour' : `of ${stretches} stretches of at most an hour`}`;
  }
  const batch = /^recordings\/[0-9a-f]{64}\/(\d+)$/.exec(resource);
  const arrived = Number(batch?.[1]);
  if (batch) return arrived === 1 ? '1 recording that arrived' : `${arrived} recordings that arrived`;
  const type = names.organisation.types.get(resource);
  if (type) return STATEMENTS[type];
  // An object's name begins with the organisation; what people look for is the camera in it.
  const object = /^(footage|grants)\/org_[0-9a-f]{32}\/([a-z]+_[0-9a-f]{32})/.exec(resource);
  if (object) return `${nameOf(object[2]!, names)} (${object[1] === 'footage' ? t('recording') : 'sealed keys'})`;
  return resource.replace(REFERENCES, erased()).replace(IDS, (id) => nameOf(id, names)).replace(/\b[0-9a-f]{64}\b/g, (digest) => `${digest.slice(0, 8)}…`);
}

export const short = (id: string): string => (/^[a-z]+_[0-9a-f]{32}$/.test(id) ? `${id.slice(0, id.indexOf('_') + 9)}…` : id);

export interface Row extends HistoryEntry {
  /** How many entries this row stands for, and when the first of them was. */
  times: number;
  since: number;
}

/** Entries that say the same about the same thing in a row become one: a player opens one recording in many requests. */
export function rows(entries: HistoryEntry[]): Row[] {
  const found: Row[] = [];
  for (const entry of entries) {
    const last = found.at(-1);
    if (last && last.actor === entry.actor && last.action === entry.action && last.resource === entry.resource) {
      last.times += entry.refused ?? 1;
      last.since = entry.at;
    } else {
      found.push({ ...entry, times: entry.refused ?? 1, since: entry.at });
    }
  }
  return found;
}
