//! Transparency logs (section 7): an append-only Merkle tree whose head is
//! signed, cut into tiles that any server can keep (C2SP tlog-tiles). The tree
//! and its proofs are those of RFC 9162 section 2.1; what is here proves or
//! verifies, and stores nothing.

mod edge;
mod note;
mod tile;
mod witness;

pub use edge::Edge;
pub use note::{Checkpoint, Cosignature, LogKey, NoteError, join, sign, sign_witnessed};
pub use tile::{Bundle, BundleError, ENTRY_BYTES_MAX, Tile, TileError};
pub use witness::{Refusal, SUBMISSION_BYTES_MAX, Submission};

use model::Hash;

use crate::merkle::node;

/// A perfect subtree: 2^level leaves, the `index`th of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub level: u32,
    pub index: u64,
}

/// One hash of a proof: the tree over these nodes, from left to right.
pub type Part = Vec<Node>;

/// The hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut tree = crate::MerkleTree::new();
    tree.push(&[leaf]);
    tree.root()
}

/// What is hashed to prove that leaf `index` is in the tree of `size` leaves
/// (section 2.1.3.1). None if it is not.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Part>> {
    if index >= size {
        return None;
    }
    let (mut first, mut end, mut proof) = (0, size, Vec::new());
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            proof.push(nodes(middle, end));
            end = middle;
        } else {
            proof.push(nodes(first, middle));
            first = middle;
        }
    }
    proof.reverse();
    Some(proof)
}

/// What is hashed to prove that the tree of `old` leaves is the beginning of
/// that of `new` leaves (section 2.1.4.1). None if `old` is 0 or too large.
pub fn consistency(old: u64, new: u64) -> Option<Vec<Part>> {
    if old == 0 || old > new {
        return None;
    }
    let (mut first, mut end, mut proof, mut whole) = (0, new, Vec::new(), true);
    loop {
        if old == end {
            if !whole {
                proof.push(nodes(first, end));
            }
            break;
        }
        let middle = first + split(end - first);
        if old <= middle {
            proof.push(nodes(middle, end));
            end = middle;
        } else {
            proof.push(nodes(first, middle));
            first = middle;
            whole = false;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The hash of a part from the hashes of its nodes.
pub fn fold(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node(left, right))
}

/// Section 2.1.3.2.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for other in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node(*other, hash);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = node(hash, *other);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == root
}

/// Section 2.1.4.2. The empty tree is the beginning of every tree.
pub fn verify_consistency(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old, old_root), (new, new_root)) = (old, new);
    if old > new {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && old_root == crate::sha256(b"") && (new > 0 || new_root == old_root);
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    let mut rest = proof.iter().copied();
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at % 2 == 1 {
        (at, last) = (at / 2, last / 2);
    }
    let (mut from, mut to) = (first, first);
    for other in rest {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            (from, to) = (node(other, from), node(other, to));
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            to = node(to, other);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && from == old_root && to == new_root
}

/// The largest power of two below `size`.
fn split(size: u64) -> u64 {
    size.next_power_of_two() / 2
}

/// The perfect subtrees that leaves `first..end` are made of; `first` is where
/// a subtree of that size begins.
pub(crate) fn nodes(mut first: u64, end: u64) -> Part {
    let mut found = Vec::new();
    while first < end {
        let level = (end - first).ilog2();
        found.push(Node { level, index: first >> level });
        first += 1 << level;
    }
    found
}
