// The recovery sheet, when nobody is left who could let this browser in: its words sign that this browser is let in, as the one administrator.
// It takes effect after 72 hours, in which every administrator can object.

import type { StoredDevice } from '../device/store';
import { DAY_MS, DEVICE_DAYS_MAX, RECOVERY_DELAY_MS } from '../seal/limits';
import { Roster } from '../seal/roster';
import { postSigned } from './confirmed';
import { call } from './keeper';
import { fetchAfter } from './organisation.svelte';

/** Answers with the time at which it takes effect. That the roster names the sheet's key proves no organisation: a server can name it in
 * another genesis. What is signed follows this log alone, and the person still compares which organisation it is. */
export async function recover({ anchor, device }: StoredDevice, words: string): Promise<number> {
  const now = Date.now();
  const [genesis, ...rest] = await fetchAfter(null);
  const roster = await Roster.start(genesis!, anchor, now);
  for (const envelope of rest) await roster.append(envelope, now);
  const { recovery } = roster.facts;
  if ((await call('recoveryKey', words)) !== recovery.sign) throw new Error('These are the words of another organisation’s sheet.');
  const signer = { keyid: recovery.id, sign: (data: Uint8Array<ArrayBuffer>) => call('signByRecovery', { words, data }) };
  const until = Math.min(device.until, now + DEVICE_DAYS_MAX * DAY_MS);
  const envelopes = await roster.following([{ type: 'add_device', device: { ...device, until } }, { type: 'set_administrators', k: 1, devices: [device.id] }], now, signer);
  for (const [i, envelope] of envelopes.entries()) await postSigned('/api/v1/roster', { envelope }, envelopes.slice(i + 1));
  return now + RECOVERY_DELAY_MS;
}
