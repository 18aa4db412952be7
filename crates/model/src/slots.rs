//! How much may be open at the same time: cloud and gateway bound what people
//! have open in the same way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Things that are open at the same time, in all and for each `K`.
#[derive(Debug)]
pub struct Slots<K> {
    all_max: usize,
    each_max: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// One of them; closing is dropping.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash + Copy> {
    slots: Arc<Slots<K>>,
    key: K,
}

impl<K: Eq + Hash + Copy> Slots<K> {
    pub fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Slots { all_max, each_max, taken: Mutex::default() })
    }

    /// None if there are as many as there may be, in all or of this one.
    pub fn take(self: &Arc<Self>, key: K) -> Option<Slot<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let each = taken.get(&key).copied().unwrap_or(0);
        if all >= self.all_max || each >= self.each_max {
            return None;
        }
        taken.insert(key, each + 1);
        Some(Slot { slots: self.clone(), key })
    }
}

impl<K: Eq + Hash + Copy> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.key) {
            Some(each) if *each > 1 => *each -= 1,
            _ => drop(taken.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_in_all_and_for_each_and_come_back() {
        let slots = Slots::new(3, 2);
        let first = (slots.take("a").unwrap(), slots.take("a").unwrap());
        assert!(slots.take("a").is_none(), "two for each");
        let _other = slots.take("b").unwrap();
        assert!(slots.take("c").is_none(), "three in all");
        drop(first.0);
        assert!(slots.take("c").is_some());
        drop(first.1);
        assert_eq!(slots.taken.lock().unwrap().len(), 1, "nobody is counted who has nothing");
    }
}
