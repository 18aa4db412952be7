//! HTTP for viewers: the web app and its API (protocol.md section 3). The
//! table in `routes` is the only way in; it says of each route who may call
//! it, and the guard in `guard` holds it to that before a handler runs.

pub(crate) mod actions;
pub(crate) mod cameras;
mod commands;
pub(crate) mod devices;
pub(crate) mod enrolments;
pub(crate) mod events;
pub(crate) mod extract;
pub(crate) mod factors;
pub(crate) mod guard;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod hours;
pub(crate) mod live;
pub(crate) mod login;
mod merge;
pub(crate) mod notices;
pub(crate) mod on_site;
pub(crate) mod orders;
pub(crate) mod page;
pub(crate) mod passwords;
pub(crate) mod past;
pub(crate) mod people;
pub(crate) mod proposals;
pub(crate) mod providers;
pub(crate) mod reasons;
pub(crate) mod recordings;
pub(crate) mod recovery;
pub(crate) mod roster;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod scim;
pub(crate) mod services;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod shared;
pub(crate) mod shares;
pub(crate) mod sheet;
pub(crate) mod sites;
pub(crate) mod status;
pub(crate) mod timeline;
pub(crate) mod types;
pub(crate) mod verifications;
pub(crate) mod walls;
pub(crate) mod witness;
