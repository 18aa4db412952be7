//! A reader's own copy of the log: one line of JSON for each statement, with
//! the time at which this reader first saw it. What has been seen is never
//! unseen.

use model::Timestamp;
use model::wire::Envelope;
use serde::{Deserialize, Serialize};

use super::{Roster, RosterError};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("line {0} is no statement of a roster")]
    Line(usize),
    #[error("line {line}: {error}")]
    Rule { line: usize, error: RosterError },
    #[error("the log is empty")]
    Empty,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seen_at: Timestamp,
    envelope: Envelope,
}

/// One statement as a line, with its line break.
pub fn log_line(envelope: &Envelope, seen_at: Timestamp) -> Vec<u8> {
    let line = Line { seen_at, envelope: envelope.clone() };
    let mut bytes = serde_json::to_vec(&line).expect("an envelope is plain data");
    bytes.push(b'\n');
    bytes
}

/// The statement of a line, not replayed.
pub fn log_envelope(line: &str) -> Option<Envelope> {
    serde_json::from_str::<Line>(line).ok().map(|line| line.envelope)
}

/// Replays a log and says how many bytes of it are whole lines: a last line
/// without its end was being written when the power went, and nobody has acted
/// on it.
pub fn read_log(text: &str) -> Result<(Roster, usize), LogError> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut roster: Option<Roster> = None;
    for (number, line) in text[..whole].lines().enumerate() {
        let Line { seen_at, envelope } =
            serde_json::from_str(line).map_err(|_| LogError::Line(number + 1))?;
        let rule = |error| LogError::Rule { line: number + 1, error };
        match &mut roster {
            None => roster = Some(Roster::from_genesis(&envelope, seen_at).map_err(rule)?),
            Some(roster) => roster.apply(&envelope, seen_at).map_err(rule)?,
        }
    }
    Ok((roster.ok_or(LogError::Empty)?, whole))
}
