// Asks again and again how things are. The gaps of a day are asked for one camera after the other, so that many cameras are no flood.

import { get, serverTime } from '../api/client';
import type { CameraListing, Gap, GatewayListing, Silences, Status, Timeline } from '../api/types';
import { type Facts, type Trouble, troubles } from './health';
import type { Organisation } from './organisation.svelte';

const DAY_MS = 24 * 60 * 60_000;
/** Parts of a day: gaps as long as one are listed, so this asks for those of a minute and more. */
const PARTS = 1000;
/** Whose gaps are looked at. */
const CAMERAS_MAX = 200;
const GAPS_EVERY_MS = 5 * 60_000;

export class Health {
  found: Trouble[] | null = $state.raw(null);
  /** Of how many cameras the last day is known. */
  known = $state(0);
  cameras = $state(0);
  private readonly gaps = new Map<string, Gap[]>();
  private asked = 0;

  constructor(private readonly organisation: Organisation) {}

  async look(): Promise<void> {
    const { organisation } = this;
    const [{ cameras }, { gateways }, { version }, { silences }] = await Promise.all([get<{ cameras: CameraListing[] }>('/api/v1/cameras'), get<{ gateways: GatewayListing[] }>('/api/v1/gateways'), get<Status>('/api/v1/status'), get<Silences>('/api/v1/silences').catch(() => ({ silences: [] }))]);
    const known = cameras.flatMap((listing) => {
      // Names are the roster's; the server tells only what the streams do.
      const camera = organisation.camera(listing.id);
      return camera ? [{ ...listing, name: camera.name, gateway: camera.gateway }] : [];
    });
    const told = serverTime();
    const facts = (): Facts => ({
      now: Date.now(),
      administrator: organisation.isAdministrator,
      serverVersion: version,
      clockAheadMs: told && told.here - told.there,
      cameras: known,
      gateways: gateways.map((gateway) => ({ ...gateway, name: organisation.gateway(gateway.id)?.name ?? gateway.name })),
      gaps: this.gaps,
      silences,
    });
    this.cameras = known.length;
    this.found = troubles(facts());
    if (Date.now() - this.asked < GAPS_EVERY_MS) return;
    this.asked = Date.now();
    for (const { id } of known.slice(0, CAMERAS_MAX)) {
      const now = Date.now();
      const day = await get<Timeline>(`/api/v1/cameras/${id}/timeline?rendition=main&from=${now - DAY_MS}&to=${now}&parts=${PARTS}`).catch(() => null);
      if (day) this.gaps.set(id, day.gaps);
      this.known = known.filter((camera) => this.gaps.has(camera.id)).length;
    }
    this.found = troubles(facts());
  }
}
