//! What a gateway decides, without doing any of it: when a recording begins
//! and ends ([`recorder`]), what is on the disk for certain ([`volume`]) and what
//! lies there after a crash ([`recovery`]), what is missing ([`outage`]), what
//! looks healthy and is not ([`health`]) and what of it is told ([`trouble`]), what of all that cameras say is an event ([`events`]), and what Frigate says of them ([`frigate`]), and
//! how it is kept ([`event_recorder`]), who is told of it ([`notices`]), what other systems on site are told ([`webhooks`], [`mqtt`], [`home_assistant`]), when epoch keys change and who gets them
//! ([`epoch`]), what is signed for of each hour ([`hours`]), what retention may delete
//! ([`retention`]), who moves a camera ([`ptz`]), and how the site's configuration changes by command ([`site`]).
//!
//! Pure: no tokio, no sockets, no files, no clock, no ambient randomness.

pub mod epoch;
pub mod event_recorder;
pub mod events;
pub mod frigate;
pub mod gop;
pub mod health;
pub mod home_assistant;
pub mod hours;
pub mod locks;
pub mod mqtt;
pub mod notices;
pub mod outage;
pub mod pace;
pub mod ptz;
pub mod recorder;
pub mod recovery;
pub mod retention;
pub mod site;
pub mod trouble;
pub mod uplink;
pub mod volume;
pub mod webhooks;
