//! Merkle tree hash of RFC 9162 section 2.1.1, grown leaf by leaf. Keeps one
//! hash per complete subtree, so memory is logarithmic.

use model::Hash;

use crate::hash::Sha256;

#[derive(Clone, Debug, Default)]
pub struct MerkleTree {
    /// (leaves in the subtree, its hash), largest first; sizes are powers of two.
    subtrees: Vec<(u64, Hash)>,
    leaves: u64,
}

impl MerkleTree {
    pub fn new() -> Self {
        Self::default()
    }

    /// A leaf may come in pieces, as it lies in several buffers.
    pub fn push(&mut self, parts: &[&[u8]]) {
        self.push_hash(leaf(parts));
    }

    fn push_hash(&mut self, leaf: Hash) {
        let (mut size, mut hash) = (1, leaf);
        while let Some(&(left_size, left)) = self.subtrees.last() {
            if left_size != size {
                break;
            }
            self.subtrees.pop();
            hash = node(left, hash);
            size *= 2;
        }
        self.subtrees.push((size, hash));
        self.leaves += 1;
    }

    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Of no leaves: SHA-256 of the empty string.
    pub fn root(&self) -> Hash {
        let hashes = self.subtrees.iter().rev().map(|&(_, hash)| hash);
        hashes.reduce(|right, left| node(left, right)).unwrap_or_else(|| crate::sha256(b""))
    }
}

/// The hash of a leaf, given in pieces.
pub(crate) fn leaf(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(&[0]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

pub(crate) fn node(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(&[1]);
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// What a stretch of leaves needs beside it, from left to right, to give the
/// root. None if it is empty or not within the leaves.
pub(crate) fn range_proof(leaves: &[Hash], first: usize, count: usize) -> Option<Vec<Hash>> {
    let end = first.checked_add(count).filter(|end| count > 0 && *end <= leaves.len())?;
    let mut proof = Vec::new();
    beside(leaves, (first, end), &mut proof);
    Some(proof)
}

fn beside(leaves: &[Hash], (first, end): (usize, usize), proof: &mut Vec<Hash>) {
    if first == 0 && end == leaves.len() {
        return;
    }
    if end == 0 || first == leaves.len() {
        return proof.push(root_of(leaves));
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    beside(left, (first.min(split), end.min(split)), proof);
    beside(right, (first.saturating_sub(split), end.saturating_sub(split)), proof);
}

fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = MerkleTree::new();
    leaves.iter().for_each(|leaf| tree.push_hash(*leaf));
    tree.root()
}

/// The root of `total` leaves of which these stand from `first` on. None if the
/// proof is too short or too long for that.
pub(crate) fn range_root(total: u64, first: u64, stretch: &[Hash], proof: &[Hash]) -> Option<Hash> {
    let end = first.checked_add(stretch.len() as u64)?;
    // So far, the next power of two is a number, too.
    if stretch.is_empty() || end > total || total > 1 << 62 {
        return None;
    }
    let mut proof = proof.iter();
    let root = over(total, (first, end), stretch, &mut proof)?;
    proof.next().is_none().then_some(root)
}

fn over(
    total: u64,
    (first, end): (u64, u64),
    stretch: &[Hash],
    proof: &mut std::slice::Iter<'_, Hash>,
) -> Option<Hash> {
    if first == 0 && end == total {
        return Some(root_of(stretch));
    }
    if end == 0 || first == total {
        return proof.next().copied();
    }
    let split = total.next_power_of_two() / 2;
    let in_left = end.min(split) - first.min(split);
    let (left, right) = stretch.split_at(in_left as usize);
    let left = over(split, (first.min(split), end.min(split)), left, proof)?;
    let right = over(total - split, (first.saturating_sub(split), end.saturating_sub(split)), right, proof)?;
    Some(node(left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition as the RFC words it: split at the largest power of two.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => crate::sha256(b""),
            [leaf] => crate::sha256(&[&[0], leaf.as_slice()].concat()),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(by_definition(&leaves[..split]), by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn every_stretch_of_leaves_is_proven_and_no_other() {
        for total in 1..=33usize {
            let leaves: Vec<Hash> = (0..total).map(|n| leaf(&[&[n as u8]])).collect();
            let root = root_of(&leaves);
            for first in 0..total {
                for count in 1..=total - first {
                    let proof = range_proof(&leaves, first, count).unwrap();
                    let found = |first: usize, stretch: &[Hash], proof: &[Hash]| {
                        range_root(total as u64, first as u64, stretch, proof)
                    };
                    let stretch = &leaves[first..first + count];
                    assert_eq!(found(first, stretch, &proof), Some(root), "{first}+{count} of {total}");
                    let mut changed = stretch.to_vec();
                    changed[count / 2] = leaf(&[b"another"]);
                    assert_ne!(found(first, &changed, &proof), Some(root));
                    assert!(found(first, stretch, &[proof.as_slice(), &[root]].concat()).is_none());
                    if let Some((_, shorter)) = proof.split_last() {
                        assert!(found(first, stretch, shorter).is_none());
                    }
                    if count < total && first > 0 {
                        assert_ne!(found(first - 1, stretch, &proof), Some(root), "moved");
                    }
                }
            }
            assert!(range_proof(&leaves, 0, 0).is_none() && range_proof(&leaves, 1, total).is_none());
        }
        assert!(range_root(u64::MAX, u64::MAX, &[Hash([0; 32])], &[]).is_none());
    }

    #[test]
    fn grows_to_the_tree_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n)]).collect();
        let mut tree = MerkleTree::new();
        for n in 0..leaves.len() {
            assert_eq!(tree.root(), by_definition(&leaves[..n]), "{n} leaves");
            tree.push(&[&leaves[n][..n / 2], &leaves[n][n / 2..]]);
        }
    }
}
