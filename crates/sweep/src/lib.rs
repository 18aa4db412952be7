//! The credential sweep: finds keys, passwords and tokens that leaked into settings,
//! backups, logs, SD cards, firmware and captures of cameras.
//!
//! Four stages, each cheaper than the next and more often right than the one before:
//! literals of all rules at once ([`rules`], `prefilter`), one bounded regular
//! expression (`confirm`), what can be checked of the secret itself (`validate`), and
//! only then entropy. Encodings are undone and containers unpacked on the way, each
//! inside the other to the depth of [`Limits`], and what comes out is swept again
//! ([`Sweep`]).
//!
//! Called by `lenskeep sweep`. It writes nothing but the [`journal`] that it is asked
//! for, follows no links, asks no network, and shows a secret only if it is told to
//! ([`Secret::reveal`]).

pub mod baseline;
mod confirm;
mod date;
mod decode;
mod defaults;
mod finding;
pub mod firmware;
#[doc(hidden)]
pub mod fuzzing;
mod import;
pub mod journal;
mod limits;
pub mod listing;
mod places;
mod prefilter;
pub mod read;
pub mod report;
pub mod rules;
mod scan;
pub mod source;
mod table;
pub mod unpack;
mod validate;
pub mod volume;
mod words;

pub use baseline::{BASELINE_BYTES_MAX, Baseline, BaselineError};
pub use defaults::Defaults;
pub use finding::{Finding, Fingerprint, Life, Location, Secret, Severity, shown};
pub use limits::Limits;
pub use places::Places;
pub use rules::{Rule, Rules, RulesError};
pub use scan::{Notice, Sweep, Totals};
pub use volume::{Lock, Volume};
pub use words::count;
