//! Tells of trouble, beside recording and waiting for none of it: the disk may be
//! what fails. People and other systems are told first; into the track of events it
//! goes when that takes it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::events::Now;
use gateway_core::health::Machine;
use gateway_core::trouble::{Condition, Kept, Room, Site, Trouble, Troubles};
use model::{CameraId, EventId, Rendition};
use seal::event::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::cloud::Cloud;
use crate::data::{read_whole, write_whole};
use crate::disk::Disk;
use crate::local::View;
use crate::notices::Told;
use crate::outward::Outward;
use crate::{clock, random};

/// What goes on, for the next start: one trouble is told once.
pub(crate) const KEPT: &str = "troubles.json";
const LOOK: Duration = Duration::from_secs(1);
/// Events that no track took yet; of more, the oldest are left out.
const OWED_MAX: usize = 4_096;

pub(crate) struct Watching {
    pub(crate) view: watch::Receiver<Arc<View>>,
    /// Its clock is compared with ours.
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    pub(crate) disk: Disk,
    pub(crate) room: watch::Receiver<Room>,
    /// Those who tell people.
    pub(crate) told: mpsc::Sender<Told>,
    /// Other systems on site.
    pub(crate) outward: Outward,
    /// The file.
    pub(crate) kept: PathBuf,
}

#[derive(Default)]
struct State {
    troubles: Troubles,
    owed: VecDeque<(CameraId, Event)>,
    /// The file is being written; one that hangs is not waited for.
    writing: Option<JoinHandle<()>>,
    is_changed: bool,
    /// What went on before this start was told.
    is_resumed: bool,
}

impl Watching {
    /// Until it is aborted.
    pub(crate) async fn run(self) {
        let began = Instant::now();
        let mut state = self.resume();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let now = Now { ms: began.elapsed().as_millis() as u64, at: clock::now() };
            let view = self.view.borrow().clone();
            if !state.is_resumed && !view.streams.is_empty() {
                state.is_resumed = true;
                for Trouble { camera, event, .. } in state.troubles.active() {
                    for camera in cameras(&view, camera) {
                        self.outward.goes_on(camera, &event);
                    }
                }
            }
            let mut id = || EventId::from_random(random::bytes());
            for trouble in state.troubles.look(&self.site(&view), now, &mut id) {
                self.tell(&mut state, &view, trouble);
            }
            state.hand_over(&view);
            state.write(&self.kept);
        }
    }

    fn resume(&self) -> State {
        let kept = read_whole::<Vec<Kept>>(&self.kept).unwrap_or_else(|error| {
            warn!(error = format!("{error:#}"), "trouble of before the start is forgotten");
            None
        });
        State { troubles: Troubles::resume(kept.unwrap_or_default()), ..State::default() }
    }

    fn site(&self, view: &View) -> Site {
        let cameras: BTreeMap<CameraId, Condition> = view
            .streams
            .iter()
            .filter(|((_, rendition), _)| *rendition == Rendition::Main)
            .map(|((camera, _), outlet)| (*camera, outlet.condition()))
            .collect();
        let machine = Machine {
            unflushed_ms: self.disk.unflushed_ms(None),
            ahead_ms: self.cloud.borrow().as_ref().and_then(Cloud::ahead_ms),
        };
        Site { cameras, machine, room: *self.room.borrow() }
    }

    fn tell(&self, state: &mut State, view: &View, trouble: Trouble) {
        let Event { kind, phase, rule: cause, .. } = &trouble.event;
        let camera = trouble.camera.map(|camera| camera.to_string());
        info!(camera, ?kind, cause, ?phase, "trouble");
        let cameras = cameras(view, trouble.camera);
        if !trouble.follows {
            // Never waited for.
            let told = Told { cameras: cameras.clone(), event: trouble.event.clone() };
            let _ = self.told.try_send(told);
        }
        for camera in &cameras {
            self.outward.tell(*camera, &trouble.event, Some(trouble.began_at));
        }
        state.owed.extend(cameras.into_iter().map(|camera| (camera, trouble.event.clone())));
        while state.owed.len() > OWED_MAX {
            state.owed.pop_front();
        }
        state.is_changed = true;
    }
}

impl State {
    /// Where a track takes no orders, another look is soon.
    fn hand_over(&mut self, view: &View) {
        self.owed.retain(|(camera, event)| {
            let track = view.streams.get(&(*camera, Rendition::Events));
            track.is_some_and(|track| !track.keep(event.clone()))
        });
    }

    fn write(&mut self, path: &Path) {
        let is_busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if !self.is_changed || is_busy {
            return;
        }
        self.is_changed = false;
        let kept = serde_json::to_vec(&self.troubles.kept()).expect("trouble serialises");
        let path = path.to_owned();
        self.writing = Some(spawn_blocking(move || {
            // The next start tells once more what goes on then.
            if let Err(error) = write_whole(&path, &kept) {
                warn!(error = format!("{error:#}"), "trouble is not kept over a restart");
            }
        }));
    }
}

/// Whom it is about: the gateway's is of each of its cameras.
fn cameras(view: &View, of: Option<CameraId>) -> Vec<CameraId> {
    match of {
        Some(camera) => vec![camera],
        None => {
            let main = view.streams.keys().filter(|(_, rendition)| *rendition == Rendition::Main);
            main.map(|(camera, _)| *camera).collect()
        }
    }
}
