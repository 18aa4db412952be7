// The Worker: the only place in the browser where a key that opens footage is in the clear.
// It answers the page's calls, and runs the players. It decides nothing about who is genuine: that is the roster's replay.

import { explain, goApart } from '../lib/api/client';
import { EventReader } from './events';
import { Heads } from './heads';
import { Keyring } from './keyring';
import { LiveView } from './live';
import { pictureAt, pictureOf } from './picture';
import type { Calls, Control, FromWorker, PlayerEvent, ToWorker } from './protocol';
import { RecordedView } from './recorded';
import { Screen } from './screen';
import type { Rendition } from '../lib/api/types';
import { speak } from '../lib/say';

type Handlers = { [K in keyof Calls]: (input: Parameters<Calls[K]>[0]) => Promise<ReturnType<Calls[K]>> };

let fetched: ((problem: string | null) => void) | null = null;

/** Has the page fetch the roster once more; it tells the keyring what is new before it answers. */
function fetchRoster(): Promise<void> {
  return new Promise((resolve, reject) => {
    fetched = (problem) => (problem === null ? resolve() : reject(new Error(`The newest statements of your organisation did not come: ${problem}`)));
    send({ kind: 'fetch' });
  });
}

const keyring = new Keyring(
  new Heads(fetchRoster, (signer) => send({ kind: 'split', signer })),
  (gateway, since) => send({ kind: 'unheard', gateway, since }),
);
const events = new EventReader(keyring);
/** Comes when it is first wanted. */
let exporting: Promise<typeof import('./export')> | null = null;
const exporter = () => (exporting ??= import('./export'));
const players = new Map<number, Player>();

const handlers: Handlers = {
  newDevice: (input) => keyring.create(input),
  newRecovery: async () => (await import('../lib/device/recovery')).newRecovery(),
  recoveryKey: async (words) => (await import('../lib/device/recovery')).recoveryKey(words),
  signByRecovery: async ({ words, data }) => (await import('../lib/device/recovery')).signByRecovery(words, data),
  unlock: async ({ stored, opener }) => {
    await keyring.unlock(stored, opener);
    // What an export left here when its page was closed.
    void import('./sink').then(({ sweep }) => sweep(null)).catch(() => undefined);
    return null;
  },
  lock: async () => {
    for (const player of players.values()) player.close();
    players.clear();
    events.forget();
    keyring.lock();
    // Nothing keeps the keys from being forgotten.
    void exporting?.then(({ cancelAll }) => cancelAll(), () => undefined);
    return null;
  },
  sign: (data) => keyring.signer.sign(data),
  handOn: async (input) => {
    if (!input.sheet) return keyring.handOn(input, null);
    const kem = await (await import('../lib/device/recovery')).kemFromWords(input.sheet.words);
    return keyring.handOn(input, { device: input.sheet.device, kem }).finally(() => kem.fill(0));
  },
  // Few people give a site orders.
  command: async ({ org, gateway, state, command, lifeMs }) => (await import('../lib/seal/commands')).signCommand(org, gateway, state, command, Date.now(), keyring.signer, lifeMs),
  openAnswer: async (input) => (await import('./answer')).openAndShow(input, keyring),
  // With the page that lists them.
  signBookmark: async (order) => (await import('./bookmarks')).signOrder(order, keyring),
  openBookmarks: async (listed) => (await import('./bookmarks')).openAll(listed, keyring),
  orderNotices: async ({ org, at, orders }) => {
    const { placeOrder } = await import('../lib/seal/noticeOrder');
    const placed = [];
    for (const { gateway, wishes } of orders) placed.push(await placeOrder(org, gateway, wishes, at, keyring.signer));
    return placed;
  },
  trust: async (trust) => (keyring.trust(trust), null),
  apart: async (key) => (goApart(key), null),
  picture: ({ camera, live }) => pictureOf(camera, live, keyring),
  pictureAt: ({ camera, at }) => pictureAt(camera, at, keyring),
  events: (listings) => events.read(listings),
  snapshot: async ({ player }) => (await players.get(player)?.screen.snapshot()) ?? null,
  prepareExport: async (order) => (await exporter()).prepare(order),
  writeExport: async ({ job, to }) => (await exporter()).write(job, to, keyring, (progress) => send({ kind: 'exporting', job, progress })),
  cancelExport: async ({ job }) => ((await exporter()).cancel(job), null),
  writeText: async ({ to, name, text }) => (await import('./sink')).writeText(to, name, text),
  forgetExported: async (names) => ((await import('./sink')).sweep(names), null),
};

class Player {
  readonly screen: Screen;
  private live: LiveView | null = null;
  private recorded: RecordedView | null = null;
  private audio = false;

  constructor(
    private readonly id: number,
    private readonly camera: string,
    private rendition: Rendition,
    canvas: OffscreenCanvas,
  ) {
    this.screen = new Screen(canvas, (at, width, height, late) => this.emit({ type: 'picture', at, width, height, late }));
  }

  control(control: Control): void {
    switch (control.do) {
      case 'live':
        this.close();
        this.live = new LiveView(this.camera, this.rendition, keyring, this.screen, (event) => this.emit(event), this.audio);
        return;
      case 'hold':
        return this.close();
      case 'seek':
        return this.past().seek(control.at, control.play, control.preview);
      case 'follow':
        return this.past().follow(control.clock, control.anew, control.preview);
      case 'play':
        return this.recorded?.play();
      case 'pause':
        return this.recorded?.pause();
      case 'step':
        return this.recorded?.step(control.by);
      case 'speed':
        return this.recorded?.setSpeed(control.speed);
      case 'rendition':
        this.close();
        this.rendition = control.rendition;
        return;
      case 'audio':
        this.audio = control.on;
        this.live?.setAudio(control.on);
        this.recorded?.setAudio(control.on);
        return;
      case 'close':
        this.close();
        players.delete(this.id);
    }
  }

  private past(): RecordedView {
    this.live?.close();
    this.live = null;
    return (this.recorded ??= new RecordedView(this.camera, this.rendition, keyring, this.screen, (event) => this.emit(event), this.audio));
  }

  close(): void {
    this.live?.close();
    this.recorded?.close();
    this.live = this.recorded = null;
  }

  private emit(event: PlayerEvent): void {
    const transfer = event.type === 'audio' ? event.channels.map(({ buffer }) => buffer) : [];
    send({ kind: 'event', player: this.id, event }, transfer);
  }
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === 'language') speak(data.spoken);
  if (data.kind === 'call') void answer(data.id, data.name, data.input);
  if (data.kind === 'open') players.set(data.player, new Player(data.player, data.camera, data.rendition, data.canvas));
  if (data.kind === 'fetched') fetched?.(data.problem);
  if (data.kind === 'control') players.get(data.player)?.control(data.control);
};

async function answer(id: number, name: keyof Calls, input: unknown): Promise<void> {
  try {
    const output = await (handlers[name] as (input: unknown) => Promise<unknown>)(input);
    const bitmap = (output as { bitmap?: unknown } | null)?.bitmap;
    send({ kind: 'answer', id, output }, bitmap instanceof ImageBitmap ? [bitmap] : []);
  } catch (error) {
    send({ kind: 'failure', id, message: explain(error) });
  }
}

function send(message: FromWorker, transfer: Transferable[] = []): void {
  (self as unknown as DedicatedWorkerGlobalScope).postMessage(message, transfer);
}
