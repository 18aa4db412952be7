// One still picture of a camera, for the list: the key frame that begins the live stream, else the last recorded one.

import type { Rendition } from '../lib/api/types';
import type { Bytes } from '../lib/seal/bytes';
import { type Chunk, openChunk } from '../lib/seal/chunk';
import type { ReadHeader, RecordingKeys } from '../lib/seal/header';
import { readLiveFrame } from '../lib/seal/live';
import { Catalogue } from './catalogue';
import type { Keyring } from './keyring';
import { Decoder, type Frame } from './screen';
import { liveSocket } from './socket';

const LIVE_TIMEOUT_MS = 6000;
const FRAMES_MAX = 64;

export interface Picture {
  bitmap: ImageBitmap;
  at: number;
}

/** `live` names the stream that records now, if there is one. */
export async function pictureOf(camera: string, live: Rendition | null, keyring: Keyring): Promise<Picture | null> {
  return (live && (await fromLive(camera, live, keyring))) ?? (await fromRecordings(camera, keyring));
}

async function fromLive(camera: string, rendition: Rendition, keyring: Keyring): Promise<Picture | null> {
  const socket = await liveSocket(camera, rendition);
  try {
    let read: ReadHeader | null = null;
    let seen = 0;
    for await (const bytes of messages(socket)) {
      const frame = await readLiveFrame(bytes);
      if (frame.kind === 'header') read = frame.read;
      else if (read && frame.chunk.keyFrame && isVideo(read, frame.chunk)) return await decodeOne(read, await keyring.keysOf(read, camera), frame.chunk);
      seen += 1;
      if (seen > FRAMES_MAX) return null;
    }
    return null;
  } finally {
    socket.close();
  }
}

async function fromRecordings(camera: string, keyring: Keyring): Promise<Picture | null> {
  for (const rendition of ['sub', 'main'] as const) {
    const catalogue = new Catalogue(camera, rendition, keyring);
    const listing = await catalogue.before(Date.now());
    if (!listing) continue;
    const { recording, keys } = await catalogue.openAt(listing);
    const from = recording.keyFrameBefore(Number.MAX_SAFE_INTEGER);
    for await (const chunk of recording.chunks(from)) {
      if (chunk.keyFrame && isVideo(recording.read, chunk)) return decodeOne(recording.read, keys, chunk);
    }
  }
  return null;
}

/** A little after it began, there is more to see of what happens. */
const AFTER_MS = 1500;

export async function pictureAt(camera: string, at: number, keyring: Keyring): Promise<Picture | null> {
  for (const rendition of ['sub', 'main'] as const) {
    const catalogue = new Catalogue(camera, rendition, keyring);
    const listing = (await catalogue.holding(at + AFTER_MS)) ?? (await catalogue.holding(at));
    if (!listing) continue;
    const { recording, keys } = await catalogue.openAt(listing);
    const { header } = recording.read;
    const track = header.tracks.find(({ kind }) => kind === 'video');
    if (!track) continue;
    const from = recording.keyFrameBefore(((at + AFTER_MS - header.started_at) * track.timescale) / 1000);
    for await (const chunk of recording.chunks(from)) {
      if (chunk.keyFrame && chunk.track === track.id) return decodeOne(recording.read, keys, chunk);
    }
  }
  return null;
}

async function decodeOne(read: ReadHeader, keys: RecordingKeys, chunk: Chunk): Promise<Picture | null> {
  const plain = await openChunk(read, keys, chunk);
  if (plain === null) return null;
  let found: Frame | null = null;
  const decoder = await Decoder.create(read.header, (frame) => {
    found?.frame.close();
    found = frame;
  });
  decoder.decode(chunk, plain);
  await decoder.flush();
  decoder.close();
  const shown = found as Frame | null;
  if (!shown) return null;
  const bitmap = await createImageBitmap(shown.frame);
  shown.frame.close();
  return { bitmap, at: shown.at };
}

function isVideo(read: ReadHeader, chunk: Chunk): boolean {
  return read.header.tracks.some(({ id, kind }) => id === chunk.track && kind === 'video');
}

/** Binary messages of a socket, in order, until it closes or the time is up. */
async function* messages(socket: WebSocket): AsyncGenerator<Bytes> {
  const queue: Bytes[] = [];
  let ended = false;
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer && queue.length < FRAMES_MAX) queue.push(new Uint8Array(data));
    wake();
  };
  const end = () => {
    ended = true;
    wake();
  };
  socket.onclose = end;
  const timer = setTimeout(end, LIVE_TIMEOUT_MS);
  try {
    while (!ended || queue.length > 0) {
      const next = queue.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    clearTimeout(timer);
  }
}
