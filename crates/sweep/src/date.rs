//! Seconds since 1970 and the Gregorian calendar, in UTC.

/// Year, month, day, hour, minute and second as seconds since 1970; none is what no
/// calendar has.
pub(crate) fn seconds([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month);
    if !is_date || !(1..=days(year, month)).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The date of a time in seconds since 1970.
pub(crate) fn day(seconds: i64) -> String {
    // Days to the civil calendar, counted from the first of March of year 0.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Date and time of day, to the second.
pub(crate) fn stamp(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    format!("{} {:02}:{:02}:{:02}", day(seconds), of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_goes_there_and_back() {
        assert_eq!(seconds([2024, 2, 29, 23, 59, 58]), Some(1_709_251_198));
        assert_eq!(stamp(1_709_251_198), "2024-02-29 23:59:58");
        assert_eq!(stamp(-1), "1969-12-31 23:59:59");
        assert_eq!(seconds([2024, 0, 1, 0, 0, 0]), None);
        // What no calendar has would be a date of the month that follows.
        let has = |year, month, day| seconds([year, month, day, 0, 0, 0]).is_some();
        assert!(has(2024, 2, 29) && has(2000, 2, 29) && has(2026, 12, 31) && has(2026, 4, 30));
        assert!(!has(2026, 2, 29) && !has(2024, 2, 31) && !has(2100, 2, 29) && !has(2026, 4, 31));
        assert!(!has(2026, 1, 32) && !has(2026, 1, 0));
        assert_eq!(seconds([2024, 1, 1, 25, 0, 0]), None);
    }
}
