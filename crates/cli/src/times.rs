//! Times as people type them.

use anyhow::Context as _;
use model::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::now;

/// RFC 3339 with zone, `now`, or a time ago: `30s`, `15m`, `2h`, `3d`.
pub(crate) fn parse(text: &str) -> anyhow::Result<Timestamp> {
    let usage =
        || format!("`{text}` is no time; write 2026-11-23T10:00:00Z, now, or a time ago such as 15m or 2h");
    if text == "now" {
        return Ok(now());
    }
    if let Some((number, unit)) = text.char_indices().last().map(|(at, unit)| (&text[..at], unit))
        && let Ok(number) = number.parse::<u32>()
    {
        let unit = match unit {
            's' => Timestamp::SECOND,
            'm' => Timestamp::MINUTE,
            'h' => Timestamp::HOUR,
            'd' => Timestamp::DAY,
            _ => return Err(anyhow::anyhow!(usage())),
        };
        return Ok(now().minus_ms(u64::from(number) * unit));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).with_context(usage)?;
    let ms = time.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(ms).map(Timestamp).with_context(usage)
}

/// UTC, to the second.
pub(crate) fn format(time: Timestamp) -> String {
    let nanos = i128::from(time.0) / 1_000 * 1_000_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_times_in_several_ways() {
        assert_eq!(parse("2025-11-22T00:00:00Z").unwrap(), Timestamp(1_763_769_600_000));
        assert_eq!(parse("2025-11-22T01:00:00.5+01:00").unwrap(), Timestamp(1_763_769_600_500));
        assert_eq!(format(Timestamp(1_763_769_600_500)), "2025-11-22T00:00:00Z");
        let quarter = now().ms_since(parse("15m").unwrap());
        assert!((900_000..905_000).contains(&quarter), "{quarter}");
        for bad in ["", "m", "15", "15x", "yesterday", "2025-11-22", "é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
