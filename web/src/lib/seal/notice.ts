// Notices (docs/format.md section 9): what a gateway tells this device by way of a push service. Read in the service worker, by a key that
// nobody but the gateway shares.

import { type Bytes, refuse, utf8 } from './bytes';
import { aesOpen } from './crypto';
import { EVENT_KINDS } from './event';
import { b64, id, int, literal, nullable, object, type Of, readCanonical, type Shape, text } from './shape';
import { STILL_SECRET_BYTES } from './still';

const NONCE_BYTES = 12;
const PADDED_BYTES = 640;
const TAG_BYTES = 16;
export const NOTICE_BYTES = NONCE_BYTES + PADDED_BYTES + TAG_BYTES;
const RULE_BYTES_MAX = 64;
/** Of a date in JavaScript. */
const TIME_MAX = 8_640_000_000_000_000;

/** Between whom notices go. */
export interface Channel {
  org: string;
  gateway: string;
  device: string;
}

const plainFields = { event: id('ev_'), camera: id('cam_'), at: int, kind: literal(...EVENT_KINDS), rule: nullable(text(RULE_BYTES_MAX)) };
const plainShape = object(plainFields);
const pictureShape = object({ ...plainFields, still: b64(STILL_SECRET_BYTES) });
/** `still` is there if there may be a picture: the secret by which it is found and opened. */
export type Notice = Of<typeof plainShape> & { still?: string };
const noticeShape: Shape<Notice> = (value, at) => (Object.hasOwn(Object(value), 'still') ? pictureShape : plainShape)(value, at);

export const associated = (label: string, { org, gateway, device }: Channel): string => [label, org, gateway, device].join('|');

export async function openNotice(sealed: Bytes, key: CryptoKey, channel: Channel): Promise<Notice> {
  if (sealed.length !== NOTICE_BYTES) refuse(`a notice has ${NOTICE_BYTES} bytes`);
  const plain = await aesOpen(key, sealed.slice(0, NONCE_BYTES), utf8(associated('lenskeep notice v1', channel)), sealed.slice(NONCE_BYTES)).catch(() => refuse('the notice does not open with this key'));
  const notice = readCanonical(noticeShape, unpadded(plain), 'a notice', PADDED_BYTES);
  if (notice.at > TIME_MAX || utf8(notice.rule ?? '').length > RULE_BYTES_MAX) refuse('a notice of no time, or with too long a text');
  return notice;
}

/** Without the zero bytes behind it, in which no JSON ends. */
export function unpadded(bytes: Bytes): Bytes {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length -= 1;
  return bytes.slice(0, length);
}
