// What a gateway found out about cameras for this device (docs/format.md section 3.1). It is sealed to the device that asked:
// the server, which carries it, learns no address of the site's network. Everything in it is a camera's word.

import { type Bytes, fromBase64 } from './bytes';
import { type SealedAnswer, streamShape } from './commands';
import { hpkeOpen } from './hpke';
import { b64, bool, hash, id, int, list, literal, nullable, object, type Of, pattern, readCanonical, type Shape, tagged, text } from './shape';

export interface CameraQuestion {
  onvif_url: string;
  username: string | null;
  password: string | null;
  certificate: string | null;
}

/** What a person can do something about. */
export type Cause = Of<typeof cause>;

const CAMERAS_MAX = 128;
const ADDRESSES_MAX = 4;
const PROFILES_MAX = 8;
const PICTURE_BYTES_MAX = 128 * 1024;
const ANSWER_BYTES_MAX = 192 * 1024;

const url = text(2048, 1);
const words = nullable(text(64, 1));
const cause = literal('unreachable', 'password', 'right', 'locked', 'certificate', 'no_onvif', 'no_rtsp', 'codec', 'other');
const found = object({ address: text(64, 1), onvif_urls: list(url, ADDRESSES_MAX, 1), name: words, hardware: words, location: words, camera: nullable(id('cam_')) });
const profile = object({
  name: text(64, 1),
  url,
  codec: text(16),
  width: int,
  height: int,
  frames_per_second: nullable(int),
  kilobits_max: nullable(int),
  key_frame_every: nullable(int),
  has_audio: bool,
});
const seen = object({ stream: streamShape, bits_per_second: int, frames_per_second: int, key_frame_every_ms: nullable(int), for_ms: int });
const picture = object({ codec: text(64, 1), description: nullable(b64(1, 65_536)), width: int, height: int, data: b64(1, PICTURE_BYTES_MAX) });
/** Of a page of findings: cameras, and findings of one camera. */
const SWEPT_MAX = 96;
const LEAKS_MAX = 64;
const leakWords = text(256);
const camera = id('cam_');
const leak = object({
  fingerprint: pattern(/^(?:[0-9a-f]{3}|[0-9a-f]{32})$/, 'a fingerprint'),
  rule: leakWords,
  title: leakWords,
  opens: leakWords,
  remedy: leakWords,
  severity: literal('info', 'low', 'medium', 'high', 'critical'),
  place: leakWords,
  parameter: nullable(leakWords),
  line: nullable(int),
  redacted: text(16),
  ends_at: nullable(int),
  first_at: int,
});
const swept = object({ camera, swept_at: nullable(int), read: int, error: nullable(leakWords), findings: list(leak, LEAKS_MAX), left_out: int });
const looked = { main: nullable(seen), sub: nullable(seen), certificate: nullable(hash) };
const events = object({ error: nullable(text(4096)) });

const common = {
  found: { cameras: list(found, CAMERAS_MAX), asked: int, left_out: int, more: bool },
  offer: { manufacturer: words, model: words, firmware: words, clock_off_seconds: nullable(int), certificate: nullable(hash), profiles: list(profile, PROFILES_MAX) },
  findings: { cameras: list(swept, SWEPT_MAX), next: nullable(camera), running: nullable(object({ camera, read: int, found: int })), waiting: int, version: int },
  refused: { cause, error: text(4096) },
};
const withoutEvents = tagged('type', { ...common, look: { ...looked, picture: nullable(picture) } });
const withEvents = tagged('type', { ...common, look: { ...looked, events, picture: nullable(picture) } });
type Plain = Of<typeof withoutEvents>;
export type FoundCamera = Of<typeof found>;
export type Profile = Of<typeof profile>;
export type Seen = Of<typeof seen>;
export type Picture = Of<typeof picture>;
export type Found = Extract<Plain, { type: 'found' }>;
export type Offer = Extract<Plain, { type: 'offer' }>;
/** What leaked into cameras: one page, and what goes on. */
export type Findings = Extract<Plain, { type: 'findings' }>;
export type SweptCamera = Of<typeof swept>;
export type Leak = Of<typeof leak>;
export type Refused = Extract<Plain, { type: 'refused' }>;
export type Look = Extract<Plain, { type: 'look' }> & { events?: { error: string | null } };
export type Answer = Found | Offer | Findings | Refused | Look;
/** `events` is left out where no event service was asked. */
const answerShape: Shape<Answer> = (value, at) => (Object.hasOwn(Object(value), 'events') ? withEvents(value, at) : withoutEvents(value, at)) as Answer;

export interface Addressed {
  org: string;
  gateway: string;
  device: string;
  nonce: string;
}

export async function openAnswer({ enc, ciphertext }: SealedAnswer, { org, gateway, device, nonce }: Addressed, kemSeed: Bytes): Promise<Answer> {
  const plain = await hpkeOpen(kemSeed, 'lenskeep command answer v1', [org, gateway, device, nonce].join('|'), fromBase64(enc), fromBase64(ciphertext));
  return readCanonical(answerShape, plain, 'the gateway’s answer', ANSWER_BYTES_MAX);
}
