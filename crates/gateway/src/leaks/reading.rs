//! One camera, read through.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use model::{CameraAccess, CameraId, Timestamp};
use seal::findings::{Leak, LeakSeverity, RunningSweep, SweptCamera};
use sweep::{Finding, Life, Notice, Rules, Severity, Sweep, shown};

use crate::onvif::{Document, Documents, Limits};
use crate::{clock, events};

/// Of one document, in bytes: a gateway has less room than a desk, and reports have a few MB.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// What comes out of one, in bytes, and how much of it is held at once.
const UNPACKED_MAX: u64 = 256 << 20;
const PART_BYTES: u64 = 16 << 20;
const ENTRIES: u64 = 10_000;
/// Of one document.
const FOUND_MAX: usize = SweptCamera::FINDINGS_MAX;
/// The end of the year 9999, in seconds.
const SECONDS_MAX: u64 = 253_402_300_799;
/// Between a document and what lies inside it.
pub(super) const INSIDE: &str = " › ";

/// How far it is, for those who look, and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Progress {
    read: AtomicU64,
    found: AtomicU32,
    is_stopped: AtomicBool,
}

impl Progress {
    pub(super) fn running(&self, camera: CameraId) -> RunningSweep {
        let (read, found) = (self.read.load(Ordering::Relaxed), self.found.load(Ordering::Relaxed));
        RunningSweep { camera, read, found }
    }
}

/// Ends the search when it goes.
pub(super) struct Stopping(pub(super) Arc<Progress>);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.is_stopped.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) found: Vec<Leak>,
    /// There were so many more, none of them graver.
    pub(super) left_out: u32,
    /// Names of those that were read, whole.
    pub(super) documents: Vec<&'static str>,
    /// In bytes.
    pub(super) read: u64,
    pub(super) error: Option<String>,
}

pub(super) async fn read(access: &CameraAccess, progress: &Arc<Progress>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut concerns = Vec::new();
    if let Err(error) = read_all(access, progress, &mut outcome, &mut concerns).await {
        concerns.push(error);
    }
    outcome.error = (!concerns.is_empty()).then(|| cut(&concerns.join("; ")));
    outcome
}

async fn read_all(
    access: &CameraAccess,
    progress: &Arc<Progress>,
    outcome: &mut Outcome,
    concerns: &mut Vec<String>,
) -> Result<(), String> {
    let url = access.onvif_url.as_ref().ok_or("it was added without the address of its ONVIF service")?;
    let (access, is_axis) = (events::access(url, access), url.is_event_stream());
    let words = |error: crate::onvif::OnvifError| error.to_string();
    let limits = Limits::default();
    let mut documents = match is_axis {
        true => Documents::of_axis(&access, &limits, DOCUMENT_BYTES_MAX),
        false => Documents::of(&access, &limits, DOCUMENT_BYTES_MAX).await,
    }
    .map_err(words)?;
    while let Some(Document { name, read }) = documents.next().await.map_err(words)? {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                concerns.push(format!("{name}: {error}"));
                continue;
            }
        };
        let progress = progress.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(name, &bytes, &progress)).await;
        let Swept { found, left_out, skipped, read } =
            swept.map_err(|_| format!("{name}: the search ended badly"))?;
        match skipped {
            0 => outcome.documents.push(name),
            _ => concerns.push(format!("{name}: {skipped} parts could not be read")),
        }
        outcome.found.extend(found);
        outcome.left_out = outcome.left_out.saturating_add(left_out);
        outcome.read += read;
    }
    Ok(())
}

struct Swept {
    /// The gravest.
    found: Vec<Leak>,
    left_out: u32,
    skipped: usize,
    read: u64,
}

/// Runs until it is done, or stopped.
fn sweep(name: &str, bytes: &[u8], progress: &Progress) -> Swept {
    let now = clock::now();
    let rules = Rules::built_in();
    let limits = sweep::Limits {
        part_bytes: PART_BYTES,
        total_bytes: UNPACKED_MAX,
        entries: ENTRIES,
        ..sweep::Limits::default()
    };
    let sweep = Sweep { rules: &rules, limits, now: (now.0 / Timestamp::SECOND) as i64 };
    let (mut found, mut left_out, mut skipped) = (Vec::new(), 0, 0);
    let before = progress.read.load(Ordering::Relaxed);
    let totals = sweep.input(name, &bytes, &mut |notice| {
        match notice {
            Notice::Found(finding) => {
                found.push(leak(&finding, now));
                if found.len() >= 2 * FOUND_MAX {
                    left_out += keep_gravest(&mut found);
                }
                progress.found.fetch_add(1, Ordering::Relaxed);
            }
            Notice::Skipped { .. } => skipped += 1,
            Notice::Read(read) => progress.read.store(before + read, Ordering::Relaxed),
            // What a camera tells of itself is no card.
            Notice::Part { .. } | Notice::Volume(_) => {}
        }
        match progress.is_stopped.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    progress.read.store(before + totals.read, Ordering::Relaxed);
    left_out += keep_gravest(&mut found);
    Swept { found, left_out, skipped, read: totals.read }
}

/// How many are left out.
fn keep_gravest(found: &mut Vec<Leak>) -> u32 {
    found.sort_by_key(|leak| Reverse(leak.severity));
    let more = found.len().saturating_sub(FOUND_MAX);
    found.truncate(FOUND_MAX);
    u32::try_from(more).unwrap_or(u32::MAX)
}

fn leak(finding: &Finding, now: Timestamp) -> Leak {
    let Finding { rule, severity, secret, fingerprint, life, location, .. } = finding;
    let seconds = match life {
        Life::Unknown => None,
        // A token says what it likes; what no calendar has is no end.
        Life::Ended(at) | Life::Until(at) => u64::try_from(*at).ok().filter(|at| *at <= SECONDS_MAX),
    };
    Leak {
        fingerprint: fingerprint.as_str().to_owned(),
        rule: cut(&rule.id),
        title: cut(&rule.title),
        opens: cut(&rule.opens),
        remedy: cut(&rule.remedy),
        severity: match severity {
            Severity::Info => LeakSeverity::Info,
            Severity::Low => LeakSeverity::Low,
            Severity::Medium => LeakSeverity::Medium,
            Severity::High => LeakSeverity::High,
            Severity::Critical => LeakSeverity::Critical,
        },
        place: cut(&location.chain.join(INSIDE)),
        parameter: location.parameter.as_deref().map(cut),
        line: location.line,
        redacted: secret.redacted(rule.kind),
        ends_at: seconds.map(|seconds| Timestamp(seconds * Timestamp::SECOND)),
        first_at: now,
    }
}

/// Foreign text, as short as a page needs it: with what JSON adds, at most
/// [`Leak::TEXT_MAX`] bytes.
fn cut(text: &str) -> String {
    let mut room = Leak::TEXT_MAX - '…'.len_utf8();
    let text = shown(text);
    let fits = |c: &char| {
        let takes = if matches!(c, '"' | '\\') { 2 } else { c.len_utf8() };
        let fits = takes <= room;
        room = room.saturating_sub(takes);
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: names that a camera chose.
    #[test]
    fn foreign_names_are_short_and_turn_nothing() {
        for hostile in
            ["\"\\".repeat(400), "\u{202e}".repeat(400), "é\u{1b}[2J".repeat(400), "x".repeat(4_000)]
        {
            let short = cut(&hostile);
            let json = serde_json::to_string(&short).unwrap();
            assert!(json.len() <= Leak::TEXT_MAX + 2 && short.ends_with('…'), "{json}");
            assert!(!short.contains(['\u{202e}', '\u{1b}']));
        }
        assert_eq!(cut("root.Network.Password"), "root.Network.Password");
    }

    /// The attack: a token that ends after all time, which no page could show.
    #[test]
    fn an_end_that_no_calendar_has_is_none() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let token = |end: &str| {
            let parts = [
                encode(r#"{"alg":"HS256","typ":"JWT"}"#),
                encode(&format!(r#"{{"sub":"door-camera-7","exp":{end}}}"#)),
                encode("Zq8rT2vX5yB9dF3gH6jK1mN4pS7uW0aC"),
            ];
            format!("token {}\r\n", parts.join("."))
        };
        for (end, ends_at) in [
            ("9000000000000000000", None),
            ("253402300800", None),
            ("1900000000", Some(Timestamp(1_900_000_000_000))),
        ] {
            let swept = sweep("system log", token(end).as_bytes(), &Progress::default());
            let [leak] = &swept.found[..] else { panic!("{:?}", swept.found) };
            assert_eq!(leak.ends_at, ends_at);
        }
    }

    #[test]
    fn what_is_found_is_told_without_the_secret() {
        let secret = "Zq8rT2vX5yB9dF3gH6jK1mN4pS7uW0aC";
        let text = format!("root.Network.FTP.Password={secret}\r\n");
        let swept = sweep("parameters", text.as_bytes(), &Progress::default());
        let [leak] = &swept.found[..] else { panic!("{:?}", swept.found) };
        assert_eq!((leak.place.as_str(), leak.line), ("parameters", Some(1)));
        assert_eq!(leak.parameter.as_deref(), Some("root.Network.FTP.Password"));
        assert!(!serde_json::to_string(leak).unwrap().contains(&secret[4..]));
        assert_eq!(swept.read, text.len() as u64);
    }

    /// The attack: so much that is harmless that what is grave does not fit.
    #[test]
    fn the_gravest_of_a_flood_is_kept() {
        let mut text: String =
            (0..400).map(|n| format!("wpa_passphrase_{n}=Harbour-gate-{n:05}-Xq\r\n")).collect();
        let key = "Zq8rT2vX5yB9dF3gH6jK1mN4pS7uW0aCeXwVbQzLkJh8G5fD2sA9oPi4uY7tR6eWq1MnB3vC5xZ0lKjHgFdSaQ==";
        text += &format!("DefaultEndpointsProtocol=https;AccountName=harbour;AccountKey={key}\r\n");
        let swept = sweep("system log", text.as_bytes(), &Progress::default());
        assert_eq!(swept.found.len(), FOUND_MAX);
        assert!(swept.left_out > 0);
        assert_eq!(swept.found[0].severity, LeakSeverity::Critical, "{:?}", swept.found[0]);
    }

    #[test]
    fn who_stops_it_waits_for_no_end() {
        let progress = Progress::default();
        progress.is_stopped.store(true, Ordering::Relaxed);
        let bytes = b"root.Network.FTP.Password=Zq8rT2vX5yB9dF3gH6jK1mN4pS7uW0aC\r\n".repeat(400_000);
        let swept = sweep("parameters", &bytes, &progress);
        assert!(swept.found.len() <= 1, "{}", swept.found.len());
    }
}
