//! Tests of `gateway-core` from outside: events in, outputs out.

mod epoch;
mod event_recorder;
mod recorder;
mod recovery;
mod site;
mod site_fixture;
