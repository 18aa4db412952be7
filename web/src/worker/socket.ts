// The WebSocket of a live stream. It carries the cookie alone, so it shows a ticket that was asked for with a proof of the session's key.

import { addressOf, isApart, post } from '../lib/api/client';
import type { LiveTicket, Rendition } from '../lib/api/types';

export async function liveSocket(camera: string, rendition: Rendition): Promise<WebSocket> {
  const path = `/api/v1/cameras/${camera}/live?rendition=${rendition}`;
  const url = new URL(addressOf(path), self.location.href);
  url.searchParams.set('ticket', (await post<Pick<LiveTicket, 'ticket'>>(isApart() ? '/api/site/ticket' : path)).ticket);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  return socket;
}
