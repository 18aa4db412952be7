// Heads of the roster that gateways and devices sign into headers and grants. Each must stand in the roster that this browser was shown:
// one that does not, even after the roster was fetched once more, was signed on top of a statement that is being kept from us.

import { refuse } from '../lib/seal/bytes';
import { UNHEARD_MS } from '../lib/seal/limits';

export class Heads {
  private readonly places = new Map<string, number>();
  private readonly dates: number[] = [];
  private fetching: Promise<void> | null = null;

  constructor(
    /** Brings what is new through `learn`, or throws. */
    private readonly fetch: () => Promise<void>,
    private readonly split: (signer: string) => void,
  ) {}

  /** Statements of the log from number `from` on. */
  learn(from: number, statements: readonly { hash: string; at: number }[]): void {
    if (from === 0) this.clear();
    statements.forEach(({ hash, at }, i) => {
      this.places.set(hash, from + i);
      this.dates[from + i] = at;
    });
  }

  clear(): void {
    this.places.clear();
    this.dates.length = 0;
  }

  /** When the first statement was made that a gateway had not heard of long afterwards, when it began a recording on top of `head` at that time:
   * it was cut off, or the statement was kept from it. */
  unheard(head: string, at: number): number | null {
    const place = this.places.get(head);
    const made = place === undefined ? undefined : this.dates[place + 1];
    return made !== undefined && made + UNHEARD_MS < at ? made : null;
  }

  async check(head: string, signer: string): Promise<void> {
    if (this.places.has(head)) return;
    // Somebody else's fetch may have begun before this head was there.
    if (this.fetching) await this.fetching.catch(() => undefined);
    if (this.places.has(head)) return;
    await (this.fetching ??= this.fetch().finally(() => (this.fetching = null)));
    if (this.places.has(head)) return;
    this.split(signer);
    refuse('the gateway goes by another roster than this browser was shown. Nothing of it is opened', 'split');
  }
}
