// The way to a gateway of this network, without the cloud: `lenskeep app` carries it, and this browser's device proves itself.

import { ApiError, post } from '../api/client';
import { loadRosterMemory, loadSite, saveSite, type StoredDevice } from '../device/store';
import { type Bytes, hex } from '../seal/bytes';
import { random } from '../seal/crypto';
import { readEnvelope } from '../seal/dsse';
import { answerTo, type KnownGateway } from '../seal/local';
import type { Head } from '../seal/roster';
import { call } from './keeper';

export { loadSite };

interface Knocked {
  envelope: unknown;
  certificate: string;
  knock: string;
}

/** Whether this page comes from a program that goes that way: that one asks for a key, and a cloud knows no such call. */
export const siteWorks = (): Promise<boolean> => post('/api/site/ticket').then(() => true, (error: unknown) => error instanceof ApiError && error.status === 401);

/** Lets this browser in at the gateway at an address. `key` is what it is known by from then on, `head` what it says is its roster’s newest statement. */
export async function enterSite({ org, device }: StoredDevice, address: string): Promise<{ gateway: KnownGateway; key: string; head: Head }> {
  const gateways = (await loadRosterMemory())?.gateways ?? [];
  if (gateways.length === 0) throw new Error('This browser knows no gateway yet. It learns them when it is signed in at the cloud.');
  const challenge = hex(random(32));
  const { envelope, certificate, knock } = await post<Knocked>('/api/site/hello', { address, challenge });
  const signer = { keyid: device.id, sign: (data: Bytes) => call('sign', data) };
  const { gateway, head, login } = await answerTo(readEnvelope(envelope), { org, gateways, challenge, certificate }, signer);
  const { key } = await post<{ key: string }>('/api/site/login', { knock, envelope: login });
  await saveSite(address);
  return { gateway, key, head };
}
