// What to know about a camera before it is added, in plain words: what its streams cost, who can play them, and what to set
// otherwise at the camera; and what to do where a camera refuses. It decides nothing.

import type { Cause, Look, Offer, Profile, Seen } from '../seal/cameraAnswer';
import { bits, lengthOf, size } from './words';

export interface Advice {
  /** `good` is as it should be, `busy` could be better. */
  tone: 'good' | 'busy';
  text: string;
}

/** Beyond these, most uplinks of homes and shops carry few cameras. */
export const MAIN_BITS_ADVISED = 8_000_000;
export const SUB_BITS_ADVISED = 1_000_000;
/** From one key frame to the next; seeking goes from one to the next. */
export const KEY_FRAME_MS_ADVISED = 4_000;
/** Of the camera's clock from the gateway's. */
export const CLOCK_SECONDS_ADVISED = 60;
/** A small stream is looked at on walls and phones. */
const SUB_PIXELS_MAX = 1280 * 720;
const DAY_SECONDS = 24 * 60 * 60;

const isH265 = (codec: string): boolean => /^(hvc1|hev1)\b/.test(codec);

export function adviceOf({ main, sub }: Look, offer: Offer | null): Advice[] {
  if (main === null) return [];
  const found: Advice[] = [];
  const add = (tone: Advice['tone'], text: string): void => void found.push({ tone, text });

  if (isH265(main.stream.video_codec)) {
    add('busy', 'The full-size stream is H.265: it needs about half the bandwidth of H.264, but some browsers and older machines cannot play it. Set the camera to H.264 if a browser of yours stays black.');
  } else add('good', 'The full-size stream is H.264, which every browser plays.');
  if (sub && isH265(sub.stream.video_codec)) add('busy', 'The small stream is H.265, too. Set it to H.264 at the camera, so that the list and the wall show it in every browser.');

  if (sub === null) {
    add('busy', 'There is no small stream: the list, the wall and phones fetch the full-size one. Switch on a second stream at the camera, of about 640 × 360.');
  } else if (sub.bits_per_second > SUB_BITS_ADVISED) {
    add('busy', `The small stream takes ${bits(sub.bits_per_second)}, which is a lot for a wall of many cameras. 640 × 360 with 512 kbit/s does.`);
  }
  if (main.bits_per_second > MAIN_BITS_ADVISED) {
    add('busy', `The full-size stream takes ${bits(main.bits_per_second)}. Set an upper limit of 4 to 8 Mbit/s at the camera unless you need every detail.`);
  }
  const together = main.bits_per_second + (sub?.bits_per_second ?? 0);
  add('good', `Together that is ${bits(together)} now, and about ${size((together / 8) * DAY_SECONDS)} a day. It rises when much moves.`);

  for (const [which, stream] of [['full-size', main], ['small', sub]] as const) {
    const text = stream && keyFrameWords(which, stream);
    if (text) add('busy', text);
  }
  add('good', main.stream.audio_codec === null ? 'No sound comes with the picture. Switch the microphone on at the camera if it has one and you may record sound.' : 'Sound comes with the picture, and is recorded. Where people are recorded, ask whether you may.');
  const off = offer?.clock_off_seconds ?? null;
  if (off !== null && off > CLOCK_SECONDS_ADVISED) {
    add('busy', `The camera’s clock is wrong by ${lengthOf(off * 1000)}. Recordings go by the gateway’s clock; the time that the camera writes into its picture is wrong. Set a time server (NTP) at the camera.`);
  }
  return found;
}

function keyFrameWords(which: 'full-size' | 'small', { key_frame_every_ms, for_ms }: Seen): string | null {
  if (key_frame_every_ms !== null && key_frame_every_ms <= KEY_FRAME_MS_ADVISED) return null;
  if (key_frame_every_ms === null && for_ms < KEY_FRAME_MS_ADVISED) return null;
  const every = key_frame_every_ms === null ? `less than every ${Math.floor(for_ms / 1000)} seconds` : `only every ${(key_frame_every_ms / 1000).toFixed(0)} seconds`;
  const remedy = 'Live view and seeking will be slow: set the camera’s key-frame (I-frame) interval to 1 or 2 seconds.';
  return which === 'small' ? `A complete picture of the small stream comes ${every}. ${remedy}` : `A complete picture of the full-size stream comes ${every}. ${remedy}`;
}

/** Which of a camera's streams are recorded unless somebody says otherwise. */
export function chooseStreams(profiles: readonly Profile[]): { main: Profile | null; sub: Profile | null } {
  const pixels = ({ width, height }: Profile): number => width * height;
  const usable = profiles.filter(({ codec }) => codec !== 'JPEG').sort((a, b) => pixels(b) - pixels(a));
  const main = usable[0] ?? null;
  const smaller = usable.filter((profile) => main && pixels(profile) < pixels(main));
  const sub = smaller.find((profile) => pixels(profile) <= SUB_PIXELS_MAX) ?? null;
  return { main, sub };
}

/** What it means, and what to do next. */
export const REFUSALS: Record<Cause, { title: string; next: string }> = {
  unreachable: {
    title: 'The camera does not answer',
    next: 'Check that it has power and is in the gateway’s network. If it was given another address meanwhile, look for cameras again.',
  },
  password: {
    title: 'The camera refuses user name or password',
    next: 'Type both again; capitals count. Many makes have users of their own for ONVIF: on the camera’s own page look for “ONVIF” or “Integration”, and add a user there. It was tried once, since wrong tries lock accounts.',
  },
  right: {
    title: 'This account may not see the streams',
    next: 'User name and password are right. On the camera’s own page make the account an operator or administrator, or give it the right to live view, then try again.',
  },
  locked: {
    title: 'The camera has locked this account',
    next: 'There were too many wrong passwords, from here or elsewhere. Wait half an hour or restart the camera, then try once with the right one.',
  },
  certificate: {
    title: 'The camera’s certificate is not the trusted one',
    next: 'If the camera was reset or replaced, look for cameras again and compare the new fingerprint. Otherwise another device may be posing as it.',
  },
  no_onvif: {
    title: 'It does not speak ONVIF',
    next: 'Switch ONVIF on at the camera’s own page (often under Network, Advanced or Integration). Or enter the address of its stream by hand.',
  },
  no_rtsp: {
    title: 'No stream comes by RTSP',
    next: 'Switch RTSP on at the camera’s own page (often under Network, Ports), and see that no firewall keeps its port shut (usually 554). An address that was entered by hand must be the one of the camera’s manual.',
  },
  codec: {
    title: 'The video is neither H.264 nor H.265',
    next: 'On the camera’s own page set the video of this stream to H.264 or H.265. Motion JPEG is not recorded.',
  },
  other: {
    title: 'The camera cannot be added like this',
    next: 'Try once more. If it stays so, restart the camera, or enter the address of its stream by hand.',
  },
};
