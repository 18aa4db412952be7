//! Randomness, from the TLS library's generator: the only one in the process
//! that everybody already depends on.

use model::Hash;

pub(crate) fn fill(bytes: &mut [u8]) {
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(bytes)
        .expect("the operating system gives random bytes");
}

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// 256 random bits, for tokens and challenges; written in hex.
pub(crate) fn token() -> Hash {
    Hash(bytes())
}

/// How a token is stored: who reads the database cannot use it.
pub(crate) fn hashed(token: &str) -> Hash {
    seal::sha256(token.as_bytes())
}
