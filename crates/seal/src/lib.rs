//! All cryptography of Lenskeep: signed statements, the roster, commands to a
//! site, epoch grants, and sealed recordings. `docs/format.md` is the
//! specification; section numbers in this crate refer to it.
//!
//! Pure: no IO, no clock, no randomness of its own. Whoever calls brings the
//! time and the random bytes, so vectors and simulations are exact; but for
//! `dpop`, whose signatures (ECDSA) are random by nature. No other crate names
//! a cryptographic primitive.

pub mod action;
pub mod answer;
pub mod bookmark;
mod canonical;
pub mod capsule;
pub mod command;
pub mod dating;
pub mod dpop;
pub mod enrolment;
pub mod envelope;
pub mod event;
pub mod findings;
pub mod grant;
mod hash;
pub mod hour;
pub mod keyring;
pub mod keys;
pub mod local;
pub mod login;
mod merkle;
pub mod notice;
pub mod pairing;
pub mod password;
pub mod ptz;
pub mod push;
pub mod recording;
pub mod role;
pub mod roster;
pub mod sealed;
pub mod still;
pub mod tlog;
pub mod vault;

pub use canonical::{CanonicalError, from_canonical, to_canonical};
pub use hash::{Sha256, constant_time_eq, hkdf_sha256, hmac_sha256, sha256};
pub use merkle::MerkleTree;
