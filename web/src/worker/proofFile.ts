// A proof beside the films of one camera (docs/format.md section 5.1): an excerpt of each recording, and what the history shows of its time.
// Holds what is proven of one recording in memory.

import { find, isApart } from '../lib/api/client';
import { loadLogMemory } from '../lib/device/store';
import type { Bytes } from '../lib/seal/bytes';
import { type Dating, readDating, writeDating } from '../lib/seal/dating';
import type { ExcerptWriter } from '../lib/seal/excerpt';
import type { Recording } from '../lib/seal/reader';
import type { Origin } from './clips';
import { ended } from './patience';
import type { Sink, Written } from './sink';

/** Longest proof that is written or read. */
const PROOF_BYTES_MAX = 2 ** 30;

export class ProofFile {
  private bytes = 0;
  private key: Promise<string | null> | null = null;
  log: string | null = null;
  unproven = 0;
  undated = 0;

  constructor(
    private readonly sink: Sink,
    private readonly signal: AbortSignal,
  ) {}

  async add(recording: Recording, writer: ExcerptWriter, origin: Origin): Promise<void> {
    const excerpt = await writer.finish(recording, (track) => origin.track(track) !== undefined);
    if (!excerpt) {
      if (!recording.tail) this.unproven += 1;
      return;
    }
    await this.write(excerpt);
    const dating = await ended(this.dating(recording), this.signal);
    if (!dating?.stored) this.undated += 1;
    if (!dating) return;
    this.log ??= dating.log;
    await this.write(writeDating(dating));
  }

  async finish(): Promise<Written> {
    if (this.bytes === 0) throw new Error('Nothing of this time can be proven: no recording of it was closed.');
    return this.sink.close();
  }

  abort(): Promise<void> {
    return this.sink.abort();
  }

  private async write(bytes: Bytes): Promise<void> {
    this.bytes += bytes.length;
    if (this.bytes > PROOF_BYTES_MAX) throw new Error('A proof has at most 1 GiB. Export a shorter time, or without the proof.');
    await this.sink.write(bytes);
  }

  /** What does not come, or does not hold, is left out: the pictures are proven without it. */
  private async dating({ id, read: { header }, tail }: Recording): Promise<Dating | null> {
    // A gateway alone knows no history.
    if (!tail || isApart()) return null;
    const size = header.checkpoint?.split('\n')[1];
    const answer = await find<{ log: string }>(`/api/v1/recordings/${id}/dating${size && /^\d+$/.test(size) ? `?checkpoint=${size}` : ''}`).catch(() => null);
    if (!answer) return null;
    this.key ??= loadLogMemory().then((memory) => memory?.key ?? null);
    const of = { org: header.org, id, root: tail.footer.root, checkpoint: header.checkpoint };
    return readDating(answer, of, (await this.key) ?? String(answer.log)).catch(() => null);
  }
}
