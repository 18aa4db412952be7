// Addresses that people hand on to others. A page of `lenskeep app` is on this machine alone: that program, and not the cloud, says where the
// cloud is.

import { get } from '../api/client';
import { pathTo } from './moment';
import { session } from './session.svelte';

export async function publicOrigin(): Promise<string> {
  return session.hasSite ? (await get<{ origin: string }>('/api/site/cloud')).origin : location.origin;
}

export const linkTo = async (camera: string, at: number): Promise<string> => (await publicOrigin()) + pathTo(camera, at);
