//! When a proof was made, by our clock, and whether it was shown before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{Hash, Timestamp};

use crate::vault::Vault;

/// A nonce is given out for so long, and taken for as long again.
const PERIOD_MS: u64 = 2 * Timestamp::MINUTE;
const NONCE_BYTES: usize = 16;
const LABEL: &[u8] = b"dpop nonce v1";
/// Proofs of one key in one period: 68 a second.
const OF_KEY_MAX: usize = 8_192;
/// Proofs of all keys in one period; about 40 MB.
const OF_ALL_MAX: usize = 1_000_000;

/// Numbers the periods. It never goes back, whatever the clock does: nonces
/// that are over stay so.
#[derive(Debug, Default)]
pub(crate) struct Nonces(AtomicU64);

impl Nonces {
    fn period(&self, now: Timestamp) -> u64 {
        let period = now.0 / PERIOD_MS;
        self.0.fetch_max(period, Ordering::Relaxed).max(period)
    }

    /// The nonce for the requests that come next.
    pub(crate) fn current(&self, vault: &Vault, now: Timestamp) -> String {
        nonce(vault, self.period(now))
    }

    /// The period whose nonce this is, if it is not over.
    pub(crate) fn period_of(&self, vault: &Vault, shown: &str, now: Timestamp) -> Option<u64> {
        let period = self.period(now);
        [period, period.saturating_sub(1)].into_iter().find(|period| nonce(vault, *period) == shown)
    }
}

/// The same in all processes that share the vault's key.
fn nonce(vault: &Vault, period: u64) -> String {
    let mark = vault.mark(&[LABEL, &period.to_be_bytes()]);
    BASE64_URL_SAFE_NO_PAD.encode(&mark.0[..NONCE_BYTES])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    First,
    Again,
    /// More than anybody needs.
    TooMany,
}

/// The proofs of the last two periods that this process has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<BTreeMap<u64, Period>>);

#[derive(Debug, Default)]
struct Period {
    all: usize,
    of_key: HashMap<Hash, HashSet<Hash>>,
}

impl Seen {
    /// Spends a proof by its key and name.
    pub(crate) fn spend(&self, period: u64, key: Hash, name: Hash) -> Spent {
        let mut periods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = periods.last_key_value().map_or(period, |(newest, _)| (*newest).max(period));
        periods.retain(|number, _| number + 1 >= newest);
        let Period { all, of_key } = periods.entry(period).or_default();
        let names = of_key.entry(key).or_default();
        if names.contains(&name) {
            return Spent::Again;
        }
        if names.len() >= OF_KEY_MAX || *all >= OF_ALL_MAX {
            return Spent::TooMany;
        }
        names.insert(name);
        *all += 1;
        Spent::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_period_and_the_next() {
        let (vault, nonces) = (Vault::new([1; 32]), Nonces::default());
        let at = |period: u64| Timestamp(period * PERIOD_MS + 7);
        let first = nonces.current(&vault, at(10));
        assert_eq!(nonces.period_of(&vault, &first, at(10)), Some(10));
        assert_eq!(nonces.period_of(&vault, &first, at(11)), Some(10));
        assert_ne!(nonces.current(&vault, at(11)), first);
        assert_eq!(nonces.period_of(&vault, &first, at(12)), None);
        // The clock is set back: what was over is not good again.
        assert_eq!(nonces.period_of(&vault, &first, at(10)), None);
        let now = nonces.current(&vault, at(10));
        assert_eq!(nonces.period_of(&Vault::new([2; 32]), &now, at(12)), None);
        assert_eq!(nonces.period_of(&vault, "", at(12)), None);
    }

    #[test]
    fn a_proof_is_taken_once_and_forgotten_with_its_period() {
        let (seen, key) = (Seen::default(), Hash([1; 32]));
        let name = |number: usize| seal::sha256(&number.to_be_bytes());
        assert_eq!(seen.spend(5, key, name(0)), Spent::First);
        assert_eq!(seen.spend(5, key, name(0)), Spent::Again);
        assert_eq!(seen.spend(5, Hash([2; 32]), name(0)), Spent::First);
        assert_eq!(seen.spend(6, key, name(1)), Spent::First);
        assert_eq!(seen.spend(5, key, name(0)), Spent::Again);
        for number in 2..OF_KEY_MAX + 1 {
            assert_eq!(seen.spend(6, key, name(number)), Spent::First);
        }
        assert_eq!(seen.spend(6, key, name(OF_KEY_MAX + 1)), Spent::TooMany);
        assert_eq!(seen.spend(6, Hash([2; 32]), name(0)), Spent::First);
        assert_eq!(seen.spend(7, key, name(0)), Spent::First);
        assert_eq!(seen.0.lock().unwrap().keys().copied().collect::<Vec<_>>(), [6, 7]);
    }
}
