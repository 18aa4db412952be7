// Footage shared by links: making one, looking at those that there are, withdrawing them. The part of a link that opens anything is known to
// this page alone, until somebody copies it.

import { get, remove } from '../api/client';
import type { Share } from '../api/types';
import { fromHex, hex } from '../seal/bytes';
import { Capsule, newCapsuleKey, newShareId } from '../seal/capsule';
import { sha256 } from '../seal/crypto';
import { linkTo } from './origin';

export interface NewLink {
  share: string;
  key: string;
  /** SHA-256, in hex, of what whoever opens it shows. */
  access: string;
}

export async function newLink(): Promise<NewLink> {
  const [share, key] = [newShareId(), newCapsuleKey()];
  const { access } = await Capsule.of(share, key);
  return { share, key, access: hex(await sha256(fromHex(access))) };
}

export const linkOf = ({ share, key }: NewLink): Promise<string> => linkTo(`/s/${share}#${key}`);

export const links = async (): Promise<Share[]> => (await get<{ shares: Share[] }>('/api/v1/shares')).shares;
export const withdrawLink = (share: string): Promise<void> => remove(`/api/v1/shares/${share}`);

/** How it is with a link. */
export const LINK_STATES: Record<Share['state'], { text: string; tone: 'good' | 'busy' | 'soft' | 'bad' }> = {
  making: { text: 'Being made', tone: 'busy' },
  failed: { text: 'Not finished', tone: 'bad' },
  open: { text: 'Opens', tone: 'good' },
  over: { text: 'Over', tone: 'soft' },
  used_up: { text: 'Used up', tone: 'soft' },
  withdrawn: { text: 'Withdrawn', tone: 'soft' },
};
