// Where exported files go: a folder or a file that the person has chosen, or, in browsers that let nobody choose, a place of this origin
// from which the page has them downloaded. A file that is not finished is taken back.

import { takeBack } from '../lib/app/chosenFile';
import type { Output } from '../lib/media/film';
import { type Bytes, utf8 } from '../lib/seal/bytes';
import type { Link } from './capsule';

export type Destination = { kind: 'link'; link: Link } | { kind: 'folder'; folder: FileSystemDirectoryHandle } | { kind: 'file'; file: FileSystemFileHandle } | { kind: 'download' };

export interface Written {
  name: string;
  bytes: number;
  /** For the page to have downloaded; null for what is where the person wanted it. */
  download: Blob | null;
}

export interface Sink extends Output {
  close(): Promise<Written>;
  /** Takes the file back, whole or not. */
  abort(): Promise<void>;
}

/** Of the origin's own files. */
const FOLDER = 'exports';
/** Nobody waits so long for a download to begin. */
const LEFT_AFTER_MS = 60 * 60_000;
/** Of browsers, and windows, that give no place for files: all of the film is in memory there. */
const MEMORY_BYTES_MAX = 512 * 1024 * 1024;
const ATTEMPTS_MAX = 100;

/** Makes the files of one export. The chosen file is the first one; a second one is downloaded. */
export class Sinks {
  private isTaken = false;

  constructor(private readonly destination: Destination) {}

  async open(name: string): Promise<Sink> {
    const { destination } = this;
    try {
      if (destination.kind === 'folder') return await chosen(await unused(destination.folder, name));
      if (destination.kind === 'file' && !this.isTaken) {
        this.isTaken = true;
        return await chosen(destination.file);
      }
      return (await kept(name)) ?? remembered(name);
    } catch (error) {
      throw inWords(error, name);
    }
  }

  /** A file that was chosen, and that nothing was written to. */
  async giveUp(): Promise<void> {
    if (this.destination.kind === 'file' && !this.isTaken) await takeBack(this.destination.file, false);
  }
}

/** A small file beside others. */
export async function writeText(destination: Destination, name: string, text: string): Promise<Written> {
  const sink = await new Sinks(destination).open(name);
  try {
    await sink.write(utf8(text));
    return await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Deletes what was left for downloads: what has these names, or (null) all that is not of the last hour. */
export async function sweep(names: readonly string[] | null): Promise<void> {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  const folder = await root?.getDirectoryHandle(FOLDER).catch(() => null);
  if (!folder) return;
  for await (const [name, handle] of folder as unknown as AsyncIterable<[string, FileSystemFileHandle]>) {
    const isOld = async () => Date.now() - (await handle.getFile()).lastModified > LEFT_AFTER_MS;
    if (names ? names.includes(name) : await isOld()) await folder.removeEntry(name).catch(() => undefined);
  }
}

/** Never one that is there already. */
async function unused(folder: FileSystemDirectoryHandle, name: string): Promise<FileSystemFileHandle> {
  const dot = name.lastIndexOf('.');
  for (let number = 1; number < ATTEMPTS_MAX; number += 1) {
    const next = number === 1 ? name : `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
    const isThere = await folder.getFileHandle(next).then(() => true, (error: unknown) => !(error instanceof DOMException && error.name === 'NotFoundError'));
    if (!isThere) return folder.getFileHandle(next, { create: true });
  }
  throw new Error(`The folder has too many files named ${name}. Choose another one.`);
}

async function chosen(handle: FileSystemFileHandle): Promise<Sink> {
  const { name } = handle;
  const stream = await handle.createWritable().catch(async (error: unknown) => {
    await takeBack(handle, false);
    throw error;
  });
  let bytes = 0;
  let isWhole = false;
  return {
    write: (piece) => worded(name, () => ((bytes += piece.length), stream.write(piece))),
    patch: (position, data) => worded(name, () => stream.write({ type: 'write', position, data })),
    close: () =>
      worded(name, async () => {
        await stream.close();
        isWhole = true;
        return { name, bytes, download: null };
      }),
    async abort() {
      if (!isWhole) await stream.abort().catch(() => undefined);
      await takeBack(handle, isWhole);
    },
  };
}

/** In the origin's own files; null where there are none, as in private windows of some browsers. */
async function kept(name: string): Promise<Sink | null> {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  if (!root) return null;
  const folder = await root.getDirectoryHandle(FOLDER, { create: true });
  const handle = await unused(folder, name);
  const access = await handle.createSyncAccessHandle();
  let bytes = 0;
  /** A disk that is full takes a part, and says how much. */
  const put = (piece: Bytes, at: number) => {
    if (access.write(piece, { at }) !== piece.length) throw new DOMException('', 'QuotaExceededError');
  };
  return {
    write: (piece) => worded(name, async () => (put(piece, bytes), void (bytes += piece.length))),
    patch: (at, piece) => worded(name, async () => put(piece, at)),
    close: () =>
      worded(name, async () => {
        access.flush();
        access.close();
        return { name: handle.name, bytes, download: await handle.getFile() };
      }),
    async abort() {
      access.close();
      await folder.removeEntry(handle.name).catch(() => undefined);
    },
  };
}

function remembered(name: string): Sink {
  let pieces: Bytes[] = [];
  let bytes = 0;
  return {
    async write(piece) {
      if (bytes + piece.length > MEMORY_BYTES_MAX) throw new Error('This browser cannot write files of more than 512 MiB here. Export a shorter time, leave private browsing, or use a browser that lets you choose where a file goes, such as Chrome or Edge.');
      pieces.push(piece);
      bytes += piece.length;
    },
    async patch(at, piece) {
      // Only what a film begins with is ever filled in later.
      pieces[0]!.set(piece, at);
    },
    close: async () => ({ name, bytes, download: new Blob(pieces) }),
    async abort() {
      pieces = [];
    },
  };
}

async function worded<T>(name: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw inWords(error, name);
  }
}

function inWords(error: unknown, name: string): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === 'QuotaExceededError') return new Error(`There is no more room for ${name}. Free some space on the disk, choose another place, or export a shorter time.`);
  if (error.name === 'NotAllowedError') return new Error(`The browser was not allowed to write ${name}. Export again, and allow it when the browser asks.`);
  if (error.name === 'NotFoundError') return new Error(`The place of ${name} is no longer there. Choose another one.`);
  return error.name === 'AbortError' ? error : new Error(`${name} could not be written: ${error.message || error.name}. Choose another place.`);
}
