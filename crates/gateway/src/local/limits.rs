//! Bounds of the local way: how often somebody may ask. Whatever is asked for here, recording has the machine.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who is counted at a time; beyond it strangers wait.
const KEYS_MAX: usize = 4_096;

/// So many at once, and one more after each `refill`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) refill: Duration,
}

#[derive(Debug)]
pub(super) struct Limiter<K> {
    rate: Rate,
    /// When the bucket of a key will be full again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Limiter<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Limiter { rate, full_at: Mutex::default() }
    }

    pub(super) fn allow(&self, key: K) -> bool {
        self.allow_at(key, Instant::now())
    }

    fn allow_at(&self, key: K, now: Instant) -> bool {
        let Rate { burst, refill } = self.rate;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= KEYS_MAX && !full_at.contains_key(&key) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= KEYS_MAX {
                return false;
            }
        }
        let at = full_at.entry(key).or_insert(now);
        let next = (*at).max(now) + refill;
        let allowed = next.duration_since(now) <= refill * burst;
        if allowed {
            *at = next;
        }
        allowed
    }
}

/// What counts as one address: whoever has one of IPv6 has its /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let limiter = Limiter::new(Rate { burst: 2, refill: Duration::from_millis(100) });
        let begin = Instant::now();
        let at = |ms| limiter.allow_at("a", begin + Duration::from_millis(ms));
        assert_eq!([at(0), at(1), at(2), at(101), at(102)], [true, true, false, true, false]);
        assert!(limiter.allow_at("b", begin));
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
