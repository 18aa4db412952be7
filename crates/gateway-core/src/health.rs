//! What looks healthy and is not: a stream that is recorded, and shows nothing
//! worth recording; a disk that is about to lose it; a clock that dates it
//! wrongly. Each is told within half a minute.

use media::nal;
use model::Hash;
use seal::sha256;

/// A picture that has not changed for so long is told.
pub const FROZEN_MS: u64 = 20_000;
/// And for so many key frames.
const FROZEN_KEY_FRAMES: u32 = 3;
/// A disk that has flushed nothing for so long is told. Streams give up after
/// ten seconds.
pub const UNFLUSHED_MS_MAX: u64 = 5_000;
/// A clock that is so far from the cloud's is told.
pub const SKEW_MS_MAX: u64 = 30_000;
/// Of a slice, this much numbers the picture and is not the picture.
const SLICE_HEADER: usize = 8;
/// Encoders count key frames in turns, mostly of two.
const TURNS: usize = 4;

/// Whether a camera repeats one picture. A sensor is never silent: two key
/// frames with the same bits are the same picture, from a camera that hangs or
/// from somebody who plays it back.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    recent: [Option<Hash>; TURNS],
    next: usize,
    /// When the first of them came that were the same, and how many.
    same: Option<(u64, u32)>,
}

impl Frozen {
    /// A key frame, as length-prefixed NAL units. `ms` is by any clock that goes
    /// on.
    pub fn key_frame(&mut self, is_h265: bool, data: &[u8], ms: u64) {
        let hash = picture_hash(is_h265, data);
        let is_known = self.recent.contains(&Some(hash));
        self.recent[self.next % TURNS] = Some(hash);
        self.next += 1;
        self.same = match self.same {
            Some((since, count)) if is_known => Some((since, count + 1)),
            _ => is_known.then_some((ms, 1)),
        };
    }

    /// How long the picture has been the same.
    pub fn for_ms(&self, ms: u64) -> Option<u64> {
        let (since, count) = self.same?;
        let frozen = ms.saturating_sub(since);
        (count >= FROZEN_KEY_FRAMES && frozen >= FROZEN_MS).then_some(frozen)
    }
}

/// Of what is picture in it: neither parameter sets nor messages with the time.
fn picture_hash(is_h265: bool, data: &[u8]) -> Hash {
    let slices = nal::length_prefixed(data).map_while(Result::ok).filter(|unit| {
        let first = unit.first().copied().unwrap_or(0);
        if is_h265 { (first >> 1) & 0x3f < 32 } else { matches!(first & 0x1f, 1..=5) }
    });
    let picture: Vec<u8> = slices.flat_map(|unit| unit.iter().skip(SLICE_HEADER)).copied().collect();
    sha256(&picture)
}

/// What is wrong with the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub unflushed_ms: u64,
    /// How far this clock is ahead of the cloud's, if that was asked.
    pub ahead_ms: Option<i64>,
}

/// In words for people, the worst first; `None` while all is well.
pub fn concern(machine: Machine, frozen_ms: Option<u64>) -> Option<String> {
    let Machine { unflushed_ms, ahead_ms } = machine;
    if unflushed_ms > UNFLUSHED_MS_MAX {
        return Some("the gateway's disk is too slow: what was recorded last may be lost".to_owned());
    }
    if frozen_ms.is_some() {
        return Some(
            "the picture does not change at all: the camera may hang, or be made to repeat it".to_owned(),
        );
    }
    let ahead = ahead_ms.filter(|ahead| ahead.unsigned_abs() > SKEW_MS_MAX)?;
    let (by, way) = (about(ahead.unsigned_abs()), if ahead > 0 { "ahead of" } else { "behind" });
    Some(format!("the gateway's clock is {by} {way} the cloud's, and recordings bear its time"))
}

/// Rounded, so that the words do not change from second to second.
fn about(ms: u64) -> String {
    match ms.saturating_add(30_000) / 60_000 {
        ..=1 => "about a minute".to_owned(),
        minutes @ 2..120 => format!("about {minutes} minutes"),
        minutes @ 120..2_880 => format!("about {} hours", minutes / 60),
        minutes => format!("about {} days", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An access unit of H.264: parameters, a message that counts, one slice.
    fn unit(count: u8, picture: u8) -> Vec<u8> {
        let slice = [&[0x65, count & 1][..], &[0; 6], &[picture; 500]].concat();
        let units: [&[u8]; 3] = [&[0x67, 1, 2, 3], &[0x06, 5, count, count], &slice];
        let prefixed = units.map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat());
        prefixed.concat()
    }

    #[test]
    fn a_picture_that_never_changes_is_noticed_within_half_a_minute() {
        let mut frozen = Frozen::default();
        let told = (0..40_u8).find(|count| {
            let ms = u64::from(*count) * 2_000;
            frozen.key_frame(false, &unit(*count, 9), ms);
            frozen.for_ms(ms).is_some()
        });
        assert_eq!(told, Some(11), "the second key frame, and 20 s");
        frozen.key_frame(false, &unit(12, 10), 24_000);
        assert_eq!(frozen.for_ms(60_000), None, "it moves again");
    }

    #[test]
    fn pictures_that_change_are_not_told() {
        let mut frozen = Frozen::default();
        for count in 0..100_u8 {
            frozen.key_frame(false, &unit(count, count), u64::from(count) * 2_000);
            assert_eq!(frozen.for_ms(u64::from(count) * 2_000), None);
        }
        // Bytes of anybody.
        frozen.key_frame(true, &[0, 0, 0, 200, 1], 0);
        frozen.key_frame(false, &[], 0);
    }

    #[test]
    fn concerns_are_said_in_words() {
        assert_eq!(concern(Machine::default(), None), None);
        let skewed = |ahead| concern(Machine { unflushed_ms: 0, ahead_ms: Some(ahead) }, None);
        assert_eq!(skewed(29_000), None);
        assert!(skewed(-7_300_000).unwrap().contains("2 hours behind"));
        assert!(skewed(60_000).unwrap().contains("a minute ahead of"));
        assert!(skewed(i64::MIN).unwrap().contains("days behind"));
        let slow = Machine { unflushed_ms: 6_000, ahead_ms: Some(60_000) };
        assert!(concern(slow, Some(1)).unwrap().contains("too slow"));
        assert!(concern(Machine::default(), Some(25_000)).unwrap().contains("does not change"));
    }
}
