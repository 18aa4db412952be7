//! Keeps the gateway connected: transport certificate, roster, link. All
//! waiting for the network happens here, so that nothing else waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::wire::{Envelope, FromGateway, ROSTER_PAGE_MAX, ToGateway};
use model::{Hash, OrgId, Timestamp};
use seal::roster::after_head;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::asked::Asked;
use crate::cloud::Cloud;
use crate::data::{Identity, Membership};
use crate::forward::Wake;
use crate::link::{Link, LinkEvent};
use crate::{clock, random};

/// Asked for this often even if the cloud never says that there is something new.
const ROSTER_POLL: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// News from the cloud, in order.
#[derive(Debug)]
pub(crate) enum News {
    Roster(Vec<Envelope>),
    Up { text: mpsc::Sender<FromGateway>, frames: mpsc::Sender<Bytes> },
    Message(ToGateway),
    Down,
}

pub(crate) struct Connection {
    pub(crate) membership: Membership,
    pub(crate) identity: Identity,
    pub(crate) org: OrgId,
    /// The last statement that the supervisor has taken.
    pub(crate) head: watch::Receiver<(u64, Hash)>,
    pub(crate) news: mpsc::Sender<News>,
    pub(crate) cloud: watch::Sender<Option<Cloud>>,
    /// The forwarder may go on: the network is back.
    pub(crate) wake: Arc<Wake>,
    /// What the link itself answers: nothing else waits for the disk.
    pub(crate) asked: Asked,
}

/// The supervisor is gone.
struct Over;

impl Connection {
    pub(crate) async fn run(self) {
        let mut delay = RETRY_FIRST;
        loop {
            let began = Instant::now();
            match self.once().await {
                Ok(Over) => return,
                Err(error) => {
                    if began.elapsed() > RETRY_MAX {
                        delay = RETRY_FIRST;
                    }
                    warn!(
                        error = format!("{error:#}"),
                        "no connection to the cloud; trying again in {} s",
                        delay.as_secs()
                    );
                }
            }
            if self.news.send(News::Down).await.is_err() {
                return;
            }
            let [jitter] = random::bytes();
            sleep(delay / 2 + delay * u32::from(jitter) / 510).await;
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    /// One certificate's time.
    async fn once(&self) -> anyhow::Result<Over> {
        let Membership { url, ca, .. } = &self.membership;
        let anonymous = Cloud::new(url.clone(), *ca, None)?;
        let (certificate, expires_at) = anonymous.certificate(self.org, &self.identity).await?;
        let renew_in = Duration::from_millis(expires_at.ms_since(clock::now()) / 2);
        let renew_at = Instant::now() + renew_in.max(Duration::from_millis(Timestamp::MINUTE));
        let cloud = Cloud::new(url.clone(), *ca, Some(&certificate))?;
        self.cloud.send_replace(Some(cloud.clone()));
        self.wake.all();
        if self.fetch_roster(&cloud).await?.is_some() {
            return Ok(Over);
        }
        let mut link = Link::connect(&cloud, &self.asked).await?;
        info!("connected to the cloud");
        let up = News::Up { text: link.text.clone(), frames: link.frames.clone() };
        if self.news.send(up).await.is_err() {
            return Ok(Over);
        }
        loop {
            let message = tokio::select! {
                event = link.events.recv() => match event {
                    Some(LinkEvent::Message(message)) => message,
                    Some(LinkEvent::Down(reason)) => anyhow::bail!("the link is down: {reason}"),
                    None => anyhow::bail!("the link is down"),
                },
                () = sleep(ROSTER_POLL) => ToGateway::RosterChanged,
                () = tokio::time::sleep_until(renew_at) => anyhow::bail!("time for another certificate"),
            };
            match message {
                ToGateway::RosterChanged => {
                    if self.fetch_roster(&cloud).await?.is_some() {
                        return Ok(Over);
                    }
                }
                message => {
                    if self.news.send(News::Message(message)).await.is_err() {
                        return Ok(Over);
                    }
                }
            }
        }
    }

    async fn fetch_roster(&self, cloud: &Cloud) -> anyhow::Result<Option<Over>> {
        let mut head = self.head.clone();
        loop {
            let known = *head.borrow_and_update();
            // From our own head on, to see that it is still there.
            let shown = cloud.roster_after(known.0.checked_sub(1)).await?;
            let new = match after_head(known, &shown) {
                Ok(new) => new,
                Err(error) => {
                    let seq = known.0;
                    error!(
                        seq,
                        code = error.code(),
                        "the cloud's roster is refused: {error}; we stay with ours"
                    );
                    return Ok(None);
                }
            };
            if new.is_empty() {
                return Ok(None);
            }
            let whole = shown.len() < ROSTER_PAGE_MAX;
            if self.news.send(News::Roster(new.to_vec())).await.is_err() {
                return Ok(Some(Over));
            }
            // What was refused will be refused again; asking at once is of no use.
            let taken = tokio::time::timeout(ROSTER_POLL, head.changed()).await;
            if whole || !matches!(taken, Ok(Ok(()))) {
                return Ok(None);
            }
        }
    }
}
