//! Tests of `gateway-core` from outside: events in, outputs out.

mod epoch;
mod event_recorder;
mod notices;
mod recorder;
mod recovery;
mod site;
mod site_fixture;
