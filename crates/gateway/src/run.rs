//! Putting the parts together, in order: data folder, enrolment, roster,
//! recovery of what the last run left, recording.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use gateway_core::recovery;
use gateway_core::trouble::Room;
use gateway_core::volume::Stored;
use model::{GatewayId, OrgId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::asked::Asked;
use crate::cloud::Cloud;
use crate::config::Config;
use crate::connect::Connection;
use crate::data::{DataFolder, Identity, Membership, RosterLog};
use crate::disk::Disk;
use crate::enrol::{self, Enrolment};
use crate::forward::{Forwarder, Wake, store_client};
use crate::index::{Index, insist};
use crate::keep::{self, Keeper, Scope};
use crate::leaks::{self, Leaks};
use crate::local::{self, LocalWay, View};
use crate::locks::Locking;
use crate::mqtt::{Broker, Mqtt};
use crate::notices::{TOLD_QUEUE, Telling};
use crate::outward::Outward;
use crate::recover::recover;
use crate::stream;
use crate::supervise::Supervisor;
use crate::trouble::{self, Watching};
use crate::webhooks::{Receiver, Webhooks};
use crate::witness::Witness;

const NEWS_QUEUE: usize = 64;

/// A gateway that runs in this process.
#[derive(Debug)]
pub struct Running {
    id: GatewayId,
    enrolled: watch::Receiver<bool>,
    local_address: watch::Receiver<Option<SocketAddr>>,
    cancel: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub fn id(&self) -> GatewayId {
        self.id
    }

    /// Turns true when an administrator's device has taken this gateway in.
    pub fn enrolled(&self) -> watch::Receiver<bool> {
        self.enrolled.clone()
    }

    /// Where people of this network reach it, once they can.
    pub fn local_address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.local_address.clone()
    }

    /// Waits for an end that nobody asked for.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await.context("the gateway's task")?
    }

    /// Closes all recordings and ends.
    pub async fn shutdown(self) -> anyhow::Result<()> {
        self.cancel.cancel();
        self.task.await.context("the gateway's task")?
    }
}

/// Starts a gateway. Without `enrolment` it must have joined an organisation
/// before.
pub async fn start(config: Config, enrolment: Option<Enrolment>) -> anyhow::Result<Running> {
    config.validate()?;
    // What is wrong with a secret is said before anything begins.
    let told = (Webhooks::receivers(&config.webhooks)?, config.mqtt.as_ref().map(Broker::new).transpose()?);
    let folder = DataFolder::open(&config.data)?;
    let identity = folder.identity(&config.name())?;
    let membership = folder.membership()?;
    if membership.is_none() && enrolment.is_none() {
        anyhow::bail!(
            "this gateway belongs to no organisation yet. Take an enrolment code from the web app (Gateways, Add) \
             and run: lenskeep-gateway enrol --cloud https://HOST:8471 --code FILE"
        );
    }
    let (enrolled_sender, enrolled) = watch::channel(membership.is_some());
    let (local_sender, local_address) = watch::channel(None);
    let cancel = CancellationToken::new();
    let id = identity.id;
    let child = cancel.clone();
    let task = tokio::spawn(async move {
        let membership = match (membership, enrolment) {
            // Where the cloud is may change on one box; who it is may not.
            (Some(membership), Some(Enrolment { url, ca, .. })) if ca == membership.ca => {
                Membership { url, ..membership }
            }
            (Some(membership), _) => membership,
            (None, Some(enrolment)) => {
                let enrolling = enrol::enrol(&folder, &identity, &enrolment);
                match child.run_until_cancelled(Box::pin(enrolling)).await {
                    None => return Ok(()),
                    Some(membership) => membership?,
                }
            }
            (None, None) => unreachable!("looked at above"),
        };
        enrolled_sender.send_replace(true);
        let own = (folder, identity, membership);
        Box::pin(run(config, own, told, local_sender, child)).await
    });
    Ok(Running { id, enrolled, local_address, cancel, task })
}

async fn run(
    config: Config,
    (folder, identity, membership): (DataFolder, Identity, Membership),
    (receivers, broker): (Vec<Receiver>, Option<Broker>),
    local_address: watch::Sender<Option<SocketAddr>>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let root = folder.path("");
    let roster = RosterLog::open(&folder, membership.anchor)?;
    let site = folder.site(identity.id)?;
    let index = Index::open(&folder.path("index.sqlite")).await?;
    let asked = Asked::new(root.clone(), Index::open_to_read(&folder.path("index.sqlite")).await?);
    let (_, last_number, abandoned) = recover(&root, &index, roster.roster(), &identity).await?;
    index.offer_refused_again().await?;
    index.set_forwarding(&site.forwarding()).await?;
    if let Some(quiet) = &site.retention.quiet {
        // As `kinds` stand then, more counts rather than less.
        if let Err(error) = index.set_uncounted(&quiet.kinds).await {
            warn!(error = format!("{error:#}"), "which events count could not be written down");
        }
    }
    let stores = store_client(config.store.ca_file.as_deref())?;
    let org = roster.roster().org();
    info!(gateway = %identity.id, %org, cameras = site.cameras.len(), "the gateway starts");

    let wake = Arc::new(Wake::default());
    let (head, head_receiver) = watch::channel(roster.roster().head());
    let (cloud, cloud_receiver) = watch::channel(None);
    let (bandwidth, bandwidth_receiver) = watch::channel(site.bandwidth.clone());
    let (news, news_receiver) = mpsc::channel(NEWS_QUEUE);
    let (streams, services) = Default::default();
    let view = View { gateway: identity.id, roster: roster.roster().clone(), streams, services };
    let (view, view_receiver) = watch::channel(Arc::new(view));
    let (gaps, gap_receiver) = stream::gap_channel();
    let (disk, stored) = Disk::start(root.clone(), last_number)?;

    let keeping_gaps = tokio::spawn(stream::keep_gaps(index.clone(), gap_receiver, cancel.clone()));
    let keeping_stored = tokio::spawn(keep_stored(index.clone(), stored, wake.clone(), cancel.clone()));
    let own = (root.clone(), identity.clone());
    let keeper_view = view_receiver.clone();
    let way = LocalWay::open(config.local, own, view_receiver.clone(), local_address).await;
    let local = tokio::spawn(local(way, identity.clone(), org, cloud_receiver.clone(), cancel.clone()));
    let (checkpoint, checkpoint_receiver) = watch::channel(None);
    let witness = Witness::new(org, identity.clone(), &root, &config.history, checkpoint);
    witness.show_remembered();
    let witness = witness.run(cloud_receiver.clone());
    let forwarder = Forwarder {
        org,
        gateway: identity.id,
        root: root.clone(),
        index: index.clone(),
        cloud: cloud_receiver.clone(),
        stores,
        wake: wake.clone(),
        bandwidth: bandwidth_receiver,
    };
    let (told, told_receiver) = mpsc::channel(TOLD_QUEUE);
    let notices_changed = Arc::new(Notify::new());
    let telling = Telling {
        identity: identity.clone(),
        cloud: cloud_receiver.clone(),
        view: view_receiver.clone(),
        told: told_receiver,
        changed: notices_changed.clone(),
        folder: root.clone(),
    };
    let (mut outward, webhooks) =
        outward(&root, receivers, identity.id, view_receiver.clone(), cancel.clone()).await;
    let mqtt = broker.map(|broker| Mqtt::new(broker, identity.id, view_receiver.clone()));
    let mut sightings = None;
    if let Some((mqtt, (inlet, heard))) = mqtt {
        outward.mqtt = Some(inlet);
        sightings = heard;
        tokio::spawn(Box::pin(tell_broker(mqtt)));
    }
    let connection = Connection {
        membership,
        identity: identity.clone(),
        org,
        head: head_receiver,
        news,
        cloud,
        wake: wake.clone(),
        asked,
    };
    let (rules, rules_receiver) = watch::channel(keep::rules(&site, &config.recording));
    let (is_in_the_dark, dark_receiver) = watch::channel(!abandoned.is_empty());
    let (room, room_receiver) = watch::channel(Room::default());
    let watching = Watching {
        view: view_receiver.clone(),
        cloud: cloud_receiver.clone(),
        disk: disk.clone(),
        room: room_receiver,
        told: told.clone(),
        outward: outward.clone(),
        kept: root.join(trouble::KEPT),
    };
    let locks_changed = Arc::new(Notify::new());
    let locking = Locking {
        identity: identity.clone(),
        index: index.clone(),
        cloud: cloud_receiver.clone(),
        view: view_receiver.clone(),
        rules: rules_receiver.clone(),
        changed: locks_changed.clone(),
    };
    let mut keeper = Keeper {
        root,
        identity: identity.clone(),
        index: index.clone(),
        disk: disk.clone(),
        rules: rules_receiver,
        view: keeper_view,
        cloud: cloud_receiver.clone(),
        abandoned,
        is_in_the_dark,
        room,
        wake: wake.clone(),
        stuck: HashSet::new(),
        missed: HashMap::new(),
    };
    // A disk that is full takes no grants: room is made first.
    keeper.sweep(Scope::Room).await;
    let keeping = tokio::spawn(keeper.run());
    tokio::spawn(Box::pin(tell(telling)));
    let watching = tokio::spawn(watching.run());
    let mut network = tokio::spawn(async move {
        tokio::join!(
            Box::pin(connection.run()),
            Box::pin(forwarder.run()),
            Box::pin(witness),
            Box::pin(locking.run())
        );
    });
    let (cameras, cameras_receiver) = watch::channel(Arc::new(site.cameras.clone()));
    let every = leaks::every(config.sweep.every_hours);
    let (reading, leaks) = Leaks::open(folder.path(leaks::KEPT), cameras_receiver, every);
    tokio::spawn(Box::pin(read_cameras(reading, cancel.clone())));
    let (recording, discovery) = (config.recording, config.discovery);
    let supervisor = Supervisor {
        folder,
        identity,
        roster,
        site,
        index: index.clone(),
        disk,
        gaps,
        rules,
        is_in_the_dark: dark_receiver,
        recording,
        discovery,
        leaks,
        cameras,
        head,
        cloud: cloud_receiver,
        checkpoint: checkpoint_receiver,
        wake,
        bandwidth,
        view,
        told,
        outward,
        sightings,
        notices_changed,
        locks_changed,
    };
    let mut supervising = Box::pin(supervisor.run(news_receiver, cancel.clone()));
    let outcome = tokio::select! {
        outcome = &mut supervising => outcome,
        // Without it nothing would be forwarded, and nobody told: another start is
        // better, which a service manager sees to.
        ended = &mut network => {
            cancel.cancel();
            (&mut supervising).await?;
            Err(anyhow::anyhow!("forwarding has ended, which it never should: {ended:?}"))
        }
    };
    drop(supervising);
    for task in [keeping, watching] {
        task.abort();
        let _ = task.await;
    }
    // The streams are gone and with them all handles of the disk: its thread
    // flushes for the last time, and the index learns what is whole.
    network.abort();
    if let Err(error) = local.await {
        error!(%error, "the local way ended badly");
    }
    keeping_stored.await?;
    keeping_gaps.await?;
    if let Some(webhooks) = webhooks {
        webhooks.await;
    }
    index.close().await;
    info!("all recordings are closed");
    outcome
}

/// Ends with the last stream. Whatever fails in it, the site records.
async fn tell(telling: Telling) {
    if let Err(error) = tokio::spawn(Box::pin(telling.run())).await {
        error!(%error, "people are told of no events any more; start the gateway anew");
    }
}

/// Whatever fails in it, the site records.
async fn read_cameras(leaks: Leaks, cancel: CancellationToken) {
    let reading = async move { cancel.run_until_cancelled(Box::pin(leaks.run())).await };
    if let Err(error) = tokio::spawn(reading).await {
        error!(%error, "cameras are read for secrets no more; start the gateway anew");
    }
}

/// Whom streams tell of events, and the task that sends them. Whatever fails in
/// it, the site records.
async fn outward(
    root: &Path,
    receivers: Vec<Receiver>,
    gateway: GatewayId,
    view: watch::Receiver<Arc<View>>,
    cancel: CancellationToken,
) -> (Outward, Option<impl Future<Output = ()> + use<>>) {
    let (concern_sender, concern) = watch::channel(None);
    let mut outward = Outward { gateway, view, webhooks: None, mqtt: None, concern };
    if receivers.is_empty() {
        return (outward, None);
    }
    let (webhooks, inlet) = match Webhooks::open(root, receivers, concern_sender.clone()).await {
        Ok(opened) => opened,
        Err(error) => {
            error!(error = format!("{error:#}"), "webhooks are told nothing until the gateway starts anew");
            concern_sender
                .send_replace(Some("webhooks are told nothing: their file cannot be opened".into()));
            return (outward, None);
        }
    };
    outward.webhooks = Some(inlet);
    let task = tokio::spawn(Box::pin(webhooks.run(cancel)));
    let ended = async move {
        if let Err(error) = task.await {
            error!(%error, "webhooks ended badly");
        }
    };
    (outward, Some(ended))
}

/// Ends with the last stream. Whatever fails in it, the site records.
async fn tell_broker(mqtt: Mqtt) {
    if let Err(error) = tokio::spawn(Box::pin(mqtt.run())).await {
        error!(%error, "the MQTT broker is told nothing any more; start the gateway anew");
    }
}

/// The local way, and its journal's way to the cloud. Whatever fails in it, the
/// site records.
async fn local(
    way: anyhow::Result<LocalWay>,
    identity: Identity,
    org: OrgId,
    cloud: watch::Receiver<Option<Cloud>>,
    cancel: CancellationToken,
) {
    let way = match way {
        Ok(way) => way,
        Err(error) => return error!(error = format!("{error:#}"), "there is no local way"),
    };
    let telling = local::report(way.journal(), identity, org, cloud);
    tokio::join!(Box::pin(way.run(cancel.clone())), cancel.run_until_cancelled(Box::pin(telling)));
}

/// Rows follow the flush, never the other way round.
async fn keep_stored(
    index: Index,
    mut stored: mpsc::Receiver<Stored>,
    wake: Arc<Wake>,
    cancel: CancellationToken,
) {
    while let Some(stored) = stored.recv().await {
        let closed = &stored.closed;
        let finished = &closed.finished;
        let report =
            recovery::report(&closed.header, closed.id, &finished.footer, finished.bytes, finished.sha256);
        // What never gets a row is brought in by the next start.
        insist("a recording", &cancel, || index.add_recording(&stored.path, &report)).await;
        wake.all();
    }
}
