//! Tiles: 256 hashes of one level, or fewer at the right edge; and bundles of
//! the entries below them. Paths as in C2SP tlog-tiles.

use model::Hash;

use super::Node;
use crate::merkle::node;

/// Levels of the tree that one tile spans.
const HEIGHT: u32 = 8;
pub(super) const WIDTH: u64 = 1 << HEIGHT;
/// An entry's length is written with 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Levels beyond this one would hold more leaves than can be counted.
const LEVEL_MAX: u8 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// None for the entries themselves.
    pub level: Option<u8>,
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("not the path of a tile")]
    Path,
    #[error("the tile does not hold as many hashes as its path says")]
    Width,
}

impl Tile {
    /// `tile/0/x001/067`, `tile/entries/000.p/5`.
    pub fn path(&self) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let level = self.level.map_or_else(|| "entries".to_owned(), |level| level.to_string());
        let partial =
            if u64::from(self.width) == WIDTH { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{level}/{number}{partial}")
    }

    /// Only the one spelling that `path` writes.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let level = match level {
            "entries" => None,
            level => Some(level.parse::<u8>().map_err(|_| TileError::Path)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| TileError::Path)?),
            None => (rest, WIDTH as u16),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let group: u64 = digits.parse().map_err(|_| TileError::Path)?;
            index =
                index.checked_mul(1000).and_then(|index| index.checked_add(group)).ok_or(TileError::Path)?;
        }
        let tile = Tile { level, index, width };
        let within = (1..=WIDTH as u16).contains(&width) && level.is_none_or(|level| level <= LEVEL_MAX);
        if within && tile.path() == path { Ok(tile) } else { Err(TileError::Path) }
    }

    /// The tile in which a node lies or from which it follows, in a tree of
    /// `size` leaves; and the hashes of it that make the node.
    pub fn of(at: Node, size: u64) -> (Self, std::ops::Range<usize>) {
        let level = at.level / HEIGHT;
        let below = at.level % HEIGHT;
        let first = at.index << below;
        let index = first / WIDTH;
        let start = (first % WIDTH) as usize;
        let whole = size.checked_shr(level * HEIGHT).unwrap_or(0);
        let width = (whole - (index * WIDTH).min(whole)).min(WIDTH) as u16;
        (Tile { level: Some(level as u8), index, width }, start..start + (1 << below))
    }

    /// The hashes that a tile's bytes are.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        if bytes.len() != usize::from(self.width) * 32 {
            return Err(TileError::Width);
        }
        Ok(bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok().map(Hash)).collect())
    }

    /// The root over some hashes of a tile, as many as a power of two.
    pub fn root(hashes: &[Hash]) -> Option<Hash> {
        if !hashes.len().is_power_of_two() {
            return None;
        }
        let mut level = hashes.to_vec();
        while level.len() > 1 {
            level = level.chunks_exact(2).map(|pair| node(pair[0], pair[1])).collect();
        }
        level.first().copied()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("the bundle ends within an entry")]
    Torn,
    #[error("the bundle holds another number of entries than its path says")]
    Width,
}

/// Entries, each after its length.
#[derive(Debug)]
pub struct Bundle;

impl Bundle {
    /// `entry` has at most [`ENTRY_BYTES_MAX`] bytes.
    pub fn push(bytes: &mut Vec<u8>, entry: &[u8]) {
        let length = u16::try_from(entry.len()).expect("entries were measured before");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }

    pub fn entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
        let (mut rest, mut found) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(BundleError::Torn)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or(BundleError::Torn)?;
            if found.len() == usize::from(width) {
                return Err(BundleError::Width);
            }
            found.push(entry);
            rest = after;
        }
        if found.len() == usize::from(width) { Ok(found) } else { Err(BundleError::Width) }
    }
}
