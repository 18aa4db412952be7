//! Passwords: which ones may be, and checking them without giving the
//! server's memory away. Length counts and nothing else (no rules of
//! composition), but not what everybody uses: a filter of common passwords is
//! built in (crates/cloud/data/README.md). Text is taken as it is typed:
//! whoever types letters in another Unicode form types another password.

use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use tokio::sync::Semaphore;
use xorf::{BinaryFuse16, Descriptor, Filter as _};

use crate::problem::Problem;
use crate::random;

pub(crate) const CHARS_MIN: usize = 12;
pub(crate) const BYTES_MAX: usize = 256;
/// Shorter words of a name say nothing.
const WORD_CHARS_MIN: usize = 4;
/// Computations at the same time, of 19 MiB each.
const LANES: usize = 2;
/// Requests that wait for a lane; more are sent away.
const QUEUE: usize = 16;

static COMMON: LazyLock<BinaryFuse16> = LazyLock::new(|| {
    read_filter(include_bytes!("../data/common-passwords.filter")).expect("the filter in this program reads")
});

/// Argon2id on threads of its own. Whoever is known waits behind those who
/// are known: a flood of strangers does not hold them up.
#[derive(Debug)]
pub(crate) struct Hasher {
    strangers: Lanes,
    known: Lanes,
}

#[derive(Debug)]
struct Lanes {
    queue: Semaphore,
    lanes: Semaphore,
}

impl Default for Hasher {
    fn default() -> Self {
        let lanes = || Lanes { queue: Semaphore::new(LANES + QUEUE), lanes: Semaphore::new(LANES) };
        Hasher { strangers: lanes(), known: lanes() }
    }
}

impl Hasher {
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        self.known.run(move || seal::password::hash(&password, random::bytes())).await
    }

    pub(crate) async fn verify(
        &self,
        known: bool,
        password: String,
        stored: String,
    ) -> Result<bool, Problem> {
        let lanes = if known { &self.known } else { &self.strangers };
        lanes.run(move || seal::password::verify(&password, &stored)).await
    }
}

impl Lanes {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let _place = self.queue.try_acquire().map_err(|_| Problem::too_many())?;
        let _lane = self.lanes.acquire().await.map_err(Problem::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
    }
}

/// Whether a password may be set. `own` are names that whoever guesses begins
/// with: of the person, the organisation, and what they sign in with.
pub(crate) fn check(password: &str, own: &[&str]) -> Result<(), Problem> {
    if password.chars().count() < CHARS_MIN || password.len() > BYTES_MAX {
        return Err(Problem::invalid(format!(
            "A password has at least {CHARS_MIN} characters, and at most {BYTES_MAX} bytes. Four or five random words are good."
        )));
    }
    if is_common(password) {
        return Err(Problem::invalid(
            "This password is among those that everybody tries first. Four or five random words are good.",
        ));
    }
    if is_made_of(password, own) {
        return Err(Problem::invalid(
            "This password is a name that stands here anyway, with little added. Four or five random words are good.",
        ));
    }
    Ok(())
}

/// Whether what is left without words of these names, and of ours, would be
/// too short to be set.
fn is_made_of(password: &str, own: &[&str]) -> bool {
    let words = own.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    let mut left = password.to_lowercase();
    for word in words.chain(["lenskeep"]).filter(|word| word.chars().count() >= WORD_CHARS_MIN) {
        left = left.replace(&word.to_lowercase(), "");
    }
    left.chars().count() < CHARS_MIN.min(password.chars().count() / 2)
}

/// As typed or in small letters.
fn is_common(password: &str) -> bool {
    COMMON.contains(&key(password)) || COMMON.contains(&key(&password.to_lowercase()))
}

fn key(password: &str) -> u64 {
    let hash = seal::sha256(password.as_bytes());
    u64::from_le_bytes(hash.0[..8].try_into().expect("SHA-256 has 32 bytes"))
}

/// Makes the filter of a list with one password a line. Only those that are
/// long enough to be set are in it. Says how many there are.
pub fn filter_of(list: &str) -> anyhow::Result<(Vec<u8>, usize)> {
    let mut keys: Vec<u64> = list
        .lines()
        .filter(|line| line.chars().count() >= CHARS_MIN && line.len() <= BYTES_MAX)
        .flat_map(|line| [key(line), key(&line.to_lowercase())])
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let filter = BinaryFuse16::try_from(&keys).map_err(anyhow::Error::msg)?;
    let Descriptor { seed, segment_length, segment_length_mask, segment_count_length } = filter.descriptor;
    let mut bytes = seed.to_le_bytes().to_vec();
    for number in [segment_length, segment_length_mask, segment_count_length] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(filter.fingerprints.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()));
    Ok((bytes, keys.len()))
}

/// `u64 seed | u32 segment length | u32 its mask | u32 segments' length |
/// u16 fingerprints…`, little-endian.
fn read_filter(bytes: &[u8]) -> anyhow::Result<BinaryFuse16> {
    let (seed, rest) = bytes.split_first_chunk().context("no seed")?;
    let (segment_length, rest) = rest.split_first_chunk().context("no segment length")?;
    let (mask, rest) = rest.split_first_chunk().context("no mask")?;
    let (count, rest) = rest.split_first_chunk().context("no count")?;
    let descriptor = Descriptor {
        seed: u64::from_le_bytes(*seed),
        segment_length: u32::from_le_bytes(*segment_length),
        segment_length_mask: u32::from_le_bytes(*mask),
        segment_count_length: u32::from_le_bytes(*count),
    };
    let fingerprints = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let filter = BinaryFuse16 { descriptor, fingerprints: fingerprints.collect() };
    // A look-up touches three segments, the last of which begins before the
    // count ends.
    let needed =
        u64::from(filter.descriptor.segment_count_length) + 2 * u64::from(filter.descriptor.segment_length);
    ensure!(filter.fingerprints.len() as u64 >= needed, "the filter is cut off");
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_and_common_passwords_are_refused() {
        for bad in
            ["", "short", "elevenchars", "q1w2e3r4t5y6", "Q1W2E3R4T5Y6", &"x".repeat(257), &"é".repeat(129)]
        {
            assert!(check(bad, &[]).is_err(), "{bad}");
        }
        for good in ["purple-otter-quay-91", "            ", "пароль из слов", "a b c d e f g h"]
        {
            assert!(check(good, &[]).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_stand_here_anyway_are_no_passwords() {
        let own = ["ada.lovelace@example.org", "Ada Lovelace", "Corner shop"];
        for bad in [
            "Corner shop 2026",
            "lovelace-lovelace",
            "LensKeep-12345",
            "ada.lovelace@example.org",
            "CornerShop!!",
        ] {
            assert!(check(bad, &own).is_err(), "{bad}");
        }
        for good in ["shopping for purple otters", "lovelace purple otter quay", "a b c d e f g h"] {
            assert!(check(good, &own).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_filter_knows_its_list_and_little_else() {
        let list: Vec<String> = (0..20_000).map(|i| format!("common password {i}")).collect();
        let (bytes, count) = filter_of(&list.join("\n")).unwrap();
        assert_eq!(count, 20_000);
        let filter = read_filter(&bytes).unwrap();
        assert!(list.iter().all(|password| filter.contains(&key(password))));
        let wrong = (0..200_000).filter(|i| filter.contains(&key(&format!("another password {i}")))).count();
        assert!(wrong < 30, "{wrong} of 200 000 are mistaken for common ones");
        assert!(read_filter(&bytes[..bytes.len() / 2]).is_err());
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_are_sent_away() {
        let hasher = Hasher::default();
        let _full = hasher.strangers.queue.try_acquire_many((LANES + QUEUE) as u32).unwrap();
        let asked = hasher.verify(false, "x".to_owned(), String::new()).await;
        assert_eq!(asked.unwrap_err().body.error.code, "too_many_requests");
        assert!(!hasher.verify(true, "x".to_owned(), String::new()).await.unwrap(), "the known go on");
    }
}
