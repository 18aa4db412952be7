// Links by which new devices come, as long as this page is open: what it needs to know a device again, and to work out the code.

import { post } from '../api/client';
import type { DeviceRequest } from '../api/types';
import { checkPairingMac, newPairing, type Pairing, pairingCode, pairingLookup, writePairing } from '../seal/pairing';
import type { Device } from '../seal/statements';
import type { Organisation } from './organisation.svelte';

interface Made {
  pairing: Pairing;
  nonce: string;
  /** The one device that was answered, with its keys: after the answer, others could be made that give the same code. */
  device: string | null;
}

const made = new Map<string, Made>();

/** What a link carries, so that this page knows whoever comes by it. */
export async function pairing(): Promise<string> {
  const { pairing, nonce } = await newPairing();
  made.set(await pairingLookup(pairing), { pairing, nonce, device: null });
  return writePairing(pairing);
}

/** For a browser, a phone or a command line of somebody who has an account. */
export async function deviceLink({ org, anchor }: Organisation, person: string): Promise<string> {
  const { token } = await post<{ token: string }>('/api/v1/device-links', { person });
  return `${location.origin}/device#${new URLSearchParams({ org, person, token, anchor, pairing: await pairing() })}`;
}

/** The code of a device that came by a link of this page; null of any other. Throws if its keys are false. */
export async function codeOf(anchor: string, device: Device, { pairing: proof, nonce }: DeviceRequest): Promise<string | null> {
  const found = proof && made.get(proof.lookup);
  if (!found) return null;
  await checkPairingMac(found.pairing, anchor, device, proof.mac);
  const whole = JSON.stringify(device);
  found.device ??= whole;
  if (found.device !== whole) throw new Error('Another device, or another key, came by the same link before. Somebody else knows the link: turn both away, and make a new one.');
  if (nonce === null) await post(`/api/v1/device-requests/${device.id}/nonce`, { nonce: found.nonce });
  return pairingCode(found.pairing.commitment, found.nonce, anchor, device);
}
