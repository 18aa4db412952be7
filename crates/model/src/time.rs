use serde::{Deserialize, Serialize};

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z. Media time is
/// another matter: it counts ticks of a track's timescale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub const SECOND: u64 = 1_000;
    pub const MINUTE: u64 = 60 * Self::SECOND;
    pub const HOUR: u64 = 60 * Self::MINUTE;
    pub const DAY: u64 = 24 * Self::HOUR;

    pub fn plus_ms(self, ms: u64) -> Self {
        Timestamp(self.0.saturating_add(ms))
    }

    pub fn minus_ms(self, ms: u64) -> Self {
        Timestamp(self.0.saturating_sub(ms))
    }

    /// When the hour (UTC) began in which this is.
    pub fn hour(self) -> Self {
        Timestamp(self.0 - self.0 % Self::HOUR)
    }

    /// Milliseconds from `earlier` to `self`, 0 if `earlier` is later.
    pub fn ms_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Year, month and day in UTC (proleptic Gregorian; days-to-civil).
    pub fn utc_date(self) -> (u32, u32, u32) {
        // Counted in 400-year eras from 0000-03-01, so that leap days fall at the
        // end of a year. 719 468 is the number of days from there to 1970-01-01.
        let days = self.0 / Self::DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        (year as u32, month as u32, day as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_utc() {
        assert_eq!(Timestamp(0).utc_date(), (1970, 1, 1));
        assert_eq!(Timestamp(951_782_400_000).utc_date(), (2000, 2, 29));
        assert_eq!(Timestamp(1_763_769_600_000 - 1).utc_date(), (2025, 11, 21));
        assert_eq!(Timestamp(1_763_769_600_000).utc_date(), (2025, 11, 22));
        assert_eq!(Timestamp(4_107_542_400_000).utc_date(), (2100, 3, 1));
    }
}
