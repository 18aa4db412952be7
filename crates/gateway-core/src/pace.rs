//! No faster than the administrators set: how long bytes wait before they are
//! sent. All uploads of a gateway share one [`Pace`].

/// What was not used is saved up for this long at most.
const SAVED_US_MAX: u64 = 250_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// When all that was taken is paid for.
    paid_us: u64,
}

impl Pace {
    /// Takes the bandwidth of so many bytes, and says how long they wait for it.
    /// Bytes that cannot wait count all the same, for those that come after them.
    pub fn take(&mut self, bytes: u64, kilobits_max: Option<u32>, now_us: u64) -> u64 {
        let Some(kilobits) = kilobits_max.filter(|kilobits| *kilobits > 0) else { return 0 };
        let begins_us = self.paid_us.max(now_us.saturating_sub(SAVED_US_MAX));
        let costs_us = bytes.saturating_mul(8_000) / u64::from(kilobits);
        self.paid_us = begins_us.saturating_add(costs_us);
        begins_us.saturating_sub(now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_a_minute() {
        let (mut pace, mut now_us) = (Pace::default(), 5_000_000);
        let mut sent = 0;
        while now_us < 65_000_000 {
            now_us += pace.take(16_384, Some(1_000), now_us);
            sent += 16_384;
        }
        let kilobits = sent * 8 / 60_000;
        assert!((1_000..1_010).contains(&kilobits), "{kilobits}");
    }

    #[test]
    fn an_idle_hour_is_not_saved_up() {
        let mut pace = Pace::default();
        assert_eq!(pace.take(125_000, Some(1_000), 3_600_000_000), 0);
        assert_eq!(pace.take(125_000, Some(1_000), 3_600_000_000), 750_000);
        assert_eq!(pace.take(u64::MAX, None, 0), 0, "no limit");
    }
}
