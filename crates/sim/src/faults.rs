//! What goes wrong or is set otherwise, and for how long.

use fastrand::Rng;
use model::wire::GapReason;

use crate::disk::Torn;

/// One class of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Kill,
    Restart,
    RestartLoop,
    KillInRecovery,
    PowerCut(TornBy),
    DiskFull,
    DiskReadOnly,
    DiskGone,
    DiskErrors,
    FlushFails,
    DiskStands,
    BitRot,
    FileDeleted,
    IndexFails,
    IndexLost,
    ClockForward,
    ClockBack,
    ClockDrifts,
    CameraGone,
    CameraRefuses,
    CameraStalls,
    CameraResets,
    CameraChanges,
    BadUnits,
    FewKeyFrames,
    CloudGone,
    AnswersLost,
    Throttled,
    StoreDown,
    TokensExpired,
    CloudRefuses,
    CloudGrantsOthers,
    CloudSaysMissing,
    CloudForgetsGrants,
    ObjectBreaksConnection,
    StoreSlow,
    RosterGrows,
    Event,
    ForwardsEvents,
    ForwardsNothing,
    NoBandwidth,
}

/// [`Torn`], in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TornBy {
    Part,
    Zeros,
    Garbage,
    Hole,
}

impl From<TornBy> for Torn {
    fn from(by: TornBy) -> Self {
        match by {
            TornBy::Part => Torn::Part,
            TornBy::Zeros => Torn::Zeros,
            TornBy::Garbage => Torn::Garbage,
            TornBy::Hole => Torn::Hole,
        }
    }
}

impl Fault {
    pub(crate) const ALL: [Fault; 40] = [
        Fault::Kill,
        Fault::Restart,
        Fault::RestartLoop,
        Fault::KillInRecovery,
        Fault::PowerCut(TornBy::Part),
        Fault::PowerCut(TornBy::Zeros),
        Fault::PowerCut(TornBy::Garbage),
        Fault::PowerCut(TornBy::Hole),
        Fault::DiskFull,
        Fault::DiskReadOnly,
        Fault::DiskGone,
        Fault::DiskErrors,
        Fault::FlushFails,
        Fault::DiskStands,
        Fault::BitRot,
        Fault::FileDeleted,
        Fault::IndexFails,
        Fault::IndexLost,
        Fault::ClockForward,
        Fault::ClockBack,
        Fault::ClockDrifts,
        Fault::CameraGone,
        Fault::CameraRefuses,
        Fault::CameraStalls,
        Fault::CameraResets,
        Fault::CameraChanges,
        Fault::BadUnits,
        Fault::FewKeyFrames,
        Fault::CloudGone,
        Fault::AnswersLost,
        Fault::Throttled,
        Fault::StoreDown,
        Fault::TokensExpired,
        Fault::CloudRefuses,
        Fault::CloudGrantsOthers,
        Fault::CloudSaysMissing,
        Fault::CloudForgetsGrants,
        Fault::ObjectBreaksConnection,
        Fault::StoreSlow,
        Fault::RosterGrows,
    ];

    /// What people do, beside all that goes wrong.
    pub(crate) const BY_PEOPLE: [Fault; 4] =
        [Fault::Event, Fault::ForwardsEvents, Fault::ForwardsNothing, Fault::NoBandwidth];

    /// How long it lasts; 0 for what happens at once.
    pub(crate) fn lasts_ms(self, rng: &mut Rng) -> u64 {
        match self {
            Fault::Kill
            | Fault::Restart
            | Fault::KillInRecovery
            | Fault::PowerCut(_)
            | Fault::BitRot
            | Fault::FileDeleted
            | Fault::IndexLost
            | Fault::ClockForward
            | Fault::ClockBack
            | Fault::CloudForgetsGrants
            | Fault::RosterGrows => 0,
            Fault::RestartLoop => rng.u64(5_000..60_000),
            Fault::FlushFails => rng.u64(500..5_000),
            Fault::Event => rng.u64(5_000..120_000),
            Fault::ForwardsEvents | Fault::ForwardsNothing => rng.u64(60_000..3 * 3_600_000),
            Fault::DiskStands => rng.u64(1_000..40_000),
            Fault::CloudGone | Fault::StoreDown if rng.u8(..4) == 0 => {
                rng.u64(Self::LONG_MS / 4..Self::LONG_MS)
            }
            _ => rng.u64(1_000..20 * 60_000),
        }
    }

    /// The longest outage of the cloud.
    const LONG_MS: u64 = 5 * 3_600_000;

    /// What a camera says that refuses.
    pub(crate) fn reason(self) -> Option<GapReason> {
        match self {
            Fault::CameraGone => Some(GapReason::CameraUnreachable),
            Fault::CameraRefuses => Some(GapReason::CameraRefused),
            _ => None,
        }
    }
}
