// Heads of the roster that gateways and devices sign into headers and grants. Each must stand in the roster that this browser was shown:
// one that does not, even after the roster was fetched once more, was signed on top of a statement that is being kept from us.

import { refuse } from '../lib/seal/bytes';

export class Heads {
  private readonly known = new Set<string>();
  private fetching: Promise<void> | null = null;

  constructor(
    /** Brings what is new through `learn`, or throws. */
    private readonly fetch: () => Promise<void>,
    private readonly split: (signer: string) => void,
  ) {}

  /** Statements of the log from number `from` on. */
  learn(from: number, hashes: readonly string[]): void {
    if (from === 0) this.known.clear();
    for (const hash of hashes) this.known.add(hash);
  }

  clear(): void {
    this.known.clear();
  }

  async check(head: string, signer: string): Promise<void> {
    if (this.known.has(head)) return;
    // Somebody else's fetch may have begun before this head was there.
    if (this.fetching) await this.fetching.catch(() => undefined);
    if (this.known.has(head)) return;
    await (this.fetching ??= this.fetch().finally(() => (this.fetching = null)));
    if (this.known.has(head)) return;
    this.split(signer);
    refuse('the gateway goes by another roster than this browser was shown. Nothing of it is opened', 'split');
  }
}
