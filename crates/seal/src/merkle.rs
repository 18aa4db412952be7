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
        let mut hasher = Sha256::new();
        hasher.update(&[0]);
        parts.iter().for_each(|part| hasher.update(part));
        let (mut size, mut hash) = (1, hasher.finish());
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

pub(crate) fn node(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(&[1]);
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
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
    fn grows_to_the_tree_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n)]).collect();
        let mut tree = MerkleTree::new();
        for n in 0..leaves.len() {
            assert_eq!(tree.root(), by_definition(&leaves[..n]), "{n} leaves");
            tree.push(&[&leaves[n][..n / 2], &leaves[n][n / 2..]]);
        }
    }
}
