//! The one place that reads the clock, and writes times for other programs.

use std::time::{SystemTime, UNIX_EPOCH};

use model::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// In UTC, with milliseconds (RFC 3339). None beyond the year 9999.
pub(crate) fn rfc3339(at: Timestamp) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).ok()?;
    time.format(&Rfc3339).ok()
}
