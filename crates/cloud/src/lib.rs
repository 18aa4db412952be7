//! The cloud: users, policy, storage keeping, relay and archive over HTTP. It
//! holds no key that opens a picture. It can refuse and cut off; it cannot
//! grant, widen or reconfigure, because everything that does carries the
//! signature of a device in the roster, which gateways and viewers check for
//! themselves.
//!
//! `start` is the way in for programs; the binary `lenskeep-cloud` adds a
//! command line. What happens between request and answer: `http::guard` (who
//! asks), a handler, `permits` (decide), the history (record), then `broker`,
//! `store`, `hub` or `rosters` (act). `log` publishes the history behind them.

mod app;
mod attempts;
mod batches;
mod broker;
mod ca;
mod capsules;
mod clock;
mod codes;
mod config;
mod database;
mod gateways;
mod groups;
mod http;
mod hub;
mod journal;
mod keyfile;
mod known;
mod log;
mod mail;
mod metrics;
mod openapi;
mod outbound;
mod passkeys;
mod passwords;
mod permits;
mod problem;
mod proofs;
mod providers;
mod push;
mod random;
mod rate;
mod recorder;
mod refusals;
mod requests;
mod rosters;
mod rules;
mod serve;
mod services;
mod sessions;
mod silence;
mod start;
mod store;
mod syslog;
mod vault;
mod witness;
mod witnesses;

pub use config::{
    Config, CredentialKind, DatabaseSection, DemoCamera, GatewaysSection, GroupRoles, HistorySection,
    IdentityProviderSection, Listen, MailSection, MailTls, OutsideWitnessSection, ScimSection, StoreKind,
    StoreSection, SyslogSection, WitnessSection,
};
pub use http::guard::Who;
pub use http::routes::{Port, Route, routes, web_app};
pub use openapi::openapi;
pub use passwords::filter_of as password_filter_of;
pub use start::{Running, check, migrate, start, witness_key};
