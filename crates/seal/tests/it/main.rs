//! Tests of `seal` from outside. Vectors in `vectors/` are shared with the web
//! app's reader; `UPDATE_VECTORS=1` writes them anew, which is a new version.

mod action;
mod answer;
mod bookmark;
mod capsule;
mod command;
mod dating;
mod fixture;
mod grant;
mod hour;
mod local;
mod notice;
mod ptz;
mod recording;
mod roster;
mod roster_cases;
mod tlog;
mod vectors;
