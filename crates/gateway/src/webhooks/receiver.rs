//! One webhook: what it has not taken yet, one after the other, until it has.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gateway_core::webhooks::{EventMessage, Filter, SigningSecret, Verdict, retry_after_ms, verdict};
use model::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use url::Url;

use super::Store;
use super::store::Standing;
use crate::cloud::words;
use crate::config::WebhookSection;
use crate::{clock, forward, random, secret_file};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the whole of one try: a receiver that answers byte by byte has no longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Looked at this often even if nothing happens: a replay may have been ordered.
const POLL: Duration = Duration::from_secs(2);
/// What was taken is written down this often while there is more.
const WRITE_AFTER: Duration = Duration::from_secs(1);
/// Events in memory, of one webhook.
const PAGE: i64 = 64;

#[derive(Debug)]
pub(crate) struct Receiver {
    name: String,
    url: Url,
    secret: SigningSecret,
    filter: Filter,
    client: reqwest::Client,
}

/// Of one try.
enum Outcome {
    Taken,
    Gone,
    Failed { words: String, wanted_ms: Option<u64> },
}

impl Receiver {
    pub(crate) fn new(section: &WebhookSection) -> anyhow::Result<Self> {
        let text = secret_file::read("secret_file", &section.secret_file)?;
        let secret = SigningSecret::parse(&text).with_context(|| {
            let path = section.secret_file.display();
            format!(
                "secret_file = {path} holds no secret; `(printf whsec_; openssl rand -base64 32)` makes one"
            )
        })?;
        let url = section.url.0.clone();
        let mut builder = reqwest::Client::builder()
            .https_only(url.scheme() == "https")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .pool_max_idle_per_host(1)
            // What happens on site goes where the configuration says, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("lenskeep-gateway/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &section.ca_file {
            builder = builder.tls_certs_merge(forward::certificates("ca_file", path)?);
        }
        let client = builder.build().context("the HTTP client could not be made")?;
        Ok(Receiver { name: section.name.clone(), url, secret, filter: section.filter(), client })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Until dropped, or until its receiver says that it is gone.
    pub(crate) async fn run(self, store: Store, news: Arc<Notify>) {
        let mut failures = 0_u32;
        let mut told = None;
        loop {
            match self.round(&store).await {
                Ok(Round::Idle) => {
                    tokio::select! {
                        () = news.notified() => {}
                        () = sleep(POLL) => {}
                    }
                }
                Ok(Round::Took) => {
                    if told.take().is_some() {
                        info!(webhook = self.name, "the webhook takes events again");
                    }
                    failures = 0;
                }
                Ok(Round::Gone) => {
                    let words = "its receiver answered 410 (gone)";
                    warn!(webhook = self.name, "{words}: it is off until the gateway starts anew");
                    if let Err(error) = store.failed(&self.name, words, true, clock::now()).await {
                        warn!(
                            webhook = self.name,
                            error = format!("{error:#}"),
                            "its state could not be kept"
                        );
                    }
                    return;
                }
                Ok(Round::Failed { took, words, wanted_ms }) => {
                    failures = if took { 1 } else { failures.saturating_add(1) };
                    if told.as_ref() != Some(&words) {
                        warn!(
                            webhook = self.name,
                            reason = words,
                            "the webhook takes no events; trying again"
                        );
                    }
                    if let Err(error) = store.failed(&self.name, &words, false, clock::now()).await {
                        warn!(
                            webhook = self.name,
                            error = format!("{error:#}"),
                            "its state could not be kept"
                        );
                    }
                    told = Some(words);
                    let [jitter] = random::bytes();
                    sleep(Duration::from_millis(retry_after_ms(failures, jitter, wanted_ms))).await;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    warn!(
                        webhook = self.name,
                        error = format!("{error:#}"),
                        "the file of webhooks cannot be used"
                    );
                    let [jitter] = random::bytes();
                    sleep(Duration::from_millis(retry_after_ms(failures, jitter, None))).await;
                }
            }
        }
    }

    /// A page of what waits. An error is the disk's.
    async fn round(&self, store: &Store) -> anyhow::Result<Round> {
        let Standing { mut taken, replays, .. } = store.standing(&self.name).await?;
        let page = store.page(taken, PAGE).await?;
        if page.is_empty() {
            return Ok(Round::Idle);
        }
        let mut took = false;
        let mut written = Instant::now();
        let mut end = None;
        for (cursor, message) in page {
            let message = message.filter(|message| self.filter.wants(message.camera, message.kind));
            if let Some(message) = message {
                match self.send(cursor, &message).await {
                    Outcome::Taken => took = true,
                    Outcome::Gone => {
                        end = Some(Round::Gone);
                        break;
                    }
                    Outcome::Failed { words, wanted_ms } => {
                        end = Some(Round::Failed { took, words, wanted_ms });
                        break;
                    }
                }
            }
            taken = cursor;
            if took && written.elapsed() >= WRITE_AFTER {
                store.took(&self.name, replays, taken, clock::now()).await?;
                written = Instant::now();
            }
        }
        if took {
            store.took(&self.name, replays, taken, clock::now()).await?;
        } else {
            store.passed(&self.name, replays, taken).await?;
        }
        Ok(end.unwrap_or(Round::Took))
    }

    async fn send(&self, cursor: i64, message: &EventMessage) -> Outcome {
        let body = message.body(Some(cursor));
        let id = message.message_id();
        let seconds = clock::now().0 / Timestamp::SECOND;
        let signature = self.secret.signature(&id, seconds, body.as_bytes());
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await;
        match sent {
            // Its body is nobody's to read: what is not read ends with the connection.
            Ok(response) => match verdict(response.status().as_u16()) {
                Verdict::Taken => Outcome::Taken,
                Verdict::Gone => Outcome::Gone,
                Verdict::Again => Outcome::Failed {
                    words: match response.status() {
                        status if status.is_redirection() => {
                            format!("it answered {}; redirects are not followed", status.as_u16())
                        }
                        status => format!("it answered {}", status.as_u16()),
                    },
                    wanted_ms: forward::retry_after_ms(response.headers()),
                },
            },
            Err(error) => {
                let words = words(error).chars().filter(|c| !c.is_control()).take(200).collect();
                Outcome::Failed { words, wanted_ms: None }
            }
        }
    }
}

enum Round {
    /// Nothing waits.
    Idle,
    Took,
    Gone,
    /// `took`: some went before it.
    Failed {
        took: bool,
        words: String,
        wanted_ms: Option<u64>,
    },
}
