// Epoch grants (docs/format.md section 4): opens the keys that a gateway sealed to this device.
// Refuses a grant that the roster's gateway did not sign, that is for somebody else, or whose keys differ from the signed commitments.

import { type Bytes, equal, fromBase64, fromHex, refuse } from './bytes';
import { keyCommitment } from './crypto';
import { type Envelope, openSignedBy } from './dsse';
import { hpkeOpen } from './hpke';
import { KEM_ENC_BYTES } from './limits';
import { b64, hash, id, int, nullable, object, type Of, readCanonical, sorted } from './shape';
import type { Gateway } from './statements';

const CAMERAS_MAX = 500;
const cameraId = id('cam_');
const byCamera = (entry: { camera: string }) => entry.camera;

const grantShape = object({
  org: id('org_'),
  gateway: id('gw_'),
  epoch: id('ep_'),
  device: id('dev_'),
  roster_head: hash,
  created_at: int,
  cameras: sorted(object({ camera: cameraId, video: hash, audio: hash }), byCamera, CAMERAS_MAX),
  enc: b64(KEM_ENC_BYTES),
  ciphertext: b64(16, 256 * 1024),
});

const keysShape = object({ cameras: sorted(object({ camera: cameraId, video: b64(32), audio: nullable(b64(32)) }), byCamera, CAMERAS_MAX) });

export type Grant = Of<typeof grantShape>;

export interface EpochKeys {
  video: Bytes;
  audio: Bytes | null;
}

export interface OpenedGrant {
  grant: Grant;
  cameras: Map<string, EpochKeys>;
}

export async function openGrant(envelope: Envelope, expected: { org: string; gateway: Gateway; epoch: string; device: string }, kemSeed: Uint8Array): Promise<OpenedGrant> {
  const { gateway } = expected;
  const { document: grant } = await openSignedBy(envelope, 'epoch-grant.v1+json', grantShape, gateway.id, fromBase64(gateway.sign));
  if (grant.org !== expected.org || grant.gateway !== gateway.id || grant.epoch !== expected.epoch || grant.device !== expected.device) {
    refuse('the epoch grant is for another organisation, gateway, epoch or device');
  }
  const associated = [grant.org, grant.gateway, grant.epoch, grant.device].join('|');
  const plain = await hpkeOpen(kemSeed, 'lenskeep epoch grant v1', associated, fromBase64(grant.enc), fromBase64(grant.ciphertext));
  try {
    const keys = readCanonical(keysShape, plain, 'the keys of the epoch grant').cameras;
    if (keys.length !== grant.cameras.length) refuse('the epoch grant has other cameras outside than inside');
    const cameras = new Map<string, EpochKeys>();
    for (const [i, committed] of grant.cameras.entries()) {
      const { camera, video, audio } = keys[i]!;
      if (camera !== committed.camera) refuse('the epoch grant has other cameras outside than inside');
      const opened = { video: fromBase64(video), audio: audio === null ? null : fromBase64(audio) };
      await checkKey(opened.video, committed.video);
      if (opened.audio) await checkKey(opened.audio, committed.audio);
      cameras.set(camera, opened);
    }
    return { grant, cameras };
  } finally {
    plain.fill(0);
  }
}

async function checkKey(key: Bytes, commitment: string): Promise<void> {
  if (!equal(await keyCommitment(key), fromHex(commitment))) refuse('a key of the epoch grant is not the one that the gateway committed to');
}
