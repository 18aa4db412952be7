//! The right edge of a growing tree: the unfinished tile of each level and the
//! unfinished bundle. All that whoever extends a log must know of it.

use model::Hash;

use super::tile::WIDTH;
use super::{Bundle, BundleError, Tile, TileError, fold, leaf_hash, nodes};

#[derive(Clone, Debug, Default)]
pub struct Edge {
    size: u64,
    /// Hashes of the unfinished tile, by level.
    levels: Vec<Vec<Hash>>,
    /// The unfinished bundle.
    bundle: Vec<u8>,
}

impl Edge {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The partial tiles that an edge is read back from.
    pub fn tiles(size: u64) -> Vec<Tile> {
        let mut found = Vec::new();
        if !size.is_multiple_of(WIDTH) {
            found.push(Tile { level: None, index: size / WIDTH, width: (size % WIDTH) as u16 });
        }
        let (mut level, mut count) = (0, size);
        while count > 0 {
            if !count.is_multiple_of(WIDTH) {
                let width = (count % WIDTH) as u16;
                found.push(Tile { level: Some(level), index: count / WIDTH, width });
            }
            (level, count) = (level + 1, count / WIDTH);
        }
        found
    }

    /// `parts` are the bytes of [`Edge::tiles`], in that order.
    pub fn read(size: u64, parts: &[Vec<u8>]) -> Result<Self, TileError> {
        let mut edge = Edge { size, ..Edge::default() };
        let tiles = Self::tiles(size);
        if tiles.len() != parts.len() {
            return Err(TileError::Width);
        }
        for (tile, bytes) in tiles.iter().zip(parts) {
            match tile.level {
                None => {
                    let whole =
                        Bundle::entries(bytes, tile.width).map_err(|_: BundleError| TileError::Width)?;
                    debug_assert_eq!(whole.len(), usize::from(tile.width));
                    edge.bundle = bytes.clone();
                }
                Some(level) => *edge.level(usize::from(level)) = tile.hashes(bytes)?,
            }
        }
        Ok(edge)
    }

    /// Adds an entry; gives the tiles and the bundle that are full with it.
    pub fn push(&mut self, entry: &[u8]) -> Vec<(Tile, Vec<u8>)> {
        Bundle::push(&mut self.bundle, entry);
        let mut full = Vec::new();
        let mut index = self.size / WIDTH;
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            full.push((Tile { level: None, index, width: WIDTH as u16 }, std::mem::take(&mut self.bundle)));
        }
        let (mut level, mut hash) = (0, leaf_hash(entry));
        loop {
            let hashes = self.level(level);
            hashes.push(hash);
            if (hashes.len() as u64) < WIDTH {
                return full;
            }
            let hashes = std::mem::take(hashes);
            hash = Tile::root(&hashes).expect("a full tile has 256 hashes");
            full.push((Tile { level: Some(level as u8), index, width: WIDTH as u16 }, bytes(&hashes)));
            (level, index) = (level + 1, index / WIDTH);
        }
    }

    /// The tiles and the bundle that are not full.
    pub fn partials(&self) -> Vec<(Tile, Vec<u8>)> {
        let contents = |tile: Tile| match tile.level {
            None => (tile, self.bundle.clone()),
            Some(level) => (tile, bytes(&self.levels[usize::from(level)])),
        };
        Self::tiles(self.size).into_iter().map(contents).collect()
    }

    /// Of no leaves: SHA-256 of the empty string.
    pub fn root(&self) -> Hash {
        let mut hashes = Vec::new();
        for level in self.levels.iter().rev() {
            let parts = nodes(0, level.len() as u64);
            hashes.extend(parts.iter().filter_map(|part| {
                let first = (part.index << part.level) as usize;
                Tile::root(&level[first..first + (1 << part.level)])
            }));
        }
        fold(&hashes).unwrap_or_else(|| crate::sha256(b""))
    }

    fn level(&mut self, level: usize) -> &mut Vec<Hash> {
        if self.levels.len() <= level {
            self.levels.resize(level + 1, Vec::new());
        }
        &mut self.levels[level]
    }
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
