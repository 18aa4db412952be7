// The Merkle tree hash of RFC 9162 section 2.1.1, over leaves that arrive one after the other.
// Keeps one hash per level, so a recording of any length needs a few hundred bytes.

import type { Bytes } from './bytes';
import { sha256 } from './crypto';

export class MerkleTree {
  private readonly peaks: { size: number; hash: Bytes }[] = [];

  async push(leaf: Uint8Array): Promise<void> {
    this.peaks.push({ size: 1, hash: await sha256(Uint8Array.of(0), leaf) });
    // Two whole trees of one size become one; what remains are the peaks of section 2.1.1's left-most splits.
    while (this.peaks.length > 1 && this.peaks.at(-1)!.size === this.peaks.at(-2)!.size) {
      const right = this.peaks.pop()!;
      const left = this.peaks.pop()!;
      this.peaks.push({ size: left.size * 2, hash: await node(left.hash, right.hash) });
    }
  }

  async root(): Promise<Bytes> {
    let root: Bytes | null = null;
    for (const { hash } of this.peaks.toReversed()) root = root === null ? hash : await node(hash, root);
    return root ?? sha256(new Uint8Array());
  }
}

function node(left: Uint8Array, right: Uint8Array): Promise<Bytes> {
  return sha256(Uint8Array.of(1), left, right);
}
