// The page's end of the Worker: calls with answers, and players with events.

import type { Progress } from '../../worker/export';
import type { Calls, Control, FromWorker, PlayerEvent, ToWorker } from '../../worker/protocol';
import { explain } from '../api/client';
import type { Rendition } from '../api/types';
import { changed, speaking, type Spoken } from '../say';
import { worker as workerScript } from './scripts';

const waiting = new Map<number, { resolve: (output: never) => void; reject: (error: Error) => void }>();
/** Of exports that run, by their number. */
export const exporting = new Map<number, (progress: Progress) => void>();
/** What is to be forgotten when this browser is locked. */
export const locking = new Set<() => void>();
const listeners = new Map<number, (event: PlayerEvent) => void>();
/** What the Worker wants of the page. */
export const wanted: { roster: () => Promise<void>; split: (signer: string) => void; unheard: (gateway: string, since: number | null) => void } = {
  roster: () => Promise.resolve(),
  split: () => undefined,
  unheard: () => undefined,
};
let nextId = 1;
let started: Worker | null = null;

export function call<K extends keyof Calls>(name: K, input: Parameters<Calls[K]>[0]): Promise<ReturnType<Calls[K]>> {
  const id = nextId++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    send({ kind: 'call', id, name, input });
  });
}

export class PlayerHandle {
  private readonly id = nextId++;

  constructor(camera: string, rendition: Rendition, canvas: HTMLCanvasElement, onEvent: (event: PlayerEvent) => void) {
    listeners.set(this.id, onEvent);
    const offscreen = canvas.transferControlToOffscreen();
    send({ kind: 'open', player: this.id, camera, rendition, canvas: offscreen }, [offscreen]);
  }

  control(control: Control): void {
    send({ kind: 'control', player: this.id, control });
  }

  snapshot(): Promise<Blob | null> {
    return call('snapshot', { player: this.id });
  }

  close(): void {
    this.control({ do: 'close' });
    listeners.delete(this.id);
  }
}

function send(message: ToWorker, transfer: Transferable[] = []): void {
  worker().postMessage(message, transfer);
}

function worker(): Worker {
  if (started) return started;
  const made = new Worker(workerScript(), { type: 'module', name: 'lenskeep' });
  made.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === 'event') return listeners.get(data.player)?.(data.event);
    if (data.kind === 'exporting') return exporting.get(data.job)?.(data.progress);
    if (data.kind === 'split') return wanted.split(data.signer);
    if (data.kind === 'unheard') return wanted.unheard(data.gateway, data.since);
    if (data.kind === 'fetch') return void wanted.roster().then(() => null, explain).then((problem) => send({ kind: 'fetched', problem }));
    const caller = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.kind === 'answer') caller?.resolve(data.output as never);
    else caller?.reject(new Error(data.message));
  };
  // It knows no document and no storage of the page: what it says, it says in this language.
  const tell = (spoken: Spoken): void => made.postMessage({ kind: 'language', spoken } satisfies ToWorker);
  tell(speaking());
  changed.add(tell);
  made.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error('The part of Lenskeep that opens pictures did not start. Load the page again.'));
    waiting.clear();
  };
  return (started = made);
}
