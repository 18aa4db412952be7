// Where footage goes that is shared by a link: sealed piece by piece, and sent. The first piece of each file waits until the file is whole,
// since its beginning is filled in at the end; so no piece is ever sealed twice.

import { post, putBytes } from '../lib/api/client';
import { type Bytes, concat, refuse } from '../lib/seal/bytes';
import { Capsule, type CapsuleFile, CAPSULE_BYTES_MAX, DESCRIPTION, DESCRIPTION_BYTES_MAX, FILES_MAX, PIECE_BYTES, type Piece } from '../lib/seal/capsule';
import type { Exported } from './export';
import { persistent } from './patience';
import type { Sink } from './sink';

export interface Link {
  share: string;
  /** What stands behind the `#`. */
  key: string;
  note: string | null;
  zone: string;
}

export class CapsuleSinks {
  private readonly files = new Map<string, { number: number; kind: CapsuleFile['kind'] }>();
  private capsule: Promise<Capsule>;
  private bytes = 0;
  private pieces = 0;

  constructor(
    private readonly link: Link,
    private readonly signal: AbortSignal,
    private readonly waits: (isWaiting: boolean) => void,
  ) {
    this.capsule = Capsule.of(link.share, link.key);
  }

  async open(wanted: string): Promise<Sink> {
    const number = this.files.size + 1;
    if (number > FILES_MAX) throw new Error(`This would be more than ${FILES_MAX} files. Share a shorter time, or fewer cameras.`);
    const name = this.unused(wanted);
    this.files.set(name, { number, kind: name.endsWith('.lkproof') ? 'proof' : 'film' });
    return new SealedFile(name, number, (piece, plain) => this.send(piece, plain));
  }

  /** The description comes last: without it there is nothing to open. */
  async finish(exported: readonly Exported[], cameras: readonly { id: string; name: string }[]): Promise<void> {
    const files: CapsuleFile[] = exported.flatMap(({ camera, files, from, to }) => {
      const { name } = cameras.find(({ id }) => id === camera)!;
      return files.map((file) => ({ kind: this.files.get(file.name)!.kind, name: file.name, camera: name, from, to, bytes: file.bytes }));
    });
    const number = (file: CapsuleFile) => this.files.get(file.name)!.number;
    files.sort((a, b) => number(a) - number(b));
    if (files.some((file, i) => number(file) !== i + 1)) refuse('a file of the capsule is missing');
    const sealed = await (await this.capsule).sealDescription({ note: this.link.note, zone: this.link.zone, files });
    await this.put(DESCRIPTION, sealed);
    await persistent(() => post(`/api/v1/shares/${this.link.share}/whole`, { pieces: this.pieces }), this.signal, this.waits);
  }

  /** What was sent is withdrawn by the page. */
  giveUp(): Promise<void> {
    return Promise.resolve();
  }

  private async send(piece: Piece, plain: Bytes): Promise<void> {
    const sealed = await (await this.capsule).seal(piece, plain);
    this.bytes += sealed.length;
    if (this.bytes > CAPSULE_BYTES_MAX - DESCRIPTION_BYTES_MAX) throw new Error('A link has room for 1 GiB. Share a shorter time, fewer cameras, or the small stream.');
    await this.put(piece, sealed);
  }

  private async put({ file, number }: Piece, sealed: Bytes): Promise<void> {
    await persistent(() => putBytes(`/api/v1/shares/${this.link.share}/files/${file}/pieces/${number}`, sealed), this.signal, this.waits);
    this.pieces += 1;
  }

  /** Cameras may have the same name. */
  private unused(name: string): string {
    const dot = name.lastIndexOf('.');
    for (let number = 2, next = name; ; number += 1) {
      if (!this.files.has(next)) return next;
      next = `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
    }
  }
}

class SealedFile implements Sink {
  /** The first piece, which is sent last. */
  private first: Bytes | null = null;
  private rest: Bytes = new Uint8Array();
  private number = 0;
  private bytes = 0;

  constructor(
    private readonly name: string,
    private readonly file: number,
    private readonly send: (piece: Piece, plain: Bytes) => Promise<void>,
  ) {}

  async write(bytes: Bytes): Promise<void> {
    this.bytes += bytes.length;
    let waiting = concat(this.rest, bytes);
    while (waiting.length >= PIECE_BYTES) {
      await this.next(waiting.slice(0, PIECE_BYTES));
      waiting = waiting.slice(PIECE_BYTES);
    }
    this.rest = waiting;
  }

  async patch(at: number, bytes: Bytes): Promise<void> {
    const target = this.first ?? this.rest;
    if (at + bytes.length > target.length) refuse('only the beginning of a file is filled in later');
    target.set(bytes, at);
  }

  async close(): Promise<{ name: string; bytes: number; download: null }> {
    if (this.rest.length > 0) await this.next(this.rest);
    if (this.first) await this.send({ file: this.file, number: 0 }, this.first);
    this.first = null;
    return { name: this.name, bytes: this.bytes, download: null };
  }

  async abort(): Promise<void> {
    [this.first, this.rest] = [null, new Uint8Array()];
  }

  private async next(plain: Bytes): Promise<void> {
    const { number } = this;
    this.number += 1;
    if (number === 0) this.first = plain;
    else await this.send({ file: this.file, number }, plain);
  }
}
