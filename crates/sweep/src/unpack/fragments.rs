//! Datagrams that IP carried in fragments (RFC 791, 3.2; RFC 8200, 4.5), put together by
//! where they stand. Those that overlap are refused (RFC 5722): whoever reads them reads
//! what somebody chose.

use std::collections::HashMap;
use std::net::IpAddr;

use super::tcp::Piece;

/// Datagrams of which fragments are held, and fragments of one of them.
const DATAGRAMS_MAX: usize = 4096;
const FRAGMENTS_MAX: usize = 256;

/// Addresses and protocol, and the number that all fragments of a datagram have.
type Key = ((IpAddr, IpAddr, u8), u32);

pub(super) struct Fragment {
    /// In the datagram.
    pub(super) place: u64,
    pub(super) piece: Piece,
    /// Others follow.
    pub(super) more: bool,
    pub(super) cut: bool,
}

pub(super) struct Datagram {
    pub(super) pieces: Vec<Piece>,
    pub(super) cut: bool,
}

#[derive(Default)]
pub(super) struct Fragments {
    open: HashMap<Key, Vec<Fragment>>,
    refused: bool,
}

impl Fragments {
    /// The datagram, if this was what it lacked.
    pub(super) fn add(&mut self, key: Key, fragment: Fragment) -> Option<Datagram> {
        if self.open.len() >= DATAGRAMS_MAX && !self.open.contains_key(&key) {
            self.refused = true;
            return None;
        }
        let held = self.open.entry(key).or_default();
        if held.len() >= FRAGMENTS_MAX {
            self.refused = true;
            return None;
        }
        // A capture may hold what was sent again.
        if held.iter().any(|other| other.place == fragment.place && other.piece.1 == fragment.piece.1) {
            return None;
        }
        held.push(fragment);
        held.sort_by_key(|fragment| fragment.place);
        let mut end = 0;
        for fragment in held.iter() {
            if fragment.place != end {
                self.refused |= fragment.place < end;
                return None;
            }
            end += fragment.piece.1;
        }
        if held.last().is_none_or(|last| last.more) {
            return None;
        }
        let held = self.open.remove(&key)?;
        let cut = held.iter().any(|fragment| fragment.cut);
        Some(Datagram { pieces: held.into_iter().map(|fragment| fragment.piece).collect(), cut })
    }

    /// Whether some were not put together.
    pub(super) fn are_left(&self) -> bool {
        self.refused || !self.open.is_empty()
    }
}
