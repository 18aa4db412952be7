//! What happens at cameras, as far as it concerns what is recorded of them: it goes
//! first, in short recordings if the site is set so, and may stay for longer.

use std::collections::BTreeSet;
use std::time::Duration;

use model::wire::EVENT_SECONDS_MAX;
use model::{CameraId, EventKind, Rendition, Timestamp};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Supervision;
use crate::clock;
use crate::events::Happening;
use crate::stream::Order;

/// Whoever tells of a camera may have been cut off for so long before it is noticed:
/// a poll and its answer, or a broker's keep-alive, and then some.
const UNNOTICED_MS_MAX: u64 = 2 * Timestamp::MINUTE;

impl Supervision {
    pub(super) async fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Event { camera, at, seconds, kinds } => {
                self.event((camera, at), seconds, &kinds).await
            }
            Happening::Unheard { camera, at } => self.unheard(camera, at).await,
        }
    }

    /// Something happens at a camera: what is recorded meanwhile goes first, and in
    /// short recordings if the site is set so.
    pub(super) async fn event(
        &mut self,
        (camera, at): (CameraId, Timestamp),
        seconds: u32,
        kinds: &BTreeSet<EventKind>,
    ) {
        if !self.own.site.cameras.contains_key(&camera) {
            return;
        }
        let seconds = seconds.clamp(1, EVENT_SECONDS_MAX);
        let until = at.plus_ms(u64::from(seconds) * Timestamp::SECOND);
        // Before the first recording of it can close.
        if let Err(error) = self.own.index.add_event(camera, kinds, at, until).await {
            self.own.index.deafen(camera);
            warn!(%camera, error = format!("{error:#}"), "an event could not be written down");
        }
        self.own.wake.all();
        info!(%camera, seconds, "an event");
        self.shorten(camera, Duration::from_secs(seconds.into())).await;
    }

    /// Something may not have been heard, which was noticed at that time.
    async fn unheard(&self, camera: CameraId, at: Timestamp) {
        let since = at.minus_ms(UNNOTICED_MS_MAX);
        if let Err(error) = self.own.index.unheard(camera, since).await {
            self.own.index.deafen(camera);
            warn!(%camera, error = format!("{error:#}"), "what nobody watched may go earlier than it should");
        }
    }

    async fn shorten(&mut self, camera: CameraId, lasts: Duration) {
        if !self.own.site.forwarding_of(camera).short_in_events {
            return;
        }
        let until = Instant::now() + lasts;
        let until = self.short.get(&camera).map_or(until, |before| until.max(*before));
        self.short.insert(camera, until);
        for rendition in [Rendition::Main, Rendition::Sub] {
            self.order((camera, rendition), Order::Short { until }).await;
        }
    }

    /// Events that a restart fell into go on.
    pub(super) async fn take_up_events(&mut self) {
        let now = clock::now();
        match self.own.index.active_events(now).await {
            Ok(events) => {
                for (camera, until) in events {
                    self.shorten(camera, Duration::from_millis(until.ms_since(now))).await;
                }
            }
            Err(error) => warn!(error = format!("{error:#}"), "events could not be read"),
        }
    }
}
