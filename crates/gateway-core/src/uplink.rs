//! Forwarding: epoch grants first, then recordings, newest first, and last the
//! indexes of hours. The queue is what the index says is not confirmed; there is
//! no second journal. What events need has a lane of its own, and waits for nothing
//! else.
//!
//! Each object goes straight to the store under a token of minutes that can
//! create that one object and nothing else. An object that exists already has
//! the same content, because its name ends in its root.

mod hours;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use model::wire::{
    Container, Envelope, Gap, GapReason, HourReport, HourReportAnswer, Recording, RecordingReport,
    RecordingReportAnswer, RecordingStatus, UPLOAD_OBJECTS_MAX, UploadGrant, UploadGrantAnswer,
    UploadGrantRequest, UploadObject,
};
use model::{CameraId, DeviceId, EpochId, Forward, GatewayId, Hash, OrgId};
use seal::sha256;
use tracing::{debug, error, warn};

use crate::hours::HourStep;
use crate::outage::gap_of;

/// Objects on their way at the same time; each is in memory once.
const UPLOADS_AT_ONCE: usize = 2;
/// Recordings for which tokens are asked at once: more would expire waiting.
const BATCH: usize = 32;
/// What a batch may take where the bandwidth is set.
const BATCH_MS: u64 = 60_000;
/// Recordings in one report.
const REPORT_MAX: usize = 256;
/// Gaps in one report.
pub const GAPS_MAX: usize = 500;
const RETRY_MS_FIRST: u64 = 1_000;
const RETRY_MS_MAX: u64 = 60_000;
/// For a store that says "later" and not when.
const LATER_MS: u64 = 5_000;
/// Objects that the store did not take and that wait, each for itself. When
/// there are more, all wait together.
const DEFERRED_MAX: usize = 224;
/// Longest wait that a server can ask for.
pub const RETRY_AFTER_MS_MAX: u64 = 600_000;

/// An event begins so long before it is told: what led to it belongs to it.
pub const EVENT_PRE_ROLL_MS: u64 = 5_000;
/// And lasts for so long after it, at least: what comes of it belongs to it.
pub const EVENT_POST_ROLL_MS: u64 = 10_000;

/// How far a recording has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Kept = 0,
    Uploaded = 1,
    Confirmed = 2,
    /// Its bytes are no longer those that were written.
    Damaged = 3,
    /// The cloud does not take it, or holds other bytes under its name. It stays
    /// here and is offered again after the next start.
    Refused = 4,
    /// It stays here because the site is set so.
    Held = 5,
}

impl State {
    pub const ALL: [State; 6] =
        [State::Kept, State::Uploaded, State::Confirmed, State::Damaged, State::Refused, State::Held];
}

/// What becomes of a recording that is new, or whose camera is set otherwise.
pub fn state_at_first(forward: Forward, is_of_event: bool) -> State {
    match forward {
        Forward::Always => State::Kept,
        Forward::Events if is_of_event => State::Kept,
        Forward::Events | Forward::Never => State::Held,
    }
}

/// Two ways up, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Grants, recordings of events, indexes of hours, and all reports.
    Urgent,
    /// Every other recording, as fast as the site's bandwidth allows.
    Usual,
}

/// A recording that waits to be sent or reported.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Below the data folder.
    pub path: String,
    pub report: Recording,
}

#[derive(Clone, Debug)]
pub struct PendingGrant {
    pub epoch: EpochId,
    pub device: DeviceId,
    pub envelope: Envelope,
}

/// The index of an hour that is on its way.
#[derive(Clone, Debug)]
pub struct PendingHour {
    pub camera: CameraId,
    pub name: String,
    pub envelope: Envelope,
}

/// How far a grant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStep {
    /// The cloud's index has it.
    Indexed,
    /// The store has it.
    Uploaded,
    /// The cloud does not take it.
    Refused,
}

/// What went wrong on the way, and how long the other side wants to be left
/// alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub what: String,
    pub wait_ms: Option<u64>,
}

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Failure { what: what.into(), wait_ms: None }
    }
}

pub type Outcome<T> = Result<T, Failure>;

/// What a store says to an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutAnswer {
    Created,
    /// HTTP 409 or 412: the name is taken.
    Exists,
    /// HTTP 429 or 5xx: not now, whatever the object.
    Later {
        status: u16,
        wait_ms: Option<u64>,
    },
    /// It does not take this object, or its token.
    Status(u16),
}

/// What forwarding needs around it: the index, the files, the cloud, the store.
/// The gateway has them; the simulation plays them.
pub trait Surroundings: Sync {
    /// Recordings that are kept here alone and belong to this lane, newest first.
    fn to_send(&self, lane: Lane, limit: usize) -> impl Future<Output = Outcome<Vec<Pending>>> + Send;
    /// Recordings that were uploaded and are not confirmed, newest first.
    fn to_report(&self, limit: usize) -> impl Future<Output = Outcome<Vec<Pending>>> + Send;
    fn set_state(&self, id: Hash, state: State) -> impl Future<Output = Outcome<()>> + Send;
    fn grants_to_index(&self, limit: usize) -> impl Future<Output = Outcome<Vec<PendingGrant>>> + Send;
    fn grants_to_upload(&self, limit: usize) -> impl Future<Output = Outcome<Vec<PendingGrant>>> + Send;
    fn mark_grant(&self, grant: &PendingGrant, step: GrantStep) -> impl Future<Output = Outcome<()>> + Send;
    /// The cloud has lost an epoch's grants, or never had them.
    fn resend_grants(&self, epoch: EpochId) -> impl Future<Output = Outcome<()>> + Send;
    /// Indexes of hours that are not in the store, in the order of their making.
    fn hours_to_upload(&self, limit: usize) -> impl Future<Output = Outcome<Vec<PendingHour>>> + Send;
    /// Names of those that the cloud has not read there.
    fn hours_to_report(&self, limit: usize) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    fn mark_hour(&self, name: &str, step: HourStep) -> impl Future<Output = Outcome<()>> + Send;
    fn add_gap(&self, gap: Gap) -> impl Future<Output = Outcome<()>> + Send;
    fn gaps(&self, limit: usize) -> impl Future<Output = Outcome<Vec<(i64, Gap)>>> + Send;
    /// The cloud has it; here it is of no further use.
    fn drop_gap(&self, id: i64) -> impl Future<Output = Outcome<()>> + Send;
    /// The file, if it is still what was written.
    fn read(&self, pending: &Pending) -> impl Future<Output = Outcome<Option<Vec<u8>>>> + Send;

    fn index_grants(&self, grants: Vec<Envelope>) -> impl Future<Output = Outcome<()>> + Send;
    fn upload_grants(
        &self,
        request: UploadGrantRequest,
    ) -> impl Future<Output = Outcome<UploadGrantAnswer>> + Send;
    fn report(&self, report: RecordingReport) -> impl Future<Output = Outcome<RecordingReportAnswer>> + Send;
    fn report_hours(&self, report: HourReport) -> impl Future<Output = Outcome<HourReportAnswer>> + Send;
    fn put(
        &self,
        token: UploadGrant,
        object: &UploadObject,
        bytes: Vec<u8>,
        lane: Lane,
    ) -> impl Future<Output = Outcome<PutAnswer>> + Send;

    /// For the usual lane, now, in kbit/s; 0 is nothing.
    fn kilobits_max(&self) -> Option<u32>;

    /// By a clock that nobody sets.
    fn elapsed_ms(&self) -> u64;
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more.
    Now,
    /// Nothing waits.
    Idle,
    Retry {
        wait_ms: u64,
    },
}

impl Next {
    /// The sooner of two.
    fn or(self, other: Next) -> Next {
        match (self, other) {
            (Next::Now, _) | (_, Next::Now) => Next::Now,
            (Next::Idle, next) | (next, Next::Idle) => next,
            (Next::Retry { wait_ms: a }, Next::Retry { wait_ms: b }) => Next::Retry { wait_ms: a.min(b) },
        }
    }
}

/// What forwarding consists of.
#[derive(Clone, Copy, Debug)]
enum Part {
    Grants,
    Recordings,
    Report,
    Hours,
}

impl Lane {
    fn parts(self) -> &'static [Part] {
        match self {
            Lane::Urgent => &[Part::Grants, Part::Recordings, Part::Report, Part::Hours],
            Lane::Usual => &[Part::Recordings],
        }
    }
}

/// Of one part: how often it failed in a row, and when it is tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    failures: u32,
    until_ms: u64,
}

#[derive(Debug)]
pub struct Uplink<S> {
    org: OrgId,
    gateway: GatewayId,
    lane: Lane,
    around: S,
    turns: [Turn; 4],
    deferred: Mutex<BTreeMap<Hash, Deferred>>,
}

/// An object that the store did not take.
#[derive(Clone, Copy, Debug)]
struct Deferred {
    failures: u32,
    until_ms: u64,
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    Stored,
    Refused,
    /// Later, and others before it.
    Deferred,
}

/// Whether there is more to do right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Idle,
    More,
}

impl<S: Surroundings> Uplink<S> {
    pub fn new(org: OrgId, gateway: GatewayId, lane: Lane, around: S) -> Self {
        Uplink { org, gateway, lane, around, turns: Default::default(), deferred: Mutex::default() }
    }

    /// Each part has its turn and its own patience, whatever becomes of the others.
    pub async fn step(&mut self) -> Next {
        let mut next = Next::Idle;
        for &part in self.lane.parts() {
            let now = self.around.elapsed_ms();
            let Turn { failures, until_ms } = self.turns[part as usize];
            if until_ms > now {
                next = next.or(Next::Retry { wait_ms: until_ms - now });
                continue;
            }
            let done = match part {
                Part::Grants => self.forward_grants().await,
                Part::Recordings => self.forward_recordings().await,
                Part::Report => self.report().await,
                Part::Hours => self.forward_hours().await,
            };
            match done {
                Ok(progress) => {
                    self.turns[part as usize] = Turn::default();
                    if progress == Progress::More {
                        next = Next::Now;
                    }
                }
                Err(Failure { what, wait_ms }) => {
                    // Whoever asks for patience gets it; whoever asks for years does not.
                    let own = backoff_ms(failures);
                    let wait_ms =
                        wait_ms.map_or(own, |asked| asked.clamp(RETRY_MS_FIRST, RETRY_AFTER_MS_MAX));
                    warn!(error = what, "forwarding {part:?} waits {} s", wait_ms.div_ceil(1_000));
                    let until_ms = self.around.elapsed_ms() + wait_ms;
                    self.turns[part as usize] = Turn { failures: failures.saturating_add(1), until_ms };
                    next = next.or(Next::Retry { wait_ms });
                }
            }
        }
        next
    }

    async fn forward_grants(&self) -> Outcome<Progress> {
        let to_index = self.around.grants_to_index(BATCH).await?;
        if !to_index.is_empty() {
            self.around.index_grants(to_index.iter().map(|grant| grant.envelope.clone()).collect()).await?;
            for grant in &to_index {
                self.around.mark_grant(grant, GrantStep::Indexed).await?;
            }
        }
        let to_upload = self.around.grants_to_upload(BATCH).await?;
        if to_upload.is_empty() {
            return Ok(if to_index.is_empty() { Progress::Idle } else { Progress::More });
        }
        let objects: Vec<(UploadObject, PendingGrant, Vec<u8>)> =
            to_upload.into_iter().map(|grant| self.grant_object(grant)).collect();
        let tokens = self.tokens(objects.iter().map(|(object, ..)| object.clone()).collect()).await?;
        let mut failure = None;
        for (token, (object, grant, bytes)) in tokens.into_iter().zip(objects) {
            match self.put(token, &object, bytes).await {
                Ok(Put::Stored) => self.around.mark_grant(&grant, GrantStep::Uploaded).await?,
                Ok(Put::Refused) => self.around.mark_grant(&grant, GrantStep::Refused).await?,
                Ok(Put::Deferred) => failure = Some(Failure::new("the store does not take an epoch's grant")),
                Err(failed) => failure = Some(failed),
            }
        }
        failure.map_or(Ok(Progress::More), Err)
    }

    fn grant_object(&self, grant: PendingGrant) -> (UploadObject, PendingGrant, Vec<u8>) {
        let bytes = serde_json::to_vec(&grant.envelope).expect("an envelope is strings and lists");
        let object = UploadObject {
            container: Container::Grants,
            name: seal::grant::object_name(self.org, self.gateway, grant.epoch, grant.device),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
        };
        (object, grant, bytes)
    }

    async fn forward_recordings(&self) -> Outcome<Progress> {
        let kilobits_max = self.around.kilobits_max().filter(|_| self.lane == Lane::Usual);
        if kilobits_max == Some(0) {
            return Ok(Progress::Idle);
        }
        let mut pending = self.ready().await?;
        if pending.is_empty() {
            return Ok(Progress::Idle);
        }
        if let Some(kilobits) = kilobits_max {
            keep_batch(&mut pending, kilobits);
        }
        let objects = pending.iter().map(|pending| UploadObject {
            container: Container::Footage,
            name: pending.report.name.clone(),
            bytes: pending.report.bytes,
            sha256: pending.report.sha256,
        });
        let objects: Vec<UploadObject> = objects.collect();
        let tokens = self.tokens(objects.clone()).await?;
        let uploads = tokens
            .into_iter()
            .zip(objects)
            .zip(pending)
            .map(|((token, object), pending)| self.forward_recording(token, object, pending));
        let mut uploads = futures_util::stream::iter(uploads).buffer_unordered(UPLOADS_AT_ONCE);
        let (mut moved, mut failure) = (false, None);
        while let Some(result) = uploads.next().await {
            match result {
                Ok(put) => moved |= put != Put::Deferred,
                // Whoever says "not now" is not asked for the next one.
                Err(failed) if failed.wait_ms.is_some() => return Err(failed),
                Err(failed) => failure = Some(failed),
            }
        }
        match failure {
            // What failed waits by itself, and the rest goes on.
            _ if moved => Ok(Progress::More),
            Some(failed) => Err(failed),
            None => Err(Failure::new("the store takes none of the recordings that it was offered")),
        }
    }

    /// Objects that wait, each for itself.
    fn put_off(&self) -> Vec<Hash> {
        let now = self.around.elapsed_ms();
        let deferred = self.deferred();
        deferred.iter().filter(|(_, deferred)| deferred.until_ms > now).map(|(id, _)| *id).collect()
    }

    /// What waits to be sent and was not put off.
    async fn ready(&self) -> Outcome<Vec<Pending>> {
        let put_off = self.put_off();
        let mut pending = self.around.to_send(self.lane, BATCH + put_off.len()).await?;
        pending.retain(|pending| !put_off.contains(&pending.report.id));
        pending.truncate(BATCH);
        Ok(pending)
    }

    async fn forward_recording(
        &self,
        token: UploadGrant,
        object: UploadObject,
        pending: Pending,
    ) -> Outcome<Put> {
        let id = pending.report.id;
        let read = match self.around.read(&pending).await {
            Ok(read) => read,
            Err(failure) => {
                // One bad sector holds up nothing else.
                self.defer(id)?;
                return Err(failure);
            }
        };
        let Some(bytes) = read else {
            // First the gap: a crash between says it twice, and never not at all.
            self.around.add_gap(gap_of(&pending.report, GapReason::Damaged)).await?;
            self.around.set_state(id, State::Damaged).await?;
            return Ok(Put::Refused);
        };
        let put = match self.put(token, &object, bytes).await {
            Ok(put) => put,
            Err(failure) => {
                // It may be this object that breaks the connection.
                if failure.wait_ms.is_none() {
                    self.defer(id)?;
                }
                return Err(failure);
            }
        };
        debug!(recording = %id, bytes = object.bytes, ?put, "offered to the store");
        match put {
            Put::Stored => self.around.set_state(id, State::Uploaded).await?,
            Put::Refused => self.around.set_state(id, State::Refused).await?,
            Put::Deferred => return self.defer(id).map(|()| Put::Deferred),
        }
        self.deferred().remove(&id);
        Ok(put)
    }

    fn deferred(&self) -> MutexGuard<'_, BTreeMap<Hash, Deferred>> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn defer(&self, id: Hash) -> Outcome<()> {
        let mut deferred = self.deferred();
        if !deferred.contains_key(&id) && deferred.len() >= DEFERRED_MAX {
            return Err(Failure::new("the store takes hardly any recording"));
        }
        let now = self.around.elapsed_ms();
        let entry = deferred.entry(id).or_insert(Deferred { failures: 0, until_ms: now });
        // Longer than the part waits, or it would be the next one again.
        entry.until_ms = now + 2 * backoff_ms(entry.failures);
        entry.failures = entry.failures.saturating_add(1);
        Ok(())
    }

    async fn tokens(&self, objects: Vec<UploadObject>) -> Outcome<Vec<UploadGrant>> {
        debug_assert!(objects.len() <= UPLOAD_OBJECTS_MAX);
        let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
        let answer = self.around.upload_grants(UploadGrantRequest { objects }).await?;
        if !answer.grants.iter().map(|grant| &grant.name).eq(&names) {
            return Err(Failure::new("the cloud granted other objects than were asked for"));
        }
        Ok(answer.grants)
    }

    async fn put(&self, token: UploadGrant, object: &UploadObject, bytes: Vec<u8>) -> Outcome<Put> {
        if let Some(reason) = token.refused {
            warn!(name = object.name, reason, "the cloud refuses an object; it stays here");
            return Ok(Put::Refused);
        }
        match self.around.put(token, object, bytes, self.lane).await? {
            PutAnswer::Created | PutAnswer::Exists => Ok(Put::Stored),
            PutAnswer::Later { status, wait_ms } => {
                let what = format!("the store asks to wait (HTTP {status})");
                Err(Failure { what, wait_ms: wait_ms.or(Some(LATER_MS)) })
            }
            PutAnswer::Status(status) => {
                warn!(name = object.name, status, "the store does not take an object; it is offered again");
                Ok(Put::Deferred)
            }
        }
    }

    /// Tells the cloud what it should find in the store, and what is missing
    /// from the timeline.
    async fn report(&self) -> Outcome<Progress> {
        let uploaded = self.around.to_report(REPORT_MAX).await?;
        let gaps = self.around.gaps(GAPS_MAX).await?;
        if uploaded.is_empty() && gaps.is_empty() {
            return Ok(Progress::Idle);
        }
        let report = RecordingReport {
            recordings: uploaded.iter().map(|pending| pending.report.clone()).collect(),
            gaps: gaps.iter().map(|(_, gap)| gap.clone()).collect(),
        };
        let answer = self.around.report(report).await?;
        let more = uploaded.len() == REPORT_MAX || gaps.len() == GAPS_MAX;
        for (id, _) in gaps {
            self.around.drop_gap(id).await?;
        }
        let mut open = 0;
        for pending in &uploaded {
            let name = &pending.report.name;
            let status = answer.results.iter().find(|result| &result.name == name);
            open += usize::from(!self.settle(pending, status.map(|result| result.status)).await?);
        }
        if open > 0 {
            // Asked again after a while, not at once.
            return Err(Failure::new(format!("{open} recordings are not confirmed yet")));
        }
        Ok(if more { Progress::More } else { Progress::Idle })
    }

    /// Whether this recording is done.
    async fn settle(&self, pending: &Pending, status: Option<RecordingStatus>) -> Outcome<bool> {
        let id = pending.report.id;
        match status {
            Some(RecordingStatus::Confirmed) => {
                self.around.set_state(id, State::Confirmed).await?;
                return Ok(true);
            }
            Some(RecordingStatus::Missing) => self.around.set_state(id, State::Kept).await?,
            Some(RecordingStatus::NoEpochGrant) => self.around.resend_grants(pending.report.epoch).await?,
            Some(RecordingStatus::Mismatch) => {
                error!(recording = %id, "the store holds other bytes than were sent; the recording stays here");
                self.around.set_state(id, State::Refused).await?;
                return Ok(true);
            }
            Some(RecordingStatus::Refused) => {
                warn!(recording = %id, "the cloud refuses this recording; it stays here");
                self.around.set_state(id, State::Refused).await?;
                return Ok(true);
            }
            None => {}
        }
        Ok(false)
    }
}

/// As much as goes up while its tokens are good and nothing newer waits for long;
/// one recording at least.
fn keep_batch(pending: &mut Vec<Pending>, kilobits: u32) {
    let mut left = u64::from(kilobits) * BATCH_MS / 8;
    let fits = pending.iter().take_while(|pending| {
        let fits = left > 0;
        left = left.saturating_sub(pending.report.bytes);
        fits
    });
    let fits = fits.count();
    pending.truncate(fits);
}

fn backoff_ms(failures: u32) -> u64 {
    RETRY_MS_FIRST.saturating_mul(1 << failures.min(6)).min(RETRY_MS_MAX)
}
