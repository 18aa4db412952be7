//! What JFFS2 and UBIFS share: a log of nodes, of which the newest counts.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{join, name};

const DEPTH_MAX: usize = 128;

/// Names by folder, each with the version that it was given in and its inode; 0 where
/// it was taken away.
#[derive(Default)]
pub(super) struct Tree {
    names: BTreeMap<(u64, Vec<u8>), (u64, u64)>,
}

impl Tree {
    pub(super) fn add(&mut self, folder: u64, name: &[u8], version: u64, inode: u64) {
        let known = self.names.entry((folder, name.to_vec())).or_insert((version, inode));
        if version >= known.0 {
            *known = (version, inode);
        }
    }

    /// Everything below `root`, with its path, each inode once.
    pub(super) fn paths(&self, root: u64) -> Vec<(String, u64)> {
        let mut paths = Vec::new();
        let mut seen = BTreeSet::from([root]);
        let mut waiting = vec![(root, String::new(), 0)];
        while let Some((folder, path, depth)) = waiting.pop() {
            let inside = self.names.range((folder, Vec::new())..).take_while(|((of, _), _)| *of == folder);
            for ((_, text), (_, inode)) in inside {
                if *inode != 0 && depth < DEPTH_MAX && seen.insert(*inode) {
                    let path = join(&path, &name(text));
                    paths.push((path.clone(), *inode));
                    waiting.push((*inode, path, depth + 1));
                }
            }
        }
        paths
    }
}
