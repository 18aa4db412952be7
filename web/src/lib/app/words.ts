// Plain words for what machines say, and times in the viewer's zone.

import type { GapReason, StreamStatus } from '../api/types';
import { locale } from '../say';
import type { EventKind } from '../seal/event';

/** Made once for each language, which is slow. */
function inLanguage<T>(make: (locale: string | undefined) => T): () => T {
  let made: { of: string | undefined; format: T } | null = null;
  return () => {
    const of = locale();
    if (made === null || made.of !== of) made = { of, format: make(of) };
    return made.format;
  };
}
const dates = (options: Intl.DateTimeFormatOptions) => inLanguage((of) => new Intl.DateTimeFormat(of, options));
const clock = dates({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const short = dates({ hour: '2-digit', minute: '2-digit' });
const day = dates({ weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
const dayAlone = dates({ day: 'numeric', month: 'short' });
const both = dates({ dateStyle: 'medium', timeStyle: 'short' });
const relative = inLanguage((of) => new Intl.RelativeTimeFormat(of, { numeric: 'auto' }));
const oneDecimal = inLanguage((of) => new Intl.NumberFormat(of, { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false }));
const upToOneDecimal = inLanguage((of) => new Intl.NumberFormat(of, { maximumFractionDigits: 1, useGrouping: false }));

export const timeOfDay = (at: number): string => clock().format(at);
export const hourMinute = (at: number): string => short().format(at);
export const dayOf = (at: number): string => day().format(at);
export const dayMonth = (at: number): string => dayAlone().format(at);
export const dateTime = (at: number): string => both().format(at);
export const tenths = (value: number): string => oneDecimal().format(value);
/** One digit behind the point, unless it is zero or the number is long without it. */
export const decimal = (value: number): string => upToOneDecimal().format(value < 9.95 ? value : Math.round(value));
export const zone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** How long something is, in its two largest units: "1 hour 20 minutes". */
export function lengthOf(ms: number): string {
  const units = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]] as const;
  for (const [n, [unit, size]] of units.entries()) {
    const [smaller, part] = units[n + 1] ?? [unit, size];
    // Rounded before it is divided: 7 days, not 6 days 24 hours.
    const rounded = Math.round(ms / part) * part;
    if (rounded < size) continue;
    const rest = Math.round((rounded % size) / part);
    return `${counted(Math.floor(rounded / size), unit)}${rest > 0 ? ` ${counted(rest, smaller)}` : ''}`;
  }
  return counted(ms / 1000, 'second');
}
// In the language of the words around it.
const counted = (value: number, unit: string) => new Intl.NumberFormat(locale() ?? 'en', { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 1 }).format(value);

export const speedWords = (speed: number): string => `${speed < 0 ? '−' : ''}${Math.abs(speed)}×`;

export function ago(at: number, now = Date.now()): string {
  const seconds = Math.round((at - now) / 1000);
  for (const [unit, size] of [['day', 86_400], ['hour', 3600], ['minute', 60]] as const) {
    if (Math.abs(seconds) >= size) return relative().format(Math.trunc(seconds / size), unit);
  }
  return relative().format(seconds, 'second');
}

export const GAP_WORDS: Record<GapReason, string> = {
  camera_unreachable: 'The camera could not be reached',
  camera_refused: 'The camera refused the password or the stream',
  stalled: 'The camera sent nothing',
  restarted: 'The gateway was restarted',
  disk_full: 'The gateway’s disk did not take it',
  damaged: 'The recording was lost or changed on the gateway’s disk',
  disabled: 'Recording was switched off',
  bad_stream: 'The camera sent a stream that cannot be recorded',
};

export const KIND_WORDS: Record<EventKind, string> = {
  motion: 'Motion',
  person: 'Person',
  vehicle: 'Vehicle',
  animal: 'Animal',
  package: 'Package',
  face: 'Face',
  line: 'Line crossed',
  zone: 'In a zone',
  tampering: 'Camera tampered with',
  sound: 'Sound',
  input: 'Input',
  doorbell: 'Doorbell',
  other: 'Something else',
  camera_down: 'Camera does not answer',
  not_recorded: 'Recording stopped',
  frozen: 'Picture does not change',
  disk: 'Trouble with the gateway’s disk',
  clock: 'The gateway’s clock is wrong',
};

export const GAP_TO_DO: Record<GapReason, string> = {
  camera_unreachable: 'Look at its power and network. A camera that comes and goes may be at the edge of its Wi-Fi.',
  camera_refused: 'Check user name and password, and whether the camera allows another stream.',
  stalled: 'Restart the camera. If it happens again, look at its network and for newer firmware.',
  restarted: 'If nobody restarted the gateway, look at its power, and at its log.',
  disk_full: 'Let the gateway keep less, or give it a larger disk.',
  damaged: 'Look at the gateway’s disk: it may be about to fail.',
  disabled: 'Switch recording on again if that was not meant.',
  bad_stream: 'Set the camera to H.264 or H.265, and to AAC or G.711 for sound.',
};

/** Causes that are no reason of a gap. */
const CAUSE_WORDS = {
  frozen: 'The picture is the same again and again',
  failing: 'The disk does not take what is recorded',
  slow: 'The disk is too slow: what was recorded last may be lost',
  full: 'The disk is full, and what nobody else has is deleted',
  filling: 'The disk fills with what could not be forwarded',
  ahead: 'It is ahead of the server’s, and recordings bear its time',
  behind: 'It is behind the server’s, and recordings bear its time',
};
const CAUSE_TO_DO: Record<keyof typeof CAUSE_WORDS, string> = {
  frozen: 'Look whether the camera hangs, or somebody plays its picture back. Restart it.',
  failing: 'Look at space on the gateway’s disk, and at its system’s log.',
  slow: 'See what else uses the disk. It may be about to fail.',
  full: 'Bring the gateway back to its network, let it keep less, or give it a larger disk.',
  filling: 'Bring the gateway back to its network, let it keep less, or give it a larger disk.',
  ahead: 'Have the gateway set its clock by the network.',
  behind: 'Have the gateway set its clock by the network.',
};

/** What a gateway gives as the cause of trouble, and what to do. Of a cause that this page does not know, nothing. */
export function causeOf(cause: string | null): { what: string; todo: string } | null {
  if (cause === null) return null;
  if (Object.hasOwn(GAP_WORDS, cause)) return { what: GAP_WORDS[cause as GapReason], todo: GAP_TO_DO[cause as GapReason] };
  if (!Object.hasOwn(CAUSE_WORDS, cause)) return null;
  const known = cause as keyof typeof CAUSE_WORDS;
  return { what: CAUSE_WORDS[known], todo: CAUSE_TO_DO[known] };
}

export function streamWords(stream: StreamStatus | undefined): { text: string; tone: 'good' | 'busy' | 'bad' | 'idle' } {
  if (!stream) return { text: 'No news from the gateway', tone: 'idle' };
  // A gateway that records says what is wrong all the same.
  if (stream.state === 'recording') return stream.reason ? { text: `Recording, but ${stream.reason}`, tone: 'busy' } : { text: 'Recording', tone: 'good' };
  if (stream.state === 'connecting') return { text: 'Connecting', tone: 'busy' };
  return { text: stream.reason ?? 'Not recording', tone: 'bad' };
}

export function bits(perSecond: number): string {
  return perSecond >= 1_000_000 ? `${tenths(perSecond / 1_000_000)} Mbit/s` : `${Math.round(perSecond / 1000)} kbit/s`;
}

export function size(bytes: number): string {
  if (bytes >= 1_000_000_000) return `${tenths(bytes / 1_000_000_000)} GB`;
  return bytes >= 1_000_000 ? `${Math.round(bytes / 1_000_000)} MB` : `${Math.ceil(bytes / 1000)} kB`;
}

/** A device name that its owner recognises: browser and system, as far as the browser says. */
export function browserName(agent = navigator.userAgent): string {
  const browser = /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' : /Chrome\//.test(agent) ? 'Chrome' : /Safari\//.test(agent) ? 'Safari' : 'Browser';
  const system = /Android/.test(agent) ? 'Android' : /iPhone|iPad/.test(agent) ? 'iOS' : /Mac OS X/.test(agent) ? 'macOS' : /Windows/.test(agent) ? 'Windows' : /Linux/.test(agent) ? 'Linux' : 'this computer';
  return `${browser} on ${system}`;
}
