// Addresses that people hand on to others. A page of `lenskeep app` is on this machine alone: that program, and not the cloud, says where the
// cloud is.

import { get } from '../api/client';
import { session } from './session.svelte';

export async function linkTo(path: string): Promise<string> {
  const origin = session.hasSite ? (await get<{ origin: string }>('/api/site/cloud')).origin : location.origin;
  return origin + path;
}
