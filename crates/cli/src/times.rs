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

/// The end of a day such as `2026-12-24`, in UTC, or a time as RFC 3339 has it.
pub(crate) fn end(text: &str) -> anyhow::Result<Timestamp> {
    let usage = || format!("`{text}` is no date; write 2026-12-24, or 2026-12-24T18:00:00Z");
    if text.len() == 10 {
        let midnight = parse(&format!("{text}T00:00:00Z")).with_context(usage)?;
        return Ok(midnight.plus_ms(Timestamp::DAY - 1));
    }
    anyhow::ensure!(text.contains('T'), usage());
    parse(text).with_context(usage)
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
    fn the_end_of_a_day_is_its_last_moment() {
        assert_eq!(end("2025-11-21").unwrap(), Timestamp(1_763_769_600_000 - 1));
        assert_eq!(end("2025-11-22T00:00:00Z").unwrap(), Timestamp(1_763_769_600_000));
        for bad in ["2h", "now", "2025-13-01", "24.12.2026"] {
            assert!(end(bad).unwrap_err().to_string().contains("2026-12-24"), "{bad}");
        }
    }

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
