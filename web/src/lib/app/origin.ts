// Addresses that people hand on to others. A page of `lenskeep app` is on this machine alone: that program, and not the cloud, says where the
// cloud is. A cloud on this machine knows no such call.

import { get } from '../api/client';

export async function linkTo(path: string): Promise<string> {
  const own = () => location.origin;
  return (location.hostname === 'localhost' ? await get<{ origin: string }>('/api/site/cloud').then(({ origin }) => origin, own) : own()) + path;
}

/** Whether nobody on another machine can follow it. */
export const staysHere = (address: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(address).hostname);
