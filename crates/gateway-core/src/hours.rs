//! The signed index of each hour (`seal::hour`): when it is made, and how what
//! came later follows.

use model::wire::{Envelope, Gap, Recording};
use model::{CameraId, GatewayId, Hash, OrgId, Timestamp};
use seal::hour::{ENTRIES_MAX, Hour, HourGap, HourRecording};
use seal::keys::SigningKey;
use seal::sha256;

use crate::uplink::State;

/// After its end, for what began in it and is still open.
pub const GRACE_MS: u64 = 5 * Timestamp::MINUTE;
/// For recordings on their way to the store. What is not there then is listed as
/// what is here alone.
pub const PATIENCE_MS: u64 = Timestamp::DAY;
/// A gap that grew no more for so long is over.
pub const GAP_RESTS_MS: u64 = Timestamp::HOUR;

/// How far the index of an hour has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HourStep {
    Made = 0,
    Uploaded = 1,
    /// The cloud has read it in the store.
    Confirmed = 2,
    /// The cloud does not take it. It is offered again after the next start.
    Refused = 3,
}

/// One that is made, and has its place in its chain.
#[derive(Clone, Debug)]
pub struct MadeHour {
    pub camera: CameraId,
    pub number: u64,
    pub hash: Hash,
    /// In the store.
    pub name: String,
    pub envelope: Envelope,
}

/// Where a camera's chain ends: what the next one says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    pub number: u64,
    pub previous: Option<Hash>,
}

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'k> {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub key: &'k SigningKey,
}

/// Whether recordings of an hour are listed now. Some of them may wait for the
/// store, which is worth a while: then they are listed as stored.
pub fn is_due(hour: Timestamp, some_wait: bool, now: Timestamp) -> bool {
    let patience = if some_wait { PATIENCE_MS } else { GRACE_MS };
    hour.plus_ms(Timestamp::HOUR + patience) <= now
}

/// A recording as it is listed; one that is damaged is not, because a gap tells of
/// it.
pub fn entry(report: &Recording, state: State) -> Option<HourRecording> {
    let stored = match state {
        State::Confirmed => true,
        State::Kept | State::Uploaded | State::Refused | State::Held => false,
        State::Damaged => return None,
    };
    let &Recording { rendition, started_at, duration_ms, bytes, id, root, .. } = report;
    Some(HourRecording { rendition, started_at, duration_ms, bytes, id, root, stored })
}

pub fn gap_entry(&Gap { rendition, from, to, reason, .. }: &Gap) -> HourGap {
    HourGap { rendition, from, to, reason }
}

impl Signer<'_> {
    /// The index of an hour, in as many parts as it takes.
    pub fn make(
        &self,
        (camera, hour): (CameraId, Timestamp),
        mut chain: Chain,
        mut recordings: Vec<HourRecording>,
        mut gaps: Vec<HourGap>,
        now: Timestamp,
    ) -> Vec<MadeHour> {
        recordings.sort_by_key(|recording| (recording.started_at, recording.rendition, recording.id));
        gaps.sort_by_key(|gap| (gap.from, gap.rendition, gap.to));
        let parts = recordings.len().div_ceil(ENTRIES_MAX).max(gaps.len().div_ceil(ENTRIES_MAX));
        let mut recordings = recordings.chunks(ENTRIES_MAX);
        let mut gaps = gaps.chunks(ENTRIES_MAX);
        let part = |_| {
            let hour = Hour {
                org: self.org,
                gateway: self.gateway,
                camera,
                hour,
                number: chain.number,
                previous: chain.previous,
                made_at: now,
                recordings: recordings.next().unwrap_or_default().to_vec(),
                gaps: gaps.next().unwrap_or_default().to_vec(),
            };
            let envelope = hour.sign(self.key);
            let hash = sha256(&envelope.payload.0);
            chain = Chain { number: hour.number + 1, previous: Some(hash) };
            MadeHour { camera, number: hour.number, hash, name: hour.object_name(hash), envelope }
        };
        (0..parts).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use model::Rendition;
    use model::wire::GapReason;
    use seal::keyring::DeviceKeys;

    use super::*;

    const HOUR: Timestamp = Timestamp(1_764_000_000_000);

    fn recording(n: u16) -> HourRecording {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        HourRecording {
            rendition: Rendition::Main,
            started_at: HOUR.plus_ms(u64::from(n) * 1_000),
            duration_ms: 1_000,
            bytes: 1,
            id: Hash(id),
            root: Hash(id),
            stored: true,
        }
    }

    fn payload(made: &MadeHour) -> Hour {
        seal::from_canonical(&made.envelope.payload.0).unwrap()
    }

    #[test]
    fn an_hour_with_more_than_fits_has_several_that_follow_each_other() {
        let keys = DeviceKeys::from_seeds([1; 32], [2; 32]);
        let org = OrgId::from_random([1; 16]);
        let signer = Signer { org, gateway: GatewayId::from_random([2; 16]), key: &keys.sign };
        let camera = CameraId::from_random([3; 16]);
        let gap = HourGap {
            rendition: Rendition::Sub,
            from: HOUR.plus_ms(5),
            to: HOUR.plus_ms(9),
            reason: GapReason::Stalled,
        };
        let many: Vec<HourRecording> = (0..ENTRIES_MAX as u16 + 1).rev().map(recording).collect();
        let chain = Chain { number: 7, previous: Some(Hash([7; 32])) };
        let made = signer.make((camera, HOUR), chain, many, vec![gap], HOUR);
        let [first, second] = made.as_slice() else { panic!("{} parts", made.len()) };
        let (one, two) = (payload(first), payload(second));
        assert_eq!((one.number, one.previous), (7, Some(Hash([7; 32]))));
        assert_eq!((two.number, two.previous), (8, Some(first.hash)));
        assert_eq!((one.recordings.len(), one.gaps.len()), (ENTRIES_MAX, 1));
        assert_eq!(two.recordings, [recording(ENTRIES_MAX as u16)], "in order, and the rest");
        assert!(signer.make((camera, HOUR), chain, Vec::new(), Vec::new(), HOUR).is_empty());
    }

    #[test]
    fn what_is_on_its_way_is_waited_for_but_not_for_ever() {
        let end = HOUR.plus_ms(Timestamp::HOUR);
        assert_eq!(end.hour(), end);
        assert_eq!(Timestamp(end.0 - 1).hour(), HOUR);
        assert!(!is_due(HOUR, false, Timestamp(end.0 + GRACE_MS - 1)));
        assert!(is_due(HOUR, false, end.plus_ms(GRACE_MS)));
        assert!(!is_due(HOUR, true, Timestamp(end.0 + PATIENCE_MS - 1)));
        assert!(is_due(HOUR, true, end.plus_ms(PATIENCE_MS)));
    }
}
