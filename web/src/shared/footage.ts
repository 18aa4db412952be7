// What a link opens: the server hands out sealed pieces once the opening was counted, and this device opens them. Believes nothing that it
// is sent: pieces open in their place or not at all, and the description says how many there are.

import { ApiError, failure } from '../lib/api/errors';
import { type Bytes, refuse } from '../lib/seal/bytes';
import { Capsule, type CapsuleFile, type Description, DESCRIPTION, isShareId, type Piece, PIECE_BYTES, PIECE_SEALED_BYTES_MAX, piecesOf } from '../lib/seal/capsule';
import { persistent } from '../worker/patience';

/** A mebibyte by a slow line; after it a connection is taken for lost. */
const TIMEOUT_MS = 120_000;
const ANSWER_CHARS_MAX = 64 * 1024;
const MEDIA_TYPES: Record<CapsuleFile['kind'], string> = { film: 'video/mp4', proof: 'application/octet-stream' };

interface Opening {
  token: string;
  ends_at: number;
  until: number;
  openings_left: number | null;
}

/** The two parts of a link; null if one is missing. */
export function readLink({ pathname, hash }: Pick<Location, 'pathname' | 'hash'>): { share: string; key: string } | null {
  const share = /^\/s\/(shr_[0-9a-f]{32})\/?$/.exec(pathname)?.[1];
  const key = /^#([A-Za-z0-9_-]{43})$/.exec(hash)?.[1];
  return share && key && isShareId(share) ? { share, key } : null;
}

export class SharedFootage {
  private constructor(
    private readonly share: string,
    private readonly capsule: Capsule,
    private readonly opening: Opening,
    readonly description: Description,
  ) {}

  /** Counts as an opening, unless this tab has opened it before. */
  static async open({ share, key }: { share: string; key: string }): Promise<SharedFootage> {
    const capsule = await Capsule.of(share, key);
    const before = remembered(share);
    if (before) {
      const again = await described(share, capsule, before).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      });
      if (again) return new SharedFootage(share, capsule, before, again);
    }
    const opening = await askToOpen(share, capsule.access);
    remember(share, opening);
    return new SharedFootage(share, capsule, opening, await described(share, capsule, opening));
  }

  get until(): number {
    return this.opening.until;
  }

  get openingsLeft(): number | null {
    return this.opening.openings_left;
  }

  /** A whole file, opened. `number` counts from 0, as in the description. */
  async file(number: number, signal: AbortSignal, tell: (bytes: number) => void, waits: (isWaiting: boolean) => void): Promise<Blob> {
    const file = this.description.files[number] ?? refuse('there is no such file');
    const parts: Blob[] = [];
    let bytes = 0;
    for (let n = 0; n < piecesOf(file); n += 1) {
      const piece = { file: number + 1, number: n };
      const plain = await persistent(async () => this.capsule.open(piece, await fetchPiece(this.share, piece, this.opening.token, signal)), signal, waits);
      if (plain.length !== Math.min(PIECE_BYTES, file.bytes - bytes)) refuse('a piece of the footage has another length than the description says');
      bytes += plain.length;
      // As blobs, which browsers keep on disk if they are many.
      parts.push(new Blob([plain]));
      tell(bytes);
    }
    return new Blob(parts, { type: MEDIA_TYPES[file.kind] });
  }
}

async function described(share: string, capsule: Capsule, { token }: Opening): Promise<Description> {
  const never = new AbortController().signal;
  return capsule.openDescription(await persistent(() => fetchPiece(share, DESCRIPTION, token, never), never, () => undefined));
}

async function askToOpen(share: string, access: string): Promise<Opening> {
  const headers = { accept: 'application/json', 'content-type': 'application/json', 'x-lenskeep': '1' };
  const response = await ask(`/api/v1/shared/${share}/openings`, { method: 'POST', headers, body: JSON.stringify({ access }), signal: AbortSignal.timeout(TIMEOUT_MS) });
  const { token, ends_at, until, openings_left } = (await response.json()) as Partial<Record<keyof Opening, unknown>>;
  const isTime = (value: unknown): value is number => Number.isSafeInteger(value);
  const isCount = (value: unknown): value is number | null => value === null || isTime(value);
  if (typeof token !== 'string' || !/^[0-9a-f]{64}$/.test(token) || !isTime(ends_at) || !isTime(until) || !isCount(openings_left)) return refuse('the server’s answer is not understood');
  return { token, ends_at, until, openings_left };
}

async function fetchPiece(share: string, { file, number }: Piece, token: string, signal: AbortSignal): Promise<Bytes> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await ask(`/api/v1/shared/${share}/files/${file}/pieces/${number}`, { headers: { authorization: `Bearer ${token}` }, signal: until }).catch((error: unknown) => {
    throw error instanceof ApiError && error.status === 401 ? new ApiError(401, error.code, 'This opening is over: it lasts six hours.', 'Load this page again to open the link once more, which counts.') : error;
  });
  const reader = response.body?.getReader() ?? refuse('the server’s answer is empty');
  const bytes = new Uint8Array(PIECE_SEALED_BYTES_MAX);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => lost());
    if (done) return bytes.slice(0, length);
    if (length + value.length > bytes.length) return refuse('the server sent more than a piece of the footage');
    bytes.set(value, length);
    length += value.length;
  }
}

async function ask(path: string, request: RequestInit): Promise<Response> {
  const response = await fetch(path, { ...request, credentials: 'omit', cache: 'no-store' }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    return lost();
  });
  if (!response.ok) throw failure(response.status, (await response.text()).slice(0, ANSWER_CHARS_MAX));
  return response;
}

function lost(): never {
  throw new ApiError(0, 'unreachable', 'The server does not answer.', 'Check that you are connected, then try again.');
}

const nameOf = (share: string): string => `lenskeep ${share}`;

/** In this tab alone: who loads the page again does not use up an opening. */
function remember(share: string, opening: Opening): void {
  try {
    sessionStorage.setItem(nameOf(share), JSON.stringify(opening));
  } catch {
    // Without storage, each load counts.
  }
}

function remembered(share: string): Opening | null {
  try {
    const opening = JSON.parse(sessionStorage.getItem(nameOf(share)) ?? 'null') as Opening | null;
    return opening && opening.ends_at > Date.now() ? opening : null;
  } catch {
    return null;
  }
}
