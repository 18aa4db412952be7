//! What blocks of packed disks may cost: one account and one store for all disks of an
//! input, however often they lie inside each other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::Skip;
use super::sink::Stop;

/// Unpacked where nobody else says how much: so many times what there is, beyond some.
const UNPACKED_RATIO: u64 = 32;
const UNPACKED_FREE: u64 = 1 << 30;
/// Bytes that nobody ever wrote are made so many times faster than others are unpacked.
const HOLE_SHARE: u64 = 8;
/// Blocks that are kept once they are unpacked, in bytes and in number.
const KEPT_BYTES: usize = 16 << 20;
const KEPT_MAX: usize = 64;

/// Work that is not reading, and what was unpacked by it.
#[derive(Debug)]
pub struct Account {
    left: Cell<u64>,
    spent: Cell<u64>,
    /// Numbers of disks that were given so far.
    disks: Cell<u64>,
    /// The one that was asked for last comes first.
    kept: RefCell<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    disk: u64,
    index: u64,
    block: Vec<u8>,
}

impl Account {
    /// For an input of so many bytes.
    pub(crate) fn new(bytes: u64) -> Account {
        let left = bytes.saturating_mul(UNPACKED_RATIO).saturating_add(UNPACKED_FREE);
        Account {
            left: Cell::new(left),
            spent: Cell::default(),
            disks: Cell::default(),
            kept: RefCell::default(),
        }
    }

    /// From now on, so many bytes may be spent.
    pub(crate) fn allow(&self, bytes: u64) {
        self.left.set(bytes);
    }

    /// What was spent since this was asked last, in bytes.
    pub(crate) fn take_spent(&self) -> u64 {
        self.spent.take()
    }

    pub(super) fn spend(&self, bytes: u64) -> Result<(), Stop> {
        let left = self.left.get().checked_sub(bytes).ok_or(Stop::Skip(Skip::TooLarge))?;
        self.left.set(left);
        self.spent.set(self.spent.get().saturating_add(bytes));
        Ok(())
    }

    /// Bytes that were never written.
    pub(super) fn hole(&self, bytes: u64) -> Result<(), Stop> {
        self.spend(bytes.div_ceil(HOLE_SHARE))
    }

    /// A number for a disk, under which its blocks are kept.
    pub(super) fn disk(&self) -> u64 {
        self.disks.replace(self.disks.get() + 1)
    }

    /// Copies from a block that is kept; whether it is.
    pub(super) fn copy(&self, disk: u64, index: u64, from: usize, buffer: &mut [u8]) -> bool {
        let mut kept = self.kept.borrow_mut();
        let Some(at) = kept.iter().position(|kept| (kept.disk, kept.index) == (disk, index)) else {
            return false;
        };
        if let Some(found) = kept.remove(at) {
            buffer.copy_from_slice(&found.block[from..from + buffer.len()]);
            kept.push_front(found);
        }
        true
    }

    pub(super) fn keep(&self, disk: u64, index: u64, block: Vec<u8>) {
        let mut kept = self.kept.borrow_mut();
        let mut bytes = block.len();
        kept.push_front(Kept { disk, index, block });
        let held = kept.iter().skip(1).take(KEPT_MAX - 1).take_while(|kept| {
            bytes += kept.block.len();
            bytes <= KEPT_BYTES
        });
        let held = held.count() + 1;
        kept.truncate(held);
    }

    /// The disk is read to its end.
    pub(super) fn forget(&self, disk: u64) {
        self.kept.borrow_mut().retain(|kept| kept.disk != disk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_disks_together_are_bounded() {
        let account = Account::new(0);
        let disks: Vec<u64> = (0..8).map(|_| account.disk()).collect();
        for index in 0..9 {
            for disk in &disks {
                account.keep(*disk, index, vec![*disk as u8; 2 << 20]);
                let bytes: usize = account.kept.borrow().iter().map(|kept| kept.block.len()).sum();
                assert!(bytes <= KEPT_BYTES, "{bytes}");
            }
        }
        let mut byte = [0];
        assert!(account.copy(disks[7], 8, 5, &mut byte) && byte == [7]);
        assert!(!account.copy(disks[7], 7, 5, &mut byte), "the oldest went first");
        account.forget(disks[7]);
        assert!(!account.copy(disks[7], 8, 5, &mut byte));
        // Many small ones are searched one by one.
        (0..1000).for_each(|index| account.keep(0, index, vec![0; 512]));
        assert_eq!(account.kept.borrow().len(), KEPT_MAX);
    }

    #[test]
    fn what_was_spent_is_gone() {
        let account = Account::new(0);
        account.allow(100);
        assert!(account.spend(60).is_ok() && account.hole(320).is_ok());
        assert!(matches!(account.spend(1), Err(Stop::Skip(Skip::TooLarge))));
        assert_eq!((account.take_spent(), account.take_spent()), (100, 0));
    }
}
