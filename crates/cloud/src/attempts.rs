//! How often somebody may try a password or a code. Everything counts per
//! name, whether it exists or not, so that the limits tell nobody. Strangers
//! share what there is for a name; a browser that has been here before
//! (`known`) has its own share: who tries passwords from elsewhere slows
//! himself down and not the owner. In memory, and bounded: what fills the
//! strangers' buckets leaves those of the known alone.

use std::net::IpAddr;

use model::{Hash, Timestamp};

use crate::problem::Problem;
use crate::rate::{Key, Limiter, Rate, network};

/// One network tries names.
const PER_NETWORK: Rate = Rate { burst: 20, refill_ms: 30 * Timestamp::SECOND };
/// One network tries one name.
const PER_PAIR: Rate = Rate { burst: 5, refill_ms: Timestamp::MINUTE };
/// All networks together try one name: 480 a day, of which a guess at the
/// code of somebody whose password is known succeeds with one in 700.
const PER_NAME: Rate = Rate { burst: 20, refill_ms: 3 * Timestamp::MINUTE };
/// One browser that is known: its cookie may have been copied.
const PER_CLIENT: Rate = Rate { burst: 10, refill_ms: 3 * Timestamp::MINUTE };
/// Codes tried with one session, which ends when there is none left.
const PER_SESSION: Rate = Rate { burst: 10, refill_ms: Timestamp::HOUR };

#[derive(Debug, Default)]
pub(crate) struct Attempts {
    strangers: Limiter,
    known: Limiter,
}

/// An attempt under way. One that succeeds is given back.
#[derive(Debug)]
#[must_use = "an attempt that succeeded is given back"]
pub(crate) struct Attempt {
    known: bool,
    taken: Vec<(Key, Rate)>,
}

impl Attempts {
    /// A password for a name. `client` is the browser, if it is known here.
    pub(crate) fn password(
        &self,
        name: &str,
        address: IpAddr,
        client: Option<Hash>,
        now: Timestamp,
    ) -> Result<Attempt, Problem> {
        // Hashed, because anybody may type a megabyte here.
        let (name, network) = (seal::sha256(name.as_bytes()), network(address));
        let keys = match client {
            Some(client) => vec![(Key::Account(format!("client {client}")), PER_CLIENT)],
            None => vec![
                (Key::Address(network), PER_NETWORK),
                (Key::Account(format!("{name} from {network}")), PER_PAIR),
                (Key::Account(format!("name {name}")), PER_NAME),
            ],
        };
        self.take(client.is_some(), keys, now)
    }

    /// A recovery code, which names its owner itself.
    pub(crate) fn recovery(&self, address: IpAddr, now: Timestamp) -> Result<Attempt, Problem> {
        self.take(false, vec![(Key::Address(network(address)), PER_NETWORK)], now)
    }

    /// A code of somebody who is signed in.
    pub(crate) fn code(&self, session: Hash, now: Timestamp) -> Result<Attempt, Problem> {
        self.take(true, vec![(Key::Account(format!("session {session}")), PER_SESSION)], now)
    }

    pub(crate) fn succeeded(&self, attempt: Attempt) {
        for (key, rate) in attempt.taken {
            self.limiter(attempt.known).give_back(&key, rate);
        }
    }

    fn take(&self, known: bool, keys: Vec<(Key, Rate)>, now: Timestamp) -> Result<Attempt, Problem> {
        let mut taken = Vec::with_capacity(keys.len());
        for (key, rate) in keys {
            if !self.limiter(known).allow(key.clone(), rate, now) {
                return Err(Problem::too_many());
            }
            taken.push((key, rate));
        }
        Ok(Attempt { known, taken })
    }

    fn limiter(&self, known: bool) -> &Limiter {
        if known { &self.known } else { &self.strangers }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn from(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn allowed(
        attempts: &Attempts,
        name: &str,
        address: IpAddr,
        client: Option<Hash>,
        times: usize,
    ) -> usize {
        (0..times).filter(|_| attempts.password(name, address, client, NOW).is_ok()).count()
    }

    #[test]
    fn a_network_that_tries_many_names_is_slowed() {
        let attempts = Attempts::default();
        let got =
            (0..100).filter(|i| attempts.password(&format!("n{i}"), from(1), None, NOW).is_ok()).count();
        assert_eq!(got, 20);
        assert_eq!(allowed(&attempts, "ada", from(2), None, 1), 1, "another network is not");
    }

    #[test]
    fn a_name_that_many_networks_try_is_slowed_and_its_owner_is_not() {
        let attempts = Attempts::default();
        let got: usize = (1..=200).map(|last| allowed(&attempts, "ada", from(last), None, 10)).sum();
        assert_eq!(got, 20);
        assert_eq!(allowed(&attempts, "ada", from(1), Some(Hash([1; 32])), 100), 10);
        assert_eq!(allowed(&attempts, "ben", from(201), None, 1), 1, "another name is not");
    }

    #[test]
    fn a_64_of_ipv6_is_one_network() {
        let attempts = Attempts::default();
        let address = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 1, 2, last, 3, 4, last).into();
        let got: usize = (0..50).map(|last| allowed(&attempts, "ada", address(last), None, 1)).sum();
        assert_eq!(got, 5);
    }

    #[test]
    fn success_costs_nothing() {
        let attempts = Attempts::default();
        for _ in 0..100 {
            let attempt = attempts.password("ada", from(1), None, NOW).unwrap();
            attempts.succeeded(attempt);
        }
    }

    #[test]
    fn names_without_end_leave_the_known_alone() {
        let attempts = Attempts::default();
        for i in 0..30_000_u32 {
            let _ = attempts.password(&i.to_string(), Ipv4Addr::from(i << 8).into(), None, NOW);
        }
        assert_eq!(allowed(&attempts, "ada", from(1), Some(Hash([1; 32])), 1), 1);
    }
}
