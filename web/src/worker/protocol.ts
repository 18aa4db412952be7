// What the page and its Worker say to each other. Types only.
// Seeds and epoch keys never appear here: the page hands in what unlocks, and gets public halves, signatures and pictures back.

import type { StoredDevice } from '../lib/device/store';
import type { Opener } from '../lib/device/wrap';
import type { Bytes } from '../lib/seal/bytes';
import type { Answer } from '../lib/seal/cameraAnswer';
import type { CameraCommand, SealedAnswer, SignedCommand } from '../lib/seal/commands';
import type { Envelope } from '../lib/seal/dsse';
import type { Wishes } from '../lib/seal/noticeLimits';
import type { PlacedOrder } from '../lib/seal/noticeOrder';
import type { Camera, Device, Gateway, Recovery } from '../lib/seal/statements';
import type { PastEpoch, RecordingListing, Rendition } from '../lib/api/types';
import type { Spoken } from '../lib/say';
import type { Clock } from './clock';
import type { BookmarkOrder, OpenedBookmark, SignedBookmark } from './bookmarks';
import type { OpenedEvents } from './events';
import type { ExportOrder, Outcome, Progress } from './export';
import type { Destination, Written } from './sink';

export interface Trust {
  org: string;
  device: string;
  gateways: Gateway[];
  cameras: Camera[];
  /** Public keys of the roster's devices, with those that were shut out since: who signed what was handed on. */
  authors: ReadonlyMap<string, string>;
  /** Whether several administrators must agree. */
  several: boolean;
  /** The log's statements from number `from` on; those before were told already. */
  heads: { from: number; statements: { hash: string; at: number }[] };
}

/** Keys of one page of epochs, for another device. */
export interface HandOn {
  page: PastEpoch[];
  to: Device;
  cameras: string[];
  /** Whether the other device may hear them. */
  audio: boolean;
  from: number;
  /** The roster's, as it is now. */
  head: string;
  /** Whose grants are opened, if it is not this device. */
  sheet: { words: string; device: string } | null;
}

/** Calls with an answer. */
export interface Calls {
  newDevice: (input: { org: string; person: string; name: string; anchor: string | null; until: number; opener: Opener }) => StoredDevice;
  newRecovery: (input: null) => { words: string[]; recovery: Recovery };
  /** The public key of a recovery sheet's words, and its signatures. */
  recoveryKey: (input: string) => string;
  signByRecovery: (input: { words: string; data: Bytes }) => Bytes;
  unlock: (input: { stored: StoredDevice; opener: Opener }) => null;
  lock: (input: null) => null;
  sign: (input: Bytes) => Bytes;
  /** Seals to another device what this one was granted, a page at a time. */
  handOn: (input: HandOn) => Envelope[];
  command: (input: { org: string; gateway: Gateway; state: string; command: CameraCommand; lifeMs?: number }) => SignedCommand;
  /** What a gateway sealed to this device; of a picture in it what it shows, if this browser decodes it. */
  openAnswer: (input: { org: string; gateway: string; nonce: string; answer: SealedAnswer }) => { answer: Answer; bitmap: ImageBitmap | null };
  /** Each to its gateway, with a key of its own. */
  orderNotices: (input: { org: string; at: number; orders: { gateway: Gateway; wishes: Wishes }[] }) => PlacedOrder[];
  trust: (input: Trust) => null;
  /** Requests go to a gateway from now on, with this key. */
  apart: (input: string) => null;
  picture: (input: { camera: string; live: Rendition | null }) => { bitmap: ImageBitmap; at: number } | null;
  /** What is recorded of a moment; null if nothing is, or not yet. */
  pictureAt: (input: { camera: string; at: number }) => { bitmap: ImageBitmap; at: number } | null;
  events: (input: RecordingListing[]) => OpenedEvents[];
  /** Signed, and its note sealed; null if nothing is recorded there that it could be about. */
  signBookmark: (input: BookmarkOrder) => Envelope | null;
  openBookmarks: (input: SignedBookmark[]) => OpenedBookmark[];
  snapshot: (input: { player: number }) => Blob | null;
  /** Lists what there is of an order, before the order is given. */
  prepareExport: (input: ExportOrder) => null;
  writeExport: (input: { job: number; to: Destination }) => Outcome;
  cancelExport: (input: { job: number }) => null;
  /** Beside what was exported. */
  writeText: (input: { to: Destination; name: string; text: string }) => Written;
  /** Films that were made for the page to have downloaded are no longer wanted. */
  forgetExported: (input: string[]) => null;
}

export type Control =
  | { do: 'live' }
  | { do: 'hold' }
  | { do: 'seek'; at: number; play: boolean; preview: boolean }
  /** Goes by a clock from now on, and begins anew at its time if `anew`. */
  | { do: 'follow'; clock: Clock; anew: boolean; preview: boolean }
  | { do: 'play' }
  | { do: 'pause' }
  | { do: 'step'; by: 1 | -1 }
  | { do: 'speed'; speed: number }
  | { do: 'rendition'; rendition: Rendition }
  | { do: 'audio'; on: boolean }
  | { do: 'close' };

export type ToWorker =
  | { kind: 'call'; id: number; name: keyof Calls; input: unknown }
  | { kind: 'open'; player: number; camera: string; rendition: Rendition; canvas: OffscreenCanvas }
  | { kind: 'control'; player: number; control: Control }
  /** The roster was fetched, or why not. */
  | { kind: 'fetched'; problem: string | null }
  /** What the Worker says, it says in the language of the page. */
  | { kind: 'language'; spoken: Spoken };

export interface LiveStats {
  chunks: number;
  /** From a chunk's arrival in the Worker until it was opened, milliseconds. */
  open_ms_p50: number;
  open_ms_p99: number;
  /** From the gateway's time stamp until the chunk was opened; says nothing if the clocks differ. */
  behind_ms_p50: number;
  behind_ms_p99: number;
  skipped: number;
  first_picture_ms: number | null;
}

export type PlayerEvent =
  | { type: 'state'; state: 'connecting' | 'waiting' | 'playing' | 'paused' | 'ended' | 'seeking'; note: string | null }
  /** `late`: by how many milliseconds after it was due, beside other cameras. */
  | { type: 'picture'; at: number; width: number; height: number; late: number | null }
  /** Where what is shown next comes from: `on_site` is the gateway, which has not forwarded it. */
  | { type: 'source'; on_site: boolean }
  | { type: 'skipped_gap'; from: number; to: number }
  /** Beside other cameras: nothing is recorded from here until then, or any more. */
  | { type: 'nothing'; from: number; to: number | null }
  | { type: 'unsupported'; codec: string; rendition: Rendition }
  | { type: 'error'; message: string }
  | { type: 'stats'; stats: LiveStats }
  | { type: 'sound'; available: boolean }
  | { type: 'audio'; sample_rate: number; channels: Float32Array<ArrayBuffer>[]; due: number };

export type FromWorker =
  | { kind: 'answer'; id: number; output: unknown }
  | { kind: 'failure'; id: number; message: string }
  | { kind: 'event'; player: number; event: PlayerEvent }
  | { kind: 'exporting'; job: number; progress: Progress }
  /** Something was signed on top of a statement that the Worker has not been told of: it may be newer. */
  | { kind: 'fetch' }
  /** It was not: this gateway or device was shown another roster. */
  | { kind: 'split'; signer: string }
  /** This gateway recorded lately without a statement that was made long before, or (null) no more. */
  | { kind: 'unheard'; gateway: string; since: number | null };
