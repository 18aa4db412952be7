// What is wrong with cameras, gateways and this browser, the worst first, and what to do about each. Says nothing of what is well.

import type { CameraListing, Gap, GapReason, GatewayListing, Silence } from '../api/types';
import { eventsOf, picturesOf } from './streams';
import { GAP_TO_DO, GAP_WORDS, lengthOf } from './words';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A gateway renews its certificate long before. */
const CERTIFICATE_LEFT_MS = 2 * HOUR_MS;
/** What was signed is refused when its time is further ahead. */
const CLOCK_OFF_BAD_MS = 5 * MINUTE_MS;
const CLOCK_OFF_MS = MINUTE_MS;
/** Of one camera in a day; each time that a gateway is restarted takes less. */
const MISSING_MS = 2 * MINUTE_MS;

export interface Trouble {
  key: string;
  /** Bad: something is not recorded, or soon nothing works. Busy: it may become so. */
  tone: 'bad' | 'busy';
  about: string;
  what: string;
  todo: string;
  since: number | null;
  link: { href: string; text: string } | null;
}

export interface Facts {
  now: number;
  administrator: boolean;
  serverVersion: string;
  /** By how much this device's clock is ahead of the server's; null if nobody knows. */
  clockAheadMs: number | null;
  cameras: { id: string; name: string; gateway: string; streams: CameraListing['streams'] }[];
  gateways: Pick<GatewayListing, 'id' | 'name' | 'connected' | 'version' | 'certificate_expires_at'>[];
  /** Of the last day. */
  gaps: Map<string, Gap[]>;
  /** Of gateways, the newest first. */
  silences: readonly Silence[];
}

export function troubles(facts: Facts): Trouble[] {
  const found = [...ofClock(facts), ...facts.gateways.flatMap((gateway) => ofGateway(gateway, facts)), ...facts.cameras.flatMap((camera) => ofCamera(camera, facts))];
  return found.sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}

function ofClock({ clockAheadMs }: Facts): Trouble[] {
  const off = Math.abs(clockAheadMs ?? 0);
  if (clockAheadMs === null || off < CLOCK_OFF_MS) return [];
  const what = `The clock of this device is ${lengthOf(off)} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} the server’s.`;
  const todo = 'Have both set their clocks by the network. What is signed with a wrong time is refused, and times are shown wrong.';
  return [{ key: 'clock', tone: off >= CLOCK_OFF_BAD_MS ? 'bad' : 'busy', about: 'This device', what, todo, since: null, link: null }];
}

function ofGateway({ id, name, connected, version, certificate_expires_at }: Facts['gateways'][number], { now, serverVersion, cameras, silences, administrator }: Facts): Trouble[] {
  const link = administrator ? { href: '/gateways', text: 'Gateways' } : null;
  const about = { about: name, since: null, link };
  if (!connected) {
    const count = cameras.filter(({ gateway }) => gateway === id).length;
    const what = `The gateway does not reach the server.${count > 0 ? ` ${count === 1 ? 'One camera cannot' : `${count} cameras cannot`} be watched live from here.` : ''}`;
    const since = silences.find(({ gateway, until }) => gateway === id && until === null)?.since ?? null;
    return [{ ...about, since, key: `${id} away`, tone: 'bad', what, todo: 'Check its power and the site’s network. It goes on recording by itself and forwards later; people at the site can watch by lenskeep app.' }];
  }
  const found: Trouble[] = [];
  if (version && version !== serverVersion) found.push({ ...about, key: `${id} version`, tone: 'busy', what: `It runs version ${version}, the server ${serverVersion}.`, todo: 'Upgrade the older one.' });
  if (certificate_expires_at !== null && certificate_expires_at - now < CERTIFICATE_LEFT_MS) found.push({ ...about, key: `${id} certificate`, tone: 'busy', what: 'Its certificate ends soon, and it has not renewed it.', todo: 'Look at its log for what the server answered.' });
  return found;
}

function ofCamera({ id, name, gateway, streams }: Facts['cameras'][number], { now, gateways, gaps, administrator }: Facts): Trouble[] {
  const about = { about: name, link: { href: `/cameras/${id}`, text: 'Camera' } };
  const access = administrator ? { href: `/cameras/${id}/access`, text: 'Address and password' } : about.link;
  const found: Trouble[] = [];
  // Of a gateway that is away nobody knows how its cameras are.
  if (gateways.some((each) => each.id === gateway && each.connected)) {
    const pictures = picturesOf(streams);
    if (pictures.length === 0) found.push({ ...about, key: `${id} silent`, tone: 'bad', what: 'The gateway says nothing of it.', todo: 'If it was just added, wait a minute. If not, restart the gateway.', since: null });
    for (const { rendition, state, reason, since } of pictures) {
      const which = rendition === 'sub' ? ' (small stream)' : '';
      const words = (reason ?? 'it does not say why').replace(/\.$/, '');
      if (state === 'failed') found.push({ ...about, key: `${id} ${rendition}`, tone: 'bad', what: `Not recording${which}: ${words}.`, todo: 'Look at its power and network, and check address and password.', since, link: access });
      else if (state === 'connecting' && now - since > MINUTE_MS) found.push({ ...about, key: `${id} ${rendition}`, tone: 'bad', what: `Not recording${which}: the gateway has been connecting for ${lengthOf(now - since)}.`, todo: GAP_TO_DO.camera_unreachable, since });
      else if (state === 'recording' && reason) found.push({ ...about, key: `${id} ${rendition}`, tone: 'busy', what: `Recording${which}, but ${words}.`, todo: 'Change this in the camera’s settings.', since });
    }
    const events = eventsOf(streams);
    if (events?.state === 'failed') found.push({ ...about, key: `${id} events`, tone: 'busy', what: `It tells of no events: ${(events.reason ?? 'it does not say why').replace(/\.$/, '')}.`, todo: /Frigate/.test(events.reason ?? '') ? 'See that Frigate and the MQTT broker run, and that the gateway’s user may read there.' : 'Check the address of its events (ONVIF, or the event stream of Axis), and that its user may subscribe to them.', since: events.since, link: access });
  }
  return [...found, ...ofGaps(id, about, gaps.get(id) ?? [], now)];
}

/** The reason for which most is missing. */
function ofGaps(id: string, about: Pick<Trouble, 'about' | 'link'>, gaps: readonly Gap[], now: number): Trouble[] {
  const sums = new Map<GapReason, number>();
  let last = 0;
  for (const { reason, from, to, rendition } of gaps) {
    const length = Math.min(to, now) - Math.max(from, now - DAY_MS);
    if (rendition !== 'main' || length <= 0) continue;
    sums.set(reason, (sums.get(reason) ?? 0) + length);
    last = Math.max(last, to);
  }
  const [worst] = [...sums].sort(([, a], [, b]) => b - a);
  const total = [...sums.values()].reduce((sum, length) => sum + length, 0);
  if (!worst || total < MISSING_MS) return [];
  const [reason] = worst;
  const cause = GAP_WORDS[reason].charAt(0).toLowerCase() + GAP_WORDS[reason].slice(1);
  return [{ ...about, key: `${id} gaps`, tone: 'busy', what: `${lengthOf(total)} of the last day are missing, mostly because ${cause}.`, todo: GAP_TO_DO[reason], since: last }];
}
