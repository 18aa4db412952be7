//! Why a camera's events could not be had, in words for the person who set the
//! camera up. Text that came from a camera is cut, cleaned of control
//! characters, and freed of whatever could be a credential sent back to us.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::Hash;

use super::topics::turns_text;
use super::xml::XmlError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnvifError {
    #[error("an ONVIF address begins with http:// or https:// and holds neither user name nor password")]
    Address,
    #[error("HTTPS needs a pinned certificate; probe the camera and confirm its fingerprint first")]
    NoPin,
    #[error("a certificate is pinned for this camera, but the ONVIF address is http:// without TLS")]
    PinWithoutTls,
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error(
        "the camera's certificate is {found}, but {pinned} is pinned: it was replaced, or somebody is in between"
    )]
    WrongCertificate { found: Hash, pinned: Hash },
    #[error("TLS with the camera failed")]
    Tls,
    #[error("the camera's ONVIF service refuses user name or password, or wants some")]
    Unauthorized,
    #[error("the camera has locked this account for a while, after too many wrong passwords")]
    Locked,
    #[error(
        "the camera wants its password in the clear (HTTP Basic), which is refused: set it to Digest, or use https://"
    )]
    BasicWithoutTls,
    #[error("the camera wants a way to sign in that is not known here; Digest with MD5 or SHA-256 is")]
    UnknownAuthentication,
    #[error("the camera has no event service")]
    NoEventService,
    #[error("the camera refused {step}: {reason} ({code})")]
    Fault { step: &'static str, code: String, reason: String },
    #[error("the camera answered {step} with HTTP status {status}")]
    Status { step: &'static str, status: u16 },
    #[error("the camera answered {step} with a redirect, which is not followed")]
    Redirected { step: &'static str },
    #[error("no answer to {step} within {seconds} s")]
    AnswerTimeout { step: &'static str, seconds: u64 },
    #[error("the answer to {step} has more than {bytes} bytes")]
    AnswerTooLong { step: &'static str, bytes: usize },
    #[error("the camera's answer cannot be read: {0}")]
    Xml(#[from] XmlError),
    #[error("the camera's answer cannot be understood: {reason}")]
    BadAnswer { reason: &'static str },
    #[error("the camera closed the connection during {step}")]
    Closed { step: &'static str },
    #[error("on our own side: {reason}")]
    Local { reason: &'static str },
}

impl OnvifError {
    /// For those who may not know where the camera is.
    pub fn without_addresses(&self) -> String {
        match self {
            OnvifError::Connect { reason, .. } => format!("cannot connect to it: {reason}"),
            error => without_addresses(&error.to_string()),
        }
    }
}

/// Words that hold a dotted or colonned address, or one with a scheme, are left out.
fn without_addresses(text: &str) -> String {
    let is_address = |word: &str| {
        let inner = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != ':');
        let octets = inner.split(|c: char| !c.is_ascii_digit() && c != '.');
        let is_v4 = |part: &str| part.trim_matches('.').parse::<Ipv4Addr>().is_ok();
        let is_v6 = |part: &str| part.contains(':') && part.parse::<Ipv6Addr>().is_ok();
        inner.contains("://") || inner.split(['[', ']', '%', ',']).any(is_v6) || octets.into_iter().any(is_v4)
    };
    text.split(' ').map(|word| if is_address(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// Of a camera's words, in characters.
const WORDS_MAX: usize = 200;
/// A run of letters and digits so long is no word of a person.
const TOKEN_MIN: usize = 20;

/// What may be shown of a camera's text. A camera could send back what we sent
/// it: nonces and digests are runs of at least 20 characters of base64 or hex
/// and, unlike the longest names of faults, never of letters alone.
pub(super) fn clean(text: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_of_token(c) != is_of_token(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if run.len() >= TOKEN_MIN && is_of_token(first) && !run.bytes().all(|b| b.is_ascii_alphabetic()) {
            out.push('…');
        } else {
            out.extend(run.chars().map(|c| if c.is_whitespace() { ' ' } else { c }));
        }
        rest = after;
    }
    out.trim().chars().filter(|c| !c.is_control() && !turns_text(*c)).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_leaves_the_text() {
        let rows = [
            ("Sender not authorized", "Sender not authorized"),
            ("UnacceptableInitialTerminationTimeFault", "UnacceptableInitialTerminationTimeFault"),
            ("you sent LKqI6G/AikKCQrN0zqZFlg== today", "you sent … today"),
            ("response=\"6629fae49393a05397450978507c4ef1\"", "response=\"…\""),
            ("two\nlines\u{1b}[31m", "two lines[31m"),
            ("…ünïcödé…", "…ünïcödé…"),
            ("a\u{202e}b\u{2066}c", "abc"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(clean(text), expected);
        }
        assert_eq!(clean(&"word ".repeat(1_000)).chars().count(), WORDS_MAX);
    }

    #[test]
    fn what_is_told_of_a_camera_does_not_say_where_it_is() {
        let connect =
            OnvifError::Connect { address: "192.0.2.10:80".into(), reason: "connection refused".into() };
        assert_eq!(connect.without_addresses(), "cannot connect to it: connection refused");
        let rows = [
            ("no such host 192.0.2.10.", "no such host …"),
            ("(192.0.2.10:8080) is busy", "… is busy"),
            ("see http://door.example/x, or [fe80::1]:80", "see … or …"),
            ("firmware 5.60.1 of 12:30", "firmware 5.60.1 of 12:30"),
        ];
        for (reason, expected) in rows {
            let fault = OnvifError::Fault { step: "Stop", code: "Action".into(), reason: reason.into() };
            assert_eq!(fault.without_addresses(), format!("the camera refused Stop: {expected} (Action)"));
        }
    }
}
