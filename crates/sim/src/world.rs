//! What goes on around the process and outlives it: time, disk, index, cloud.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use gateway_core::hours::HourStep;
use gateway_core::retention::is_agreed;
use gateway_core::uplink::{
    Failure, GrantStep, Lane, Outcome, Pending, PendingGrant, PendingHour, PutAnswer, State, Surroundings,
};
use gateway_core::volume::Volume;
use model::wire::{
    Envelope, Gap, HourReport, HourReportAnswer, RecordingReport, RecordingReportAnswer, UploadGrant,
    UploadGrantAnswer, UploadGrantRequest, UploadObject,
};
use model::{EpochId, Hash, Timestamp};

use crate::cloud::Cloud;
use crate::disk::{Disk, DiskError};
use crate::index::{Index, IndexError, Row};

#[derive(Debug)]
pub(crate) struct World {
    /// When the simulation began.
    began: Timestamp,
    /// Since the simulation began, by a clock that nobody sets.
    pub(crate) ms: u64,
    /// What the wall clock is ahead of that, counted from 1970.
    pub(crate) wall: u64,
    pub(crate) disk: Disk,
    pub(crate) index: Index,
    pub(crate) cloud: Cloud,
    /// That the site is set to, for what is not of events.
    pub(crate) kilobits_max: Option<u32>,
    /// Oldest recording that is kept without an event: one site in two makes that
    /// difference.
    pub(crate) quiet_ms_max: Option<u64>,
    pub(crate) rng: Rng,
    sleeping: Vec<(u64, Waker)>,
}

impl World {
    pub(crate) fn begin(seed: u64, wall: Timestamp) -> Shared {
        Shared(Arc::new(Mutex::new(World {
            began: wall,
            ms: 0,
            wall: wall.0,
            disk: Disk::default(),
            index: Index::default(),
            cloud: Cloud::default(),
            kilobits_max: None,
            quiet_ms_max: seed.is_multiple_of(2).then_some(3 * Timestamp::HOUR),
            rng: Rng::with_seed(seed),
            sleeping: Vec::new(),
        })))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.wall.saturating_add(self.ms))
    }

    /// As the cloud's would show.
    pub(crate) fn is_clock_right(&self) -> bool {
        is_agreed(0, self.began, self.ms, self.now())
    }

    pub(crate) fn add_gap(&mut self, gap: Gap) -> Result<(), IndexError> {
        let now = self.now();
        self.index.add_gap(gap, now)
    }

    /// Time passes; whoever slept until then is woken.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.ms += ms;
        let now = self.ms;
        self.sleeping.retain(|(until, waker)| {
            let sleeps = *until > now;
            if !sleeps {
                waker.wake_by_ref();
            }
            sleeps
        });
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sleep(&self, ms: u64) -> Sleep {
        Sleep { until: self.lock().ms + ms, world: self.clone() }
    }

    /// A request on its way, or an answer.
    async fn network(&self) {
        let (latency, jitter) = {
            let mut world = self.lock();
            let latency = world.cloud.faults.latency_ms;
            (latency, world.rng.u64(10..=200))
        };
        self.sleep(latency + jitter).await;
    }
}

pub(crate) struct Sleep {
    until: u64,
    world: Shared,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut world = self.world.lock();
        if world.ms >= self.until {
            return Poll::Ready(());
        }
        world.sleeping.push((self.until, context.waker().clone()));
        Poll::Pending
    }
}

impl Volume for Shared {
    type File = String;
    type Error = DiskError;

    fn create(&mut self, path: &str, bytes: &[u8]) -> Result<String, DiskError> {
        self.lock().disk.create(path, bytes)
    }

    fn append(&mut self, file: &mut String, bytes: &[u8]) -> Result<(), DiskError> {
        self.lock().disk.append(file, bytes)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.lock().disk.flush()
    }
}

fn failed(_: IndexError) -> Failure {
    Failure::new("the index takes nothing")
}

impl Surroundings for Shared {
    async fn to_send(&self, lane: Lane, limit: usize) -> Outcome<Vec<Pending>> {
        let is_wanted = |row: &Row| row.state == State::Kept && row.is_of_event == (lane == Lane::Urgent);
        Ok(self.lock().index.pending(is_wanted, limit))
    }

    async fn to_report(&self, limit: usize) -> Outcome<Vec<Pending>> {
        Ok(self.lock().index.pending(|row| row.state == State::Uploaded, limit))
    }

    async fn set_state(&self, id: Hash, state: State) -> Outcome<()> {
        self.lock().index.set_state(id, state).map_err(failed)
    }

    async fn grants_to_index(&self, limit: usize) -> Outcome<Vec<PendingGrant>> {
        Ok(self.lock().index.grants(limit, GrantStep::Indexed))
    }

    async fn grants_to_upload(&self, limit: usize) -> Outcome<Vec<PendingGrant>> {
        Ok(self.lock().index.grants(limit, GrantStep::Uploaded))
    }

    async fn mark_grant(&self, grant: &PendingGrant, step: GrantStep) -> Outcome<()> {
        self.lock().index.mark_grant(grant, step).map_err(failed)
    }

    async fn resend_grants(&self, epoch: EpochId) -> Outcome<()> {
        self.lock().index.resend_grants(epoch).map_err(failed)
    }

    async fn hours_to_upload(&self, limit: usize) -> Outcome<Vec<PendingHour>> {
        Ok(self.lock().index.hours.to_upload(limit))
    }

    async fn hours_to_report(&self, limit: usize) -> Outcome<Vec<String>> {
        Ok(self.lock().index.hours.to_report(limit))
    }

    async fn mark_hour(&self, name: &str, step: HourStep) -> Outcome<()> {
        self.lock().index.mark_hour(name, step).map_err(failed)
    }

    async fn add_gap(&self, gap: Gap) -> Outcome<()> {
        self.lock().add_gap(gap).map_err(failed)
    }

    async fn gaps(&self, limit: usize) -> Outcome<Vec<(i64, Gap)>> {
        Ok(self.lock().index.gaps(limit))
    }

    async fn drop_gap(&self, id: i64) -> Outcome<()> {
        self.lock().index.drop_gap(id).map_err(failed)
    }

    async fn read(&self, pending: &Pending) -> Outcome<Option<Vec<u8>>> {
        let world = self.lock();
        let bytes = world.disk.read(&pending.path).map_err(|DiskError(what)| Failure::new(what))?;
        Ok(bytes.filter(|bytes| seal::sha256(bytes) == pending.report.sha256).map(<[u8]>::to_vec))
    }

    async fn index_grants(&self, grants: Vec<Envelope>) -> Outcome<()> {
        self.network().await;
        let answer = self.lock().cloud.index_grants(&grants);
        self.network().await;
        answer
    }

    async fn upload_grants(&self, request: UploadGrantRequest) -> Outcome<UploadGrantAnswer> {
        self.network().await;
        let answer = self.lock().cloud.upload_grants(request);
        self.network().await;
        answer
    }

    async fn report(&self, report: RecordingReport) -> Outcome<RecordingReportAnswer> {
        self.network().await;
        let answer = self.lock().cloud.report(report);
        self.network().await;
        answer
    }

    async fn report_hours(&self, report: HourReport) -> Outcome<HourReportAnswer> {
        self.network().await;
        let answer = self.lock().cloud.report_hours(report);
        self.network().await;
        answer
    }

    async fn put(
        &self,
        _: UploadGrant,
        object: &UploadObject,
        bytes: Vec<u8>,
        _: Lane,
    ) -> Outcome<PutAnswer> {
        self.network().await;
        let answer = self.lock().cloud.put(object, bytes);
        self.network().await;
        answer
    }

    fn kilobits_max(&self) -> Option<u32> {
        self.lock().kilobits_max
    }

    fn elapsed_ms(&self) -> u64 {
        self.lock().ms
    }
}
