// The words of the history (crates/cloud-core writes them) as sentences, with ids turned into the names that the roster gives.

import type { HistoryEntry } from '../api/types';
import type { Organisation } from './organisation.svelte';

const ACTIONS: Record<string, string> = {
  mint_upload: 'was allowed to store one recording',
  playback: 'opened a recording',
  live: 'watched live',
  list_recordings: 'listed recordings',
  configure: 'sent a signed command',
  enrol: 'handed over the roster',
  invite: 'invited a person',
  append_roster: 'changed the roster',
  read_history: 'read the history',
  read_grants: 'fetched sealed keys',
};

export const actionWords = (action: string): string => ACTIONS[action] ?? action.replaceAll('_', ' ');

const IDS = /\b(cam|gw|dev|usr|ep|org)_[0-9a-f]{32}\b/g;

export interface Names {
  organisation: Organisation;
  people: Record<string, string>;
}

export function nameOf(id: string, { organisation, people }: Names): string {
  const { state } = organisation;
  const found = [...state.cameras, ...state.gateways, ...state.devices].find((entry) => entry.id === id);
  return found?.name ?? people[id] ?? short(id);
}

/** What it was done to, with known ids replaced and long digests cut. */
export function resourceWords({ resource }: HistoryEntry, names: Names): string {
  // An object's name begins with the organisation; what people look for is the camera in it.
  const object = /^(footage|grants)\/org_[0-9a-f]{32}\/([a-z]+_[0-9a-f]{32})/.exec(resource);
  if (object) return `${nameOf(object[2]!, names)} (${object[1] === 'footage' ? 'recording' : 'sealed keys'})`;
  return resource.replace(IDS, (id) => nameOf(id, names)).replace(/\b[0-9a-f]{64}\b/g, (digest) => `${digest.slice(0, 8)}…`);
}

export const short = (id: string): string => (/^[a-z]+_[0-9a-f]{32}$/.test(id) ? `${id.slice(0, id.indexOf('_') + 9)}…` : id);
