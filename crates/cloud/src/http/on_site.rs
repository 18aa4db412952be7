//! Recordings that are on their gateway alone, read over its link: piece by
//! piece, as the viewer takes them, so that little is in memory and a slow
//! viewer holds up nobody. Whether the viewer may go on is asked again before
//! a piece goes out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use cloud_core::Action;
use futures_util::stream::{self, StreamExt as _};
use model::wire::PIECE_MAX;
use model::{ByteRange, CameraId, GatewayId, Hash, PersonId, Slot, Slots};
use seal::roster::Roster;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::clock;
use crate::hub::NoAnswer;
use crate::permits::Still;
use crate::problem::Problem;
use crate::sessions::Caller;

/// Pieces of one read that are asked for before the viewer has taken them.
const PIECES_AHEAD: usize = 4;
/// Reads that are open at a time, in all and of one person.
const READS_MAX: usize = 256;
const READS_OF_PERSON_MAX: usize = 16;
/// As on a live stream (protocol.md section 3).
const RECHECK: Duration = Duration::from_secs(5);

pub(crate) type Reads = Arc<Slots<PersonId>>;

pub(crate) fn reads() -> Reads {
    Slots::new(READS_MAX, READS_OF_PERSON_MAX)
}

/// A recording that a gateway has and this caller may play.
pub(super) struct OnSite {
    app: Arc<App>,
    caller: Caller,
    gateway: GatewayId,
    camera: CameraId,
    recording: Hash,
    pub(super) size: u64,
}

impl OnSite {
    /// Asks the camera's gateway, if the caller may play this; what is there
    /// stands in the history when this returns.
    pub(super) async fn find(
        app: &Arc<App>,
        caller: &Caller,
        roster: &Roster,
        (camera, recording): (CameraId, Hash),
    ) -> Result<Self, Problem> {
        let now = clock::now();
        let permit = app.decide(caller, roster, Action::Playback { camera, recording }, now).await?;
        let gateway = roster.camera(camera).ok_or_else(Problem::not_found)?.gateway;
        let size = app.hub.size(gateway, camera, recording).await?;
        let size = size.ok_or_else(Problem::not_found)?;
        app.recorded_read(caller.session, permit, now).await?;
        Ok(OnSite { app: app.clone(), caller: *caller, gateway, camera, recording, size })
    }

    /// The first piece is there when this returns, so that what cannot be read
    /// at all is an error with words.
    pub(super) async fn body(self, range: ByteRange) -> Result<Body, Problem> {
        let slot = self.app.site_reads.take(self.caller.person).ok_or(NoAnswer::Busy)?;
        let site = Arc::new(self);
        let asking = site.clone();
        let mut pieces = stream::iter(parts(range))
            .map(move |part| {
                let site = asking.clone();
                async move { site.app.hub.piece(site.gateway, site.camera, site.recording, part).await }
            })
            .buffered(PIECES_AHEAD)
            .boxed();
        let first = match pieces.next().await {
            Some(first) => first?,
            None => Bytes::new(),
        };
        let changes = site.app.hub.rights_changes();
        let rest = Rest { site, pieces, changes, checked_at: Instant::now(), _slot: slot };
        let rest = stream::try_unfold(rest, Rest::next);
        Ok(Body::from_stream(stream::once(async { Ok(first) }).chain(rest)))
    }
}

/// Of a length that one message asks for.
fn parts(range: ByteRange) -> impl Iterator<Item = ByteRange> {
    let firsts = (range.first..=range.last).step_by(PIECE_MAX as usize);
    firsts.map(move |first| ByteRange { first, last: range.last.min(first + PIECE_MAX - 1) })
}

/// What the viewer has not taken yet.
struct Rest {
    site: Arc<OnSite>,
    pieces: stream::BoxStream<'static, Result<Bytes, NoAnswer>>,
    changes: watch::Receiver<u64>,
    checked_at: Instant,
    _slot: Slot<PersonId>,
}

impl Rest {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let piece = match self.pieces.next().await {
            None => return Ok(None),
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(self.over(&format!("{error:?}"))),
        };
        let changed = self.changes.has_changed().unwrap_or(true);
        if changed || self.checked_at.elapsed() > RECHECK {
            self.changes.mark_unchanged();
            self.checked_at = Instant::now();
            if !self.site.may_go_on().await {
                return Err(self.over("the viewer may no longer play it"));
            }
        }
        Ok(Some((piece, self)))
    }

    fn over(&self, why: &str) -> io::Error {
        let OnSite { gateway, recording, .. } = &*self.site;
        tracing::info!(%gateway, %recording, "a recording was not read to its end: {why}");
        io::Error::other("the recording was not read to its end")
    }
}

impl OnSite {
    async fn may_go_on(&self) -> bool {
        let OnSite { camera, recording, gateway, .. } = *self;
        let action = Action::Playback { camera, recording };
        !matches!(self.app.still_permits(&self.caller, action, (camera, gateway)).await, Still::Refused)
    }
}

impl From<NoAnswer> for Problem {
    fn from(no_answer: NoAnswer) -> Self {
        let on_site = "What was not forwarded is on the gateway alone";
        let new = |status, code, message: String, remedy: &str| Problem::new(status, code, message, remedy);
        match no_answer {
            NoAnswer::Offline => new(
                StatusCode::SERVICE_UNAVAILABLE,
                "gateway_offline",
                format!("{on_site}, which is not connected."),
                "Check that it runs and reaches the cloud, then try again.",
            ),
            NoAnswer::Busy => new(
                StatusCode::SERVICE_UNAVAILABLE,
                "gateway_busy",
                format!("{on_site}, of which too much is being read at once."),
                "Try again in a moment.",
            ),
            NoAnswer::Silent => new(
                StatusCode::GATEWAY_TIMEOUT,
                "gateway_silent",
                format!("{on_site}, which did not answer in time."),
                "Try again; live pictures go first on a slow connection.",
            ),
            NoAnswer::Failed(_) | NoAnswer::Wrong => new(
                StatusCode::BAD_GATEWAY,
                "gateway_refused",
                format!("{on_site}, which did not give it."),
                "Try again; if it fails again, look at the gateway's log.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_in_pieces_that_follow_each_other() {
        let ranges = |first, last| parts(ByteRange { first, last }).map(|part| (part.first, part.last));
        assert_eq!(ranges(5, 5).collect::<Vec<_>>(), [(5, 5)]);
        assert_eq!(ranges(0, PIECE_MAX - 1).collect::<Vec<_>>(), [(0, PIECE_MAX - 1)]);
        let two = [(1, PIECE_MAX), (PIECE_MAX + 1, PIECE_MAX + 1)];
        assert_eq!(ranges(1, PIECE_MAX + 1).collect::<Vec<_>>(), two);
    }
}
