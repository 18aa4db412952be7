//! What a gateway decides, without doing any of it: when a recording begins
//! and ends ([`recorder`]), when epoch keys change and who gets them
//! ([`epoch`]), what retention may delete ([`retention`]), and how the site's
//! configuration changes by command ([`site`]).
//!
//! Pure: no tokio, no sockets, no files, no clock, no ambient randomness.

pub mod epoch;
pub mod gop;
pub mod recorder;
pub mod retention;
pub mod site;
