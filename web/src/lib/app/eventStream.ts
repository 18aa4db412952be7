// Cameras of Axis tell events by ONVIF to users of their own for that, and by an event stream (VAPIX) to everybody who may sign in. So where the
// first comes to nothing, the second is tried: nobody needs to know which of them a camera has.

import type { Look } from '../seal/cameraAnswer';
import type { CameraAccess } from '../seal/commands';

const PATH = '/vapix/ws-data-stream';
/** Of a service where nobody answers, nothing beside it does. */
const NOBODY = /^cannot connect /;

/** Looks, and once more at the event stream if that is what a camera has. What it gives is the access that was seen to be good. */
export async function lookForEvents<T extends { answer: Look }>(access: CameraAccess, look: (access: CameraAccess) => Promise<T>): Promise<T & { access: CameraAccess }> {
  const seen = await look(access);
  const error = seen.answer.events?.error ?? null;
  if (error === null || access.onvif_url === null || NOBODY.test(error)) return { ...seen, access };
  const beside = { ...access, onvif_url: new URL(PATH, access.onvif_url).href };
  const again = beside.onvif_url === access.onvif_url ? null : await look(beside).catch(() => null);
  return again?.answer.events?.error === null ? { ...again, access: beside } : { ...seen, access };
}
