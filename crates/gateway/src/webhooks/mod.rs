//! Signed webhooks: systems that the gateway's owner names are told of events, in
//! order and at least once, for as long as 72 hours after they happened.
//!
//! Refuses to follow redirects, to read what receivers say beyond their status,
//! and to let one that is slow or away hold up anything else.

mod command;
mod receiver;
mod store;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use gateway_core::webhooks::{EventMessage, concern};
use model::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::WebhookSection;
use crate::index::insist;

pub use command::{WebhookList, WebhookState, list, replay};
pub(crate) use receiver::Receiver;
pub(crate) use store::Store;

/// Events that wait to be written down. They come from memory, so that no stream
/// waits for this disk.
const QUEUE: usize = 4_096;
/// In one flush.
const BATCH: usize = 64;
/// How often what is too old is looked for, and how webhooks fare.
const LOOK: Duration = Duration::from_secs(30);

/// Where events go in.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    messages: mpsc::Sender<EventMessage>,
    unwritten: Arc<watch::Sender<Option<(u64, Timestamp)>>>,
}

impl Inlet {
    /// Never waits. What finds no room is counted, and told.
    pub(crate) fn push(&self, message: EventMessage) {
        if self.messages.try_send(message).is_err() {
            let now = clock::now();
            self.unwritten.send_modify(|unwritten| {
                let count = unwritten.map_or(0, |(count, _)| count);
                if count == 0 {
                    error!("events are told to no webhook: their file takes nothing");
                }
                *unwritten = Some((count.saturating_add(1), now));
            });
        }
    }
}

/// All webhooks of this gateway.
pub(crate) struct Webhooks {
    store: Store,
    receivers: Vec<Receiver>,
    messages: mpsc::Receiver<EventMessage>,
    unwritten: watch::Receiver<Option<(u64, Timestamp)>>,
    concern: watch::Sender<Option<String>>,
}

impl Webhooks {
    /// Reads secrets and certificates. Whatever is wrong with them is an error of the
    /// configuration.
    pub(crate) fn receivers(sections: &[WebhookSection]) -> anyhow::Result<Vec<Receiver>> {
        sections.iter().map(|section| Receiver::new(section).with_context(|| section.describe())).collect()
    }

    /// What happens is written down from now on; nothing is sent before [`Self::run`].
    pub(crate) async fn open(
        data: &Path,
        receivers: Vec<Receiver>,
        concern: watch::Sender<Option<String>>,
    ) -> anyhow::Result<(Self, Inlet)> {
        let now = clock::now();
        let store = Store::open(data, now).await?;
        let names: Vec<&str> = receivers.iter().map(Receiver::name).collect();
        store.set_webhooks(&names).await?;
        let ended: Vec<EventMessage> =
            store.unended().await?.into_iter().map(|one| EventMessage { at: now, ..one }).collect();
        store.add(&ended).await?;
        let (sender, messages) = mpsc::channel(QUEUE);
        let (count, unwritten) = watch::channel(None);
        let inlet = Inlet { messages: sender, unwritten: Arc::new(count) };
        Ok((Webhooks { store, receivers, messages, unwritten, concern }, inlet))
    }

    /// Until all who tell it of events are gone, and what they told is on the disk.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let Webhooks { store, receivers, messages, unwritten, concern } = self;
        let filters: Vec<_> = receivers
            .iter()
            .map(|receiver| (receiver.name().to_owned(), receiver.filter().clone()))
            .collect();
        let mut tasks = JoinSet::new();
        let mut news = Vec::new();
        for receiver in receivers {
            let notify = Arc::new(Notify::new());
            news.push(notify.clone());
            info!(webhook = receiver.name(), "events are told");
            let name = receiver.name().to_owned();
            let running = AssertUnwindSafe(receiver.run(store.clone(), notify)).catch_unwind();
            tasks.spawn(async move {
                if Box::pin(running).await.is_err() {
                    error!(
                        webhook = name,
                        "the webhook ended, which it never should; start the gateway anew"
                    );
                }
            });
        }
        let watching = look_after(store.clone(), filters, unwritten, concern);
        let writing = write(store.clone(), messages, news, cancel);
        tokio::select! {
            () = writing => {}
            () = Box::pin(watching) => {}
        }
        tasks.shutdown().await;
        store.close().await;
    }
}

async fn write(
    store: Store,
    mut messages: mpsc::Receiver<EventMessage>,
    news: Vec<Arc<Notify>>,
    cancel: CancellationToken,
) {
    let mut batch = Vec::new();
    while messages.recv_many(&mut batch, BATCH).await > 0 {
        insist("an event for webhooks", &cancel, || store.add(&batch)).await;
        batch.clear();
        for one in &news {
            one.notify_one();
        }
    }
}

async fn look_after(
    store: Store,
    filters: Vec<(String, gateway_core::webhooks::Filter)>,
    unwritten: watch::Receiver<Option<(u64, Timestamp)>>,
    concern_sender: watch::Sender<Option<String>>,
) {
    let filters: Vec<_> = filters.iter().map(|(name, filter)| (name.as_str(), filter)).collect();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let now = clock::now();
        if let Err(error) = store.prune(&filters, now).await {
            warn!(error = format!("{error:#}"), "old events of webhooks could not be deleted");
        }
        let Ok(standings) = store.standings().await else { continue };
        let health: Vec<_> = standings.into_iter().map(|standing| standing.health).collect();
        let said = concern(&health, *unwritten.borrow(), now);
        concern_sender.send_if_modified(|told| {
            let changed = *told != said;
            *told = said;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use model::{CameraId, EventId, EventKind, EventPhase, EventSource, GatewayId};

    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_never_waited_for() {
        let (sender, _messages) = mpsc::channel(QUEUE);
        let (count, unwritten) = watch::channel(None);
        let inlet = Inlet { messages: sender, unwritten: Arc::new(count) };
        let message = EventMessage {
            event: EventId::from_random([1; 16]),
            phase: EventPhase::Happened,
            at: Timestamp(1),
            began_at: None,
            gateway: GatewayId::from_random([1; 16]),
            camera: CameraId::from_random([2; 16]),
            camera_name: String::new(),
            kind: EventKind::Motion,
            rule: None,
            topic: String::new(),
            source: EventSource::Onvif,
        };
        for _ in 0..QUEUE {
            inlet.push(message.clone());
        }
        assert_eq!(*unwritten.borrow(), None);
        inlet.push(message.clone());
        inlet.push(message);
        let said = concern(&[], *unwritten.borrow(), clock::now()).unwrap();
        assert!(said.starts_with("2 events were told to no webhook"), "{said}");
    }
}
