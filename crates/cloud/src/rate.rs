//! Token buckets against guessing and flooding, per address and per account.
//! Bounded in memory; when full, the fullest bucket is forgotten first, which
//! favours nobody who is being limited.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use model::Timestamp;

/// Buckets at most.
const BUCKETS_MAX: usize = 20_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Attempts at once.
    pub(crate) burst: u32,
    /// One more attempt after so many milliseconds.
    pub(crate) refill_ms: u64,
}

/// Sign-ins and one-time tokens from one address.
pub(crate) const PER_ADDRESS: Rate = Rate { burst: 60, refill_ms: 1_000 };
/// Sign-ins to one account or with one device.
pub(crate) const PER_ACCOUNT: Rate = Rate { burst: 20, refill_ms: 3_000 };

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Address(IpAddr),
    Account(String),
}

#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In milliseconds of refill, so that there are no fractions.
    credit_ms: u64,
    at: Timestamp,
}

/// What counts as one address: whoever has one of IPv6 has its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Limiter {
    /// Takes one attempt; false if there is none left.
    pub(crate) fn allow(&self, key: Key, rate: Rate, now: Timestamp) -> bool {
        let full = u64::from(rate.burst) * rate.refill_ms;
        let key = match key {
            Key::Address(address) => Key::Address(network(address)),
            Key::Account(_) => key,
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| bucket.credit_ms + now.ms_since(bucket.at) < full);
            if buckets.len() >= BUCKETS_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { credit_ms: full, at: now });
        bucket.credit_ms = (bucket.credit_ms + now.ms_since(bucket.at)).min(full);
        bucket.at = now;
        if bucket.credit_ms < rate.refill_ms {
            return false;
        }
        bucket.credit_ms -= rate.refill_ms;
        true
    }

    /// For an attempt that succeeded: it was no guess.
    pub(crate) fn give_back(&self, key: &Key, rate: Rate) {
        let full = u64::from(rate.burst) * rate.refill_ms;
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.credit_ms = (bucket.credit_ms + rate.refill_ms).min(full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let limiter = Limiter::default();
        let rate = Rate { burst: 2, refill_ms: 100 };
        let key = || Key::Account("a".to_owned());
        let at = |ms: u64| limiter.allow(key(), rate, Timestamp(1_000 + ms));
        assert_eq!([at(0), at(1), at(2), at(101), at(102)], [true, true, false, true, false]);
        assert!(limiter.allow(Key::Account("b".to_owned()), rate, Timestamp(1_000)));
    }
}
