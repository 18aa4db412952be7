// Epoch grants (docs/format.md section 4): opens the keys that a gateway sealed to this device, and hands on those of the past.
// Refuses a grant that the roster's gateway did not sign, that is for somebody else, or whose keys differ from the signed commitments.

import { base64, type Bytes, equal, fromBase64, fromHex, refuse } from './bytes';
import { keyCommitment, type Signer } from './crypto';
import { type Envelope, openSignedBy, peek, sign } from './dsse';
import { KEM_ENC_BYTES } from './limits';
import { b64, hash, id, int, nullable, object, type Of, readCanonical, sorted, writeCanonical } from './shape';
import type { Device, Gateway } from './statements';

/** The larger half of the Worker, which the page that asks for a passkey does not wait for. */
export const hpke = () => import('./hpke');

const CAMERAS_MAX = 500;
const cameraId = id('cam_');
const byCamera = (entry: { camera: string }) => entry.camera;

const about = { org: id('org_'), gateway: id('gw_'), epoch: id('ep_'), device: id('dev_') };
const rest = {
  roster_head: hash,
  created_at: int,
  cameras: sorted(object({ camera: cameraId, video: hash, audio: hash }), byCamera, CAMERAS_MAX),
  enc: b64(KEM_ENC_BYTES),
  ciphertext: b64(16, 256 * 1024),
};
const grantShape = object({ ...about, ...rest });
const pastShape = object({ ...about, by: id('dev_'), ...rest });
const INFO = 'lenskeep epoch grant v1';
const PAST_INFO = 'lenskeep past grant v1';

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
  return { grant, cameras: await openKeys(grant, INFO, associated, kemSeed) };
}

/**
 * What an administrator's device handed on. Its keys are believed by what they open, which carries the gateway's commitment to them.
 * The signature of an author whom the roster names must fit; then the head that it stands on is the author's word.
 */
export async function openPastGrant(
  envelope: Envelope,
  expected: { org: string; gateway: string; epoch: string; device: string },
  kemSeed: Uint8Array,
  keyOf: (author: string) => string | undefined,
): Promise<{ grant: Of<typeof pastShape>; cameras: Map<string, EpochKeys>; isSigned: boolean }> {
  const { document: grant } = await peek(envelope, 'past-grant.v1+json', pastShape);
  if (grant.org !== expected.org || grant.gateway !== expected.gateway || grant.epoch !== expected.epoch || grant.device !== expected.device) {
    refuse('what was handed on is for another organisation, gateway, epoch or device');
  }
  const key = keyOf(grant.by);
  if (key !== undefined) await openSignedBy(envelope, 'past-grant.v1+json', pastShape, grant.by, fromBase64(key));
  const cameras = await openKeys(grant, PAST_INFO, [grant.org, grant.gateway, grant.epoch, grant.device, grant.by].join('|'), kemSeed);
  return { grant, cameras, isSigned: key !== undefined };
}

/** Hands on the keys of these cameras to another device, those of sound if it may hear them; null if there are none. */
export async function handOn({ grant, cameras }: OpenedGrant, to: Device, rights: { cameras: ReadonlySet<string>; audio: boolean }, rosterHead: string, now: number, signer: Signer): Promise<Envelope | null> {
  const committed = grant.cameras.filter(({ camera }) => rights.cameras.has(camera));
  if (committed.length === 0) return null;
  const keys = committed.map(({ camera }) => {
    const { video, audio } = cameras.get(camera)!;
    return { camera, video: base64(video), audio: audio && rights.audio ? base64(audio) : null };
  });
  const { org, gateway, epoch } = grant;
  const plain = writeCanonical({ cameras: keys });
  const { enc, ciphertext } = await (await hpke()).hpkeSeal(fromBase64(to.kem), PAST_INFO, [org, gateway, epoch, to.id, signer.keyid].join('|'), plain);
  plain.fill(0);
  const document = { org, gateway, epoch, device: to.id, by: signer.keyid, roster_head: rosterHead, created_at: now, cameras: committed, enc: base64(enc), ciphertext: base64(ciphertext) };
  return sign('past-grant.v1+json', pastShape(document, 'the grant'), signer);
}

async function openKeys(grant: Pick<Grant, 'cameras' | 'enc' | 'ciphertext'>, info: string, associated: string, kemSeed: Uint8Array): Promise<Map<string, EpochKeys>> {
  const plain = await (await hpke()).hpkeOpen(kemSeed, info, associated, fromBase64(grant.enc), fromBase64(grant.ciphertext));
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
    return cameras;
  } finally {
    plain.fill(0);
  }
}

async function checkKey(key: Bytes, commitment: string): Promise<void> {
  if (!equal(await keyCommitment(key), fromHex(commitment))) refuse('a key of the epoch grant is not the one that the gateway committed to');
}
