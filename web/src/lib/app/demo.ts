// The synthetic camera of `lenskeep up`: tested, sealed to the gateway and bound like any other.

import type { DemoCamera } from '../api/types';
import type { Gateway } from '../seal/statements';
import { addCamera, newCameraId, testCamera } from './actions';
import type { Organisation } from './organisation.svelte';

export const demoName = (): string => 'Demo camera';

export async function addDemoCamera(organisation: Organisation, gateway: Gateway, demo: DemoCamera): Promise<void> {
  const { url, sub_url, onvif_url, username, password } = demo;
  const id = newCameraId();
  const access = { url, sub_url, username, password, certificate: null, onvif_url };
  const { certificate } = await testCamera(organisation, gateway, id, access);
  await addCamera(organisation, gateway, { id, name: demoName() }, { ...access, certificate });
}
