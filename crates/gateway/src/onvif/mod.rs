//! What cameras say over ONVIF, and what they are told. `discovery` finds them,
//! [`offer`] asks one for its streams, and for what they saw one [`Subscription`]
//! holds a pull point of one camera's event service (ONVIF Core Specification
//! section 9) and yields [`model::CameraEvent`]s in the words of all makes; one
//! [`EventStream`] hears the same of a camera of Axis. One
//! [`PtzCamera`] moves a camera (ONVIF PTZ Service Specification, or VAPIX), and
//! one [`StillCamera`] gives still pictures.
//!
//! A camera is not believed. Of the addresses that it names, path and query are
//! used and nothing else, so that it cannot have the gateway talk to others.
//! Answers are read within [`Limits`] and never longer than a camera may take.
//! Its password goes out as a digest only, or inside TLS with a pinned
//! certificate.
//!
//! Refuses redirects, document types in XML, HTTPS without a pin, and to put
//! credentials into any text. Trying again is the caller's business;
//! [`crate::rtsp::Backoff`] says when.

mod client;
mod digest;
pub(crate) mod discovery;
mod documents;
mod error;
mod events;
mod limits;
mod media;
mod messages;
mod offer;
mod ptz;
mod services;
mod soap;
mod still;
mod topics;
mod vapix;
mod xml;

pub use client::OnvifAccess;
pub use discovery::FindLimits;
pub use documents::{DOCUMENT_BYTES_MAX, Document, Documents};
pub use error::OnvifError;
pub use events::{Offer, Subscription, probe};
pub use limits::Limits;
pub use offer::{OfferError, offer};
pub use ptz::{PtzAbilities, PtzAccess, PtzCamera};
pub use still::StillCamera;
pub use vapix::{EventStream, probe_stream};
pub use xml::XmlError;

/// Entry points for the fuzzer and for the property tests.
#[doc(hidden)]
pub mod fuzzing {
    use model::{CameraEvent, EventPhase};

    use super::{Limits, digest, discovery, media, messages, ptz, soap, topics, vapix};

    /// Any bytes are an answer to the question for cameras or none.
    pub fn fuzz_discovery(data: &[u8]) {
        discovery::fuzz(data);
    }

    /// Any lines are messages of an event stream or none, and what they tell is
    /// within bounds.
    pub fn fuzz_stream(data: &[u8]) {
        vapix::fuzz(data, check);
    }

    /// Any bytes are what a camera of Axis says of how it is moved, or an error.
    pub fn fuzz_positions(data: &[u8]) {
        ptz::fuzz_text(data);
    }

    /// Any bytes are an answer or an error, and what they tell is within bounds.
    pub fn fuzz_answer(data: &[u8]) {
        let limits = Limits::default();
        let _ = digest::read(&[&String::from_utf8_lossy(data)]);
        let answer = match soap::read(data) {
            Ok(answer) => answer,
            Err(error) => return assert!(error.to_string().chars().all(|c| !c.is_control())),
        };
        let _ = messages::system_time(&answer);
        let _ = messages::event_service(&answer);
        let _ = messages::pull_point(&answer);
        let _ = messages::renewed(&answer);
        media::fuzz(&answer);
        ptz::fuzz_answer(&answer);
        let Ok(pulled) = messages::pulled(&answer, limits.messages) else { return };
        assert!(pulled.notifications.len() <= limits.messages);
        let mut memory = topics::Memory::default();
        let mut begun = 0_usize;
        for notification in pulled.notifications.iter().chain(&pulled.notifications) {
            for event in memory.take(notification) {
                check(&event);
                match event.phase {
                    EventPhase::Began => begun += 1,
                    EventPhase::Ended => begun = begun.checked_sub(1).expect("only what began ends"),
                    EventPhase::Happened => {}
                }
            }
        }
    }

    fn check(event: &CameraEvent) {
        assert!(event.topic.len() <= CameraEvent::TOPIC_MAX);
        let rule = event.rule.as_deref().unwrap_or("a rule");
        assert!(!rule.is_empty() && rule.len() <= CameraEvent::RULE_MAX);
        assert!(!event.topic.chars().chain(rule.chars()).any(char::is_control));
    }
}
