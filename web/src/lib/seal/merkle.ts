// The Merkle tree hash of RFC 9162 section 2.1.1, over leaves that arrive one after the other.
// Keeps one hash per level, so a recording of any length needs a few hundred bytes.

import type { Bytes } from './bytes';
import { sha256 } from './crypto';

export class MerkleTree {
  private readonly peaks: { size: number; hash: Bytes }[] = [];

  async push(leaf: Uint8Array): Promise<void> {
    await this.pushHash(await leafHash(leaf));
  }

  async pushHash(hash: Bytes): Promise<void> {
    this.peaks.push({ size: 1, hash });
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

export const leafHash = (leaf: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(0), leaf);

/** What a stretch of leaves needs beside it, from left to right, to give the root: the greatest subtrees that it has no part in. */
export async function rangeProof(leaves: readonly Bytes[], first: number, end: number): Promise<Bytes[]> {
  if (first === 0 && end === leaves.length) return [];
  if (end === 0 || first === leaves.length) return [await rootOf(leaves)];
  // The largest power of two below the number of leaves.
  const split = 2 ** (31 - Math.clz32(leaves.length - 1));
  const left = await rangeProof(leaves.slice(0, split), Math.min(first, split), Math.min(end, split));
  return [...left, ...(await rangeProof(leaves.slice(split), Math.max(first - split, 0), Math.max(end - split, 0)))];
}

export async function rootOf(leaves: readonly Bytes[]): Promise<Bytes> {
  const tree = new MerkleTree();
  for (const leaf of leaves) await tree.pushHash(leaf);
  return tree.root();
}

function node(left: Uint8Array, right: Uint8Array): Promise<Bytes> {
  return sha256(Uint8Array.of(1), left, right);
}
