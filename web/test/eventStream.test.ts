// Which way of telling events a camera is given.

import { describe, expect, it } from 'vitest';
import { lookForEvents } from '../src/lib/app/eventStream';
import type { Look } from '../src/lib/seal/cameraAnswer';
import type { CameraAccess } from '../src/lib/seal/commands';

const ONVIF = 'http://192.0.2.10:8080/onvif/device_service';
const STREAM = 'http://192.0.2.10:8080/vapix/ws-data-stream';
const access: CameraAccess = { url: 'rtsp://192.0.2.10/1', sub_url: null, username: 'a', password: 'b', certificate: null, onvif_url: ONVIF };

/** A camera that says so at each address; what is none of them it refuses. */
function camera(says: Record<string, string | null>) {
  const asked: (string | null)[] = [];
  const look = async ({ onvif_url }: CameraAccess): Promise<{ answer: Look }> => {
    asked.push(onvif_url);
    if (onvif_url !== null && !(onvif_url in says)) throw new Error('no answer');
    const events = onvif_url === null ? null : { error: says[onvif_url]! };
    return { answer: { type: 'look', main: null, sub: null, certificate: null, events, picture: null } as Look };
  };
  return { asked, look };
}

describe('the event stream of a camera', () => {
  it('is tried where ONVIF comes to nothing, and taken if it is good', async () => {
    const { asked, look } = camera({ [ONVIF]: 'the camera refuses user name or password, or wants some', [STREAM]: null });
    const seen = await lookForEvents(access, look);
    expect([seen.access.onvif_url, seen.answer.events?.error]).toEqual([STREAM, null]);
    expect(seen.access).toEqual({ ...access, onvif_url: STREAM });
    expect(asked).toEqual([ONVIF, STREAM]);
  });

  it('is left alone where ONVIF is good, where nobody answers, and where nothing is asked', async () => {
    for (const error of [null, 'cannot connect to 192.0.2.10:8080: connection refused']) {
      const { asked, look } = camera({ [ONVIF]: error });
      expect((await lookForEvents(access, look)).access).toEqual(access);
      expect(asked).toEqual([ONVIF]);
    }
    const { asked, look } = camera({});
    expect((await lookForEvents({ ...access, onvif_url: null }, look)).access.onvif_url).toBeNull();
    expect(asked).toEqual([null]);
  });

  it('changes nothing if it is no better', async () => {
    const cameras: Record<string, string>[] = [{ [ONVIF]: 'no service' }, { [ONVIF]: 'no service', [STREAM]: 'status 404' }];
    for (const says of cameras) {
      const { asked, look } = camera(says);
      const seen = await lookForEvents(access, look);
      expect([seen.access.onvif_url, seen.answer.events?.error]).toEqual([ONVIF, 'no service']);
      expect(asked).toEqual([ONVIF, STREAM]);
    }
    const { asked, look } = camera({ [STREAM]: 'status 404' });
    await lookForEvents({ ...access, onvif_url: STREAM }, look);
    expect(asked).toEqual([STREAM]);
  });
});
