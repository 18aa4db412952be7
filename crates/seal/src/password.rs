//! Passwords as the cloud keeps them: Argon2id, in the text form that other
//! programs read too (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// OWASP's first choice for servers: 19 MiB, 2 passes, 1 lane. What many
/// people may ask for at the same time must not cost 64 MiB each.
pub const MEMORY_KIB: u32 = 19 << 10;
pub const PASSES: u32 = 2;
pub const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
/// Larger ones of a stored hash would be somebody's attempt to stop us.
const MEMORY_KIB_MAX: u32 = 256 << 10;
const PASSES_MAX: u32 = 16;

/// The text that is stored.
pub fn hash(password: &str, salt: [u8; 16]) -> String {
    let hash = derive(password, &salt, MEMORY_KIB, PASSES, LANES).expect("our own parameters are valid");
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(*hash));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
}

/// Whether it is this password. For a stored text that does not read, the
/// same work is done for nothing.
pub fn verify(password: &str, stored: &str) -> bool {
    let Some(stored) = parse(stored) else {
        let _ = derive(password, &[0; 16], MEMORY_KIB, PASSES, LANES);
        return false;
    };
    derive(password, &stored.salt, stored.memory_kib, stored.passes, stored.lanes)
        .is_some_and(|hash| crate::constant_time_eq(&*hash, &stored.hash))
}

struct Stored {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

fn parse(text: &str) -> Option<Stored> {
    let rest = text.strip_prefix("$argon2id$v=19$")?;
    let mut parts = rest.split('$');
    let (parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = parameters.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let (memory_kib, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
    if parts.next().is_some() || memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > 4 {
        return None;
    }
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    (hash.len() == HASH_BYTES).then_some(Stored { memory_kib, passes, lanes, salt, hash })
}

fn derive(
    password: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Option<Zeroizing<[u8; HASH_BYTES]>> {
    let params = argon2::Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).ok()?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    argon2.hash_password_into(password.as_bytes(), salt, &mut *hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_verifies() {
        let stored = hash("correct horse battery", [7; 16]);
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", &stored));
        assert!(!verify("correct horse batterz", &stored));
        assert_ne!(hash("correct horse battery", [8; 16]), stored);
    }

    #[test]
    fn a_stored_text_that_does_not_read_verifies_nothing() {
        let good = hash("correct horse battery", [7; 16]);
        for bad in [
            String::new(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=4194304"),
            good.replace("t=2", "t=4000000000"),
            good[..good.len() - 4].to_owned(),
            format!("{good}$x"),
        ] {
            assert!(!verify("correct horse battery", &bad), "{bad}");
        }
    }
}
