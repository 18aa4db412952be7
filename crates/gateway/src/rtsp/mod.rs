//! Pictures in: one [`RtspSource`] pulls one rendition of one camera over RTSP
//! or RTSPS and yields access units on a wall-clock timeline.
//!
//! retina speaks the protocol. It knows no TLS and sets no limits, so it never
//! talks to a camera: it talks to a one-shot bridge on the loopback interface
//! ([`bridge`]), which holds the camera's connection, checks its certificate,
//! and bounds what passes. A camera that floods, stalls, lies or sends garbage
//! ends its own source with a [`SourceError`] and nobody else's.
//!
//! Refuses to decode, to follow redirects, to speak TLS without a pinned
//! certificate, and to put credentials into any text. Reconnecting is the
//! caller's business; [`Backoff`] says when.

mod backoff;
mod bridge;
mod check;
mod describe;
mod error;
mod interleave;
mod limits;
mod own_socket;
mod scan;
mod source;
pub(crate) mod tls;

pub use backoff::Backoff;
pub use check::{KeyFrame, Report, Seen, StreamReport, look_at_camera, test_camera};
pub use error::SourceError;
pub use limits::Limits;
pub use source::{RtspSource, SourceEvent, Transport};
pub use tls::{pinned_config, probe_certificate};

/// Entry points for the fuzzer and for the property tests.
#[doc(hidden)]
pub mod fuzzing {
    use super::Limits;
    use super::scan::Scanner;

    /// However the bytes are cut, the scanner says the same of them.
    pub fn fuzz_bridge_scanner(data: &[u8]) {
        let limits = Limits::default();
        let whole = Scanner::new(&limits).feed(data);
        let mut scanner = Scanner::new(&limits);
        let bytewise = data.iter().try_for_each(|byte| scanner.feed(std::slice::from_ref(byte)));
        assert_eq!(whole, bytewise);
    }

    /// A transport header that is rewritten stays one line.
    pub fn fuzz_interleave(data: &[u8]) {
        super::interleave::fuzz(data);
    }
}

/// For tests that play the part of another process.
#[doc(hidden)]
pub mod testing {
    pub use super::bridge::{Bridge, Upstream};
}
