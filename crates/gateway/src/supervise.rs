//! The supervisor: roster, site configuration, epoch and streams change here
//! and nowhere else, one thing after the other.

mod happenings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use gateway_core::epoch::{Epoch, Over};
use gateway_core::recorder::{EpochContext, Identity as RecorderIdentity, Limits};
use gateway_core::recovery::NUMBER_MAX;
use gateway_core::site::Site;
use model::wire::{Envelope, FromGateway, Gap, SiteSettings, StreamStatus, ToGateway};
use model::{Bandwidth, CameraAccess, CameraId, Hash, Rendition, Timestamp};
use seal::command::SiteCommand;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cloud::Cloud;
use crate::config::{DiscoverySection, RecordingSection};
use crate::connect::News;
use crate::data::{DataFolder, Identity, RosterLog};
use crate::disk::Disk;
use crate::events::{Tellers, Tells};
use crate::forward::Wake;
use crate::index::Index;
use crate::keep::{self, Rules};
use crate::leaks;
use crate::local::View;
use crate::mqtt::Sightings;
use crate::notices::Told;
use crate::outward::Outward;
use crate::ptz::{Ptz, Steering};
use crate::questions::{Outcome, Question, Said, sign_result};
use crate::stream::{Order, Settings, Stream};
use crate::viewers::Watch;
use crate::{clock, questions, random};

const TICK: Duration = Duration::from_secs(1);
/// Status goes up this often even if nothing changed.
const STATUS: Duration = Duration::from_secs(10);
/// Watches on the link; the cloud has one for each stream that people watch.
const WATCHES_MAX: usize = 4_096;
/// Events of cameras that wait to be seen to; more are told again while they go on.
const HAPPENINGS: usize = 256;
/// Connection tests and questions at the same time.
const TESTS_MAX: usize = 4;

pub(crate) struct Supervisor {
    pub(crate) folder: DataFolder,
    pub(crate) identity: Identity,
    pub(crate) roster: RosterLog,
    pub(crate) site: Site,
    pub(crate) index: Index,
    pub(crate) disk: Disk,
    pub(crate) gaps: mpsc::Sender<Gap>,
    /// What the keeper deletes by.
    pub(crate) rules: watch::Sender<Rules>,
    /// Some of what lies on the disk could not be read yet.
    pub(crate) is_in_the_dark: watch::Receiver<bool>,
    pub(crate) recording: RecordingSection,
    /// How cameras are looked for.
    pub(crate) discovery: DiscoverySection,
    /// What leaked into cameras.
    pub(crate) leaks: leaks::Asking,
    /// For those who read them.
    pub(crate) cameras: watch::Sender<leaks::Cameras>,
    /// Number and hash of the last statement taken, for those who ask the cloud for more.
    pub(crate) head: watch::Sender<(u64, Hash)>,
    /// Its clock is compared with ours.
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    /// The history's, as far as it was witnessed.
    pub(crate) checkpoint: watch::Receiver<Option<Arc<str>>>,
    /// The forwarder has something to do.
    pub(crate) wake: Arc<Wake>,
    /// What the forwarder may use.
    pub(crate) bandwidth: watch::Sender<Bandwidth>,
    /// What the local way sees.
    pub(crate) view: watch::Sender<Arc<View>>,
    /// Those who tell people of events.
    pub(crate) told: mpsc::Sender<Told>,
    /// Other systems on site.
    pub(crate) outward: Outward,
    /// Where Frigate is heard, if the configuration names it.
    pub(crate) sightings: Option<Sightings>,
    /// There may be other orders of notices.
    pub(crate) notices_changed: Arc<Notify>,
    /// And other orders to lock recordings.
    pub(crate) locks_changed: Arc<Notify>,
}

struct Supervision {
    own: Supervisor,
    epoch: Epoch,
    streams: BTreeMap<(CameraId, Rendition), Supervised>,
    /// Cameras whose recordings are short, and until when.
    short: BTreeMap<CameraId, Instant>,
    link: Option<(mpsc::Sender<FromGateway>, mpsc::Sender<Bytes>)>,
    /// Watches of the link: number → stream.
    watches: BTreeMap<u32, (CameraId, Rendition)>,
    told: Option<(Instant, Vec<StreamStatus>, Hash)>,
    tests: JoinSet<(u64, Envelope)>,
    /// Answers that no camera is asked for.
    lists: JoinSet<(u64, Envelope)>,
    /// Goes up with every stream that ends or begins.
    streams_version: u64,
    /// Whom streams of events tell that something happens.
    tells: Tells,
    /// Cameras that are moved.
    ptz: Ptz,
    /// What the local way was shown last.
    shown: Option<(Hash, usize, u64)>,
}

struct Supervised {
    stream: Stream,
    /// What it was started with; other access data means another start.
    access: CameraAccess,
}

impl Supervisor {
    /// Runs until cancelled. Then all recordings are closed.
    pub(crate) async fn run(
        self,
        mut news: mpsc::Receiver<News>,
        cancel: CancellationToken,
    ) -> anyhow::Result<()> {
        let now = self.now();
        let epoch = Epoch::begin(self.roster.roster(), self.identity.id, now, &mut random::fill);
        self.keep_grants(&epoch).await?;
        let (happening, mut happenings) = mpsc::channel(HAPPENINGS);
        let tells = Tells {
            happening,
            listening: self.index.listening().clone(),
            told: self.told.clone(),
            outward: self.outward.clone(),
        };
        let mut supervision = Supervision {
            own: self,
            epoch,
            streams: BTreeMap::new(),
            short: BTreeMap::new(),
            link: None,
            watches: BTreeMap::new(),
            told: None,
            tests: JoinSet::new(),
            lists: JoinSet::new(),
            streams_version: 0,
            tells,
            ptz: Ptz::default(),
            shown: None,
        };
        supervision.take_up_events().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                news = news.recv() => match news {
                    Some(news) => supervision.take(news).await?,
                    None => break,
                },
                Some(Ok((id, envelope))) = supervision.tests.join_next() => supervision.answer(id, envelope),
                Some(Ok((id, envelope))) = supervision.lists.join_next() => supervision.answer(id, envelope),
                Some(happening) = happenings.recv() => supervision.happens(happening).await,
                _ = tick.tick() => supervision.tick().await?,
            }
        }
        let streams = std::mem::take(&mut supervision.streams);
        let stopping = streams.into_values().map(|supervised| supervised.stream.stop());
        futures_util::future::join_all(stopping).await;
        Ok(())
    }

    /// Grants are on disk before anything is sealed with what they grant.
    async fn keep_grants(&self, epoch: &Epoch) -> anyhow::Result<()> {
        let identity = &self.identity;
        let grants = epoch.grants(self.roster.roster(), identity.id, &identity.sign, &mut random::fill);
        let Epoch { id, started_at, .. } = *epoch;
        self.index.add_grants(id, started_at, &grants).await.context("epoch grants could not be kept")?;
        info!(epoch = %id, devices = grants.len(), cameras = epoch.keys.len(), "a new epoch");
        self.wake.all();
        Ok(())
    }

    /// A clock that is behind the roster is wrong for certain.
    fn now(&self) -> Timestamp {
        clock::now().max(self.roster.roster().last_at())
    }
}

impl Supervision {
    async fn take(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Roster(statements) => self.take_roster(&statements).await?,
            News::Up { text, frames } => {
                self.link = Some((text, frames));
                self.told = None;
                self.tell_status().await;
                self.tell_settings();
                self.own.notices_changed.notify_one();
                self.own.locks_changed.notify_one();
            }
            News::Down => {
                self.link = None;
                for (number, key) in std::mem::take(&mut self.watches) {
                    self.order(key, Order::Unwatch { stream: number }).await;
                }
            }
            News::Message(ToGateway::Watch { stream, camera, rendition }) => {
                self.watch(stream, (camera, rendition)).await;
            }
            News::Message(ToGateway::Unwatch { stream }) => {
                if let Some(key) = self.watches.remove(&stream) {
                    self.order(key, Order::Unwatch { stream }).await;
                }
            }
            News::Message(ToGateway::Command { id, envelope }) => self.command(id, &envelope).await?,
            News::Message(ToGateway::Event { camera, seconds }) => {
                self.event((camera, clock::now()), seconds, &BTreeSet::new()).await;
            }
            News::Message(ToGateway::PtzOpen { ask, camera, challenge }) => {
                if let Some((about, text)) = self.steering(camera) {
                    self.ptz.open(about, ask, challenge, text);
                }
            }
            News::Message(ToGateway::PtzOrder { ask, camera, envelope }) => {
                if let Some((about, text)) = self.steering(camera) {
                    let (roster, now) = (self.own.roster.roster(), self.own.now());
                    self.ptz.order(about, ask, (&envelope, roster, now), text);
                }
            }
            News::Message(ToGateway::NoticesChanged) => self.own.notices_changed.notify_one(),
            News::Message(ToGateway::LocksChanged) => self.own.locks_changed.notify_one(),
            // The connection has seen to these.
            News::Message(
                ToGateway::RosterChanged
                | ToGateway::List { .. }
                | ToGateway::Timeline { .. }
                | ToGateway::Find { .. }
                | ToGateway::Read { .. },
            ) => {}
        }
        Ok(())
    }

    async fn take_roster(&mut self, statements: &[Envelope]) -> anyhow::Result<()> {
        let taken = self.own.roster.extend(statements, clock::now());
        let (seq, head) = self.own.roster.roster().head();
        self.own.head.send_replace((seq, head));
        match taken {
            Ok(()) => info!(seq, %head, "the roster has grown"),
            Err(error) => error!(
                error = format!("{error:#}"),
                seq, "the cloud's roster does not follow the one we know; we stay with ours"
            ),
        }
        // Whoever was shut out is cut off before anything else is seen to.
        self.show();
        self.own.notices_changed.notify_one();
        self.tick().await
    }

    async fn tick(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.own.disk.is_gone(), "the disk's thread has ended, which it never should");
        let now = self.own.now();
        self.own.roster.settle(now);
        match self.epoch.over(self.own.roster.roster(), self.own.identity.id, now) {
            None => {}
            Some(Over::Audience) => self.next_epoch(now).await?,
            // The same people may open it: recording goes on.
            Some(Over::Time) => {
                if let Err(error) = self.next_epoch(now).await {
                    warn!(error = format!("{error:#}"), "the epoch goes on until another can be kept");
                }
            }
        }
        self.reconcile().await?;
        self.tell_status().await;
        Ok(())
    }

    async fn next_epoch(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let epoch = Epoch::begin(self.own.roster.roster(), self.own.identity.id, now, &mut random::fill);
        self.own.keep_grants(&epoch).await?;
        self.epoch = epoch;
        for (&(camera, _), supervised) in &self.streams {
            if let Some(context) = context(&self.epoch, camera) {
                supervised.stream.order(Order::Epoch(context)).await;
            }
        }
        Ok(())
    }

    /// Streams run for cameras that are configured here and stand in the
    /// roster: footage of a camera that nobody may open helps nobody.
    async fn reconcile(&mut self) -> anyhow::Result<()> {
        let mut wanted = BTreeMap::new();
        for (&camera, access) in &self.own.site.cameras {
            if self.epoch.keys.contains_key(&camera) {
                wanted.insert((camera, Rendition::Main), access.clone());
                if access.sub_url.is_some() {
                    wanted.insert((camera, Rendition::Sub), access.clone());
                }
                // Of every camera: what the gateway notices of it is an event, too.
                wanted.insert((camera, Rendition::Events), access.clone());
            }
        }
        let unwanted = |key: &(CameraId, Rendition), running: &Supervised| {
            if running.stream.is_over() {
                error!(camera = %key.0, rendition = %key.1, "a stream's task ended by itself, which it never should; another begins");
                return true;
            }
            wanted.get(key) != Some(&running.access)
        };
        let ended: Vec<_> = self
            .streams
            .iter()
            .filter(|(key, running)| unwanted(key, running))
            .map(|(key, _)| *key)
            .collect();
        let mut stopped = BTreeMap::new();
        for key in ended {
            if let Some(supervised) = self.streams.remove(&key) {
                self.watches.retain(|_, watched| *watched != key);
                self.streams_version += 1;
                let until = supervised.stream.stop().await;
                stopped.extend(until.map(|until| (key, until)));
            }
        }
        for (key, access) in wanted {
            if !self.streams.contains_key(&key) {
                let stream = self.start(key, access.clone(), stopped.get(&key).copied()).await?;
                self.streams.insert(key, Supervised { stream, access });
                self.streams_version += 1;
            }
        }
        self.show();
        Ok(())
    }

    /// Shows the local way what has changed, if anything has.
    fn show(&mut self) {
        let roster = self.own.roster.roster();
        let state = (roster.head().1, roster.pending().count(), self.streams_version);
        if self.shown.replace(state) == Some(state) {
            return;
        }
        let outlets = self.streams.iter().map(|(key, supervised)| (*key, supervised.stream.outlet()));
        let (gateway, services) = (self.own.identity.id, View::services(&self.own.site.cameras));
        let view = View { gateway, roster: roster.clone(), streams: outlets.collect(), services };
        self.own.view.send_replace(Arc::new(view));
    }

    async fn start(
        &self,
        (camera, rendition): (CameraId, Rendition),
        access: CameraAccess,
        recorded_until: Option<Timestamp>,
    ) -> anyhow::Result<Stream> {
        let Supervisor { identity, roster, index, recording, disk, gaps, .. } = &self.own;
        let settings = Settings {
            identity: RecorderIdentity {
                org: roster.roster().org(),
                gateway: identity.id,
                camera,
                rendition,
                signer: identity.sign.clone(),
            },
            access,
            epoch: context(&self.epoch, camera).context("the epoch has no keys of this camera")?,
            limits: Limits::from(recording),
            cloud: self.own.cloud.clone(),
            checkpoint: self.own.checkpoint.clone(),
            recorded_until: match recorded_until {
                None => index.last_end(camera, rendition, NUMBER_MAX).await?,
                until => until,
            },
            is_in_the_dark: *self.own.is_in_the_dark.borrow(),
            short_until: self.short.get(&camera).copied(),
        };
        let (disk, gaps) = (disk.clone(), gaps.clone());
        if rendition != Rendition::Events {
            return Ok(Stream::start(settings, disk, gaps));
        }
        let tellers = Tellers::of(camera, &settings.access, self.own.sightings.as_ref());
        Ok(Stream::of_events(settings, tellers, disk, gaps, self.tells.clone()))
    }

    /// What a camera is steered by, and where the answers go.
    fn steering(&self, camera: CameraId) -> Option<(Steering, mpsc::Sender<FromGateway>)> {
        let (text, _) = self.link.clone()?;
        let access = self.own.site.cameras.get(&camera);
        let identity = self.own.identity.clone();
        let org = self.own.roster.roster().org();
        Some((Steering { org, identity, camera, access: access.cloned() }, text))
    }

    async fn order(&self, key: (CameraId, Rendition), order: Order) {
        if let Some(supervised) = self.streams.get(&key) {
            supervised.stream.order(order).await;
        }
    }

    async fn watch(&mut self, number: u32, key: (CameraId, Rendition)) {
        let Some((text, frames)) = self.link.clone() else { return };
        if !self.streams.contains_key(&key) {
            let reason = "this gateway does not record this stream".to_owned();
            // Never waited for: whoever asks without reading gets no answer.
            let _ = text.try_send(FromGateway::WatchFailed { stream: number, reason });
            return;
        }
        if self.watches.len() >= WATCHES_MAX {
            return;
        }
        self.watches.insert(number, key);
        self.order(key, Order::Watch { watch: Watch::Link(number), frames }).await;
    }

    /// Tells the cloud how all streams are, if that has changed or is due.
    async fn tell_status(&mut self) {
        let Some((text, _)) = &self.link else { return };
        let listed = self.streams.values().map(|running| &running.stream).filter(|stream| stream.is_listed);
        let cameras: Vec<StreamStatus> = listed.map(|stream| stream.status.borrow().clone()).collect();
        let state = self.own.site.state();
        let is_news = self.told.as_ref().is_none_or(|(at, told, told_state)| {
            let same = |a: &StreamStatus, b: &StreamStatus| {
                (a.camera, a.rendition, a.state, a.since, &a.reason)
                    == (b.camera, b.rendition, b.state, b.since, &b.reason)
            };
            let unchanged = told.len() == cameras.len() && told.iter().zip(&cameras).all(|(a, b)| same(a, b));
            !unchanged || *told_state != state || at.elapsed() >= STATUS
        });
        if !is_news {
            return;
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        // A full queue: the next tick tries again.
        if text.try_send(FromGateway::Status { state, version, cameras: cameras.clone() }).is_ok() {
            self.told = Some((Instant::now(), cameras, state));
        }
    }

    async fn command(&mut self, id: u64, envelope: &Envelope) -> anyhow::Result<()> {
        let now = self.own.now();
        let me = self.own.identity.id;
        let mut site = self.own.site.clone();
        let roster = self.own.roster.roster();
        let command = match site.gate.admit(envelope, roster, me, self.own.site.state(), now) {
            Ok(command) => command,
            Err(error) => {
                warn!(%error, "a command was refused");
                // Unsigned commands have no nonce that we would repeat.
                let signed = error.is_of_signed().then(|| seal::command::claimed_nonce(envelope)).flatten();
                let nonce = signed.unwrap_or_default();
                let result = self.result(nonce, Err(error.to_string()));
                self.answer(id, result);
                return Ok(());
            }
        };
        // The nonce is spent before anything is done, whatever comes of it.
        self.own.folder.write_site(&site)?;
        self.own.site.gate = site.gate.clone();
        let own = &self.own;
        if let Some(question) =
            Question::of(&command, &own.identity, &own.discovery, (&own.site.cameras, &own.leaks))
        {
            match question {
                Ok(question) => self.find_out(id, envelope, command, question),
                Err(error) => {
                    let result = self.result(command.nonce, Err(error.to_string()));
                    self.answer(id, result);
                }
            }
            return Ok(());
        }
        let outcome = match site.apply(&command, &self.own.identity.kem) {
            Ok(()) => {
                self.own.folder.write_site(&site)?;
                self.own.site = site;
                info!(state = %self.own.site.state(), "a command was carried out");
                self.own.cameras.send_replace(Arc::new(self.own.site.cameras.clone()));
                self.reconcile().await?;
                self.set_what_leaves().await;
                // The next command needs the new state.
                self.tell_status().await;
                self.tell_settings();
                Ok(Said::Done)
            }
            Err(error) => Err(error.to_string()),
        };
        let result = self.result(command.nonce, outcome);
        self.answer(id, result);
        Ok(())
    }

    /// As the site is set. An index that does not take it now, or not for all that
    /// is recorded, is told by the next start.
    async fn set_what_leaves(&self) {
        let Supervisor { site, index, bandwidth, rules, recording, wake, .. } = &self.own;
        bandwidth.send_replace(site.bandwidth.clone());
        let mut set = keep::rules(site, recording);
        // Nothing goes for being quiet by kinds that nobody has set.
        if let Some(quiet) = &site.retention.quiet
            && let Err(error) = index.set_uncounted(&quiet.kinds).await
        {
            error!(error = format!("{error:#}"), "which events count could not be set in the index");
            set.policy.quiet_ms_max = None;
        }
        rules.send_replace(set);
        if let Err(error) = index.set_forwarding(&site.forwarding()).await {
            error!(error = format!("{error:#}"), "what is forwarded could not be set in the index");
        }
        wake.all();
    }

    /// How the site is set, for those who are about to set it otherwise.
    fn tell_settings(&self) {
        let Some((text, _)) = &self.link else { return };
        let site = &self.own.site;
        let settings = SiteSettings {
            state: site.state(),
            bytes_max: site.retention.bytes_max,
            age_days_max: site.retention.age_days_max,
            quiet: site.retention.quiet.clone(),
            bandwidth: site.bandwidth.clone(),
            forwarding: site.forwarding(),
        };
        // Not told: people set it without seeing what was.
        let _ = text.try_send(FromGateway::Settings { settings });
    }

    fn find_out(&mut self, id: u64, envelope: &Envelope, command: SiteCommand, question: Question) {
        let is_quick = question.is_quick();
        if !is_quick && self.tests.len() >= TESTS_MAX {
            let result =
                self.result(command.nonce, Err("other connection tests are running; wait for them".into()));
            self.answer(id, result);
            return;
        }
        let signer = self.own.identity.clone();
        let asker = questions::asker(envelope, self.own.roster.roster());
        let tasks = if is_quick { &mut self.lists } else { &mut self.tests };
        tasks.spawn(async move {
            let outcome = Box::pin(question.answer()).await;
            (id, sign_result(&signer, command.org, asker.as_ref(), command.nonce, outcome))
        });
    }

    fn result(&self, nonce: String, outcome: Outcome) -> Envelope {
        sign_result(&self.own.identity, self.own.roster.roster().org(), None, nonce, outcome)
    }

    fn answer(&self, id: u64, envelope: Envelope) {
        if let Some((text, _)) = &self.link {
            // Never waited for either.
            if text.try_send(FromGateway::CommandResult { id, envelope }).is_err() {
                warn!("the answer to a command was lost: the cloud does not read");
            }
        }
    }
}

fn context(epoch: &Epoch, camera: CameraId) -> Option<EpochContext> {
    let keys = epoch.keys.get(&camera)?.clone();
    Some(EpochContext { epoch: epoch.id, roster_head: epoch.roster_head, keys })
}
