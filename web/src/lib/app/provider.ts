// Signing in at an OpenID provider: the browser goes there, and comes back to /sign-in/ID with a code.

import { open, post } from '../api/client';
import type { Me } from '../api/types';
import { sessionKey } from '../device/proof';
import { type Returned, readReturn } from './returned';
import { router } from './router.svelte';

/** What a provider sent this page back with; it leaves the address at once. */
export function takeReturn(): Returned | null {
  const returned = readReturn(location);
  if (returned) router.go('/', true);
  return returned;
}

/** The key that the session will be bound to is made now: only this browser can finish. */
export async function leaveFor(provider: string): Promise<void> {
  const { location: to } = await open<{ location: string }>(`/api/v1/login/providers/${provider}/begin`, {});
  if (!/^https?:\/\//.test(to)) throw new Error('The server names no address to sign in at.');
  location.assign(to);
}

export async function comeBack({ provider, code, state, iss, error }: Returned): Promise<Me> {
  if (code === null) throw new Error(error === 'access_denied' ? 'You were not let in there, or went back.' : 'The provider let nobody in. Start again from here.');
  if (!(await sessionKey())) throw new Error('This sign-in was not begun in this browser. Start again from here.');
  return post<Me>(`/api/v1/login/providers/${provider}`, { state, code, iss });
}
