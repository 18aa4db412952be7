//! Events for an MQTT broker, and cameras that Home Assistant discovers. What a
//! broker is told is news: it waits for it in memory, for an hour at most.
//!
//! Subscribes to nothing, so that a broker can have the gateway do nothing; but
//! where the configuration names Frigate, to what that says.

mod frigate;
mod session;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use gateway_core::home_assistant::Topics;
use gateway_core::webhooks::EventMessage;
use model::{GatewayId, Secret};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use self::frigate::Frigate;
pub(crate) use self::frigate::{Ear, Sightings};
use self::state::State;
use crate::config::{FrigateSection, MqttSection};
use crate::local::View;
use crate::rtsp::Backoff;
use crate::{random, secret_file};

/// Events that wait to be looked at.
const QUEUE: usize = 4_096;

/// Where events go in.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    messages: mpsc::Sender<EventMessage>,
    left_out: Arc<AtomicU64>,
}

impl Inlet {
    /// Never waits. What finds no room is counted.
    pub(crate) fn push(&self, message: EventMessage) {
        if self.messages.try_send(message).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A broker, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    host: String,
    port: u16,
    /// `None`: in the clear.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    username: Option<String>,
    password: Option<Secret>,
    prefixes: (String, String),
    frigate: Option<FrigateSection>,
}

pub(crate) struct Mqtt {
    broker: Broker,
    topics: Topics,
    gateway: GatewayId,
    view: watch::Receiver<Arc<View>>,
    messages: mpsc::Receiver<EventMessage>,
    left_out: Arc<AtomicU64>,
    frigate: Option<Frigate>,
}

/// What others have of it: where events go in, and where those of Frigate come out.
pub(crate) type Ends = (Inlet, Option<Sightings>);

impl Broker {
    /// Reads password and certificates. Whatever is wrong with them is an error of
    /// the configuration.
    pub(crate) fn new(section: &MqttSection) -> anyhow::Result<Self> {
        let url = &section.url.0;
        let host = url.host().context("mqtt.url names no host")?;
        let is_tls = url.scheme() == "mqtts";
        let host = match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        let name = ServerName::try_from(host.clone());
        let name = name.context("mqtt.url names a host that no certificate can name")?;
        let tls = if is_tls { Some((Arc::new(trust(section)?), name)) } else { None };
        let password = match &section.password_file {
            Some(path) => Some(Secret::new(secret_file::read("mqtt.password_file", path)?.as_str())),
            None => None,
        };
        Ok(Broker {
            host,
            port: url.port().unwrap_or(if is_tls { 8_883 } else { 1_883 }),
            tls,
            username: section.username.clone(),
            password,
            prefixes: (section.topic_prefix.clone(), section.discovery_prefix.clone()),
            frigate: section.frigate.clone(),
        })
    }
}

/// The CA that is named, and no other; without one, the system's.
fn trust(section: &MqttSection) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = &section.ca_file else {
        return Ok(builder.with_platform_verifier()?.with_no_client_auth());
    };
    let failed = || format!("mqtt.ca_file = {} could not be read", path.display());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(failed)? {
        roots.add(certificate.with_context(failed)?).with_context(failed)?;
    }
    anyhow::ensure!(!roots.is_empty(), "mqtt.ca_file = {} holds no certificate", path.display());
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Mqtt {
    pub(crate) fn new(broker: Broker, gateway: GatewayId, view: watch::Receiver<Arc<View>>) -> (Self, Ends) {
        let (sender, messages) = mpsc::channel(QUEUE);
        let left_out = Arc::new(AtomicU64::new(0));
        let inlet = Inlet { messages: sender, left_out: left_out.clone() };
        let (prefix, discovery) = &broker.prefixes;
        let topics = Topics::new(prefix, discovery, gateway);
        let (frigate, sightings) = broker.frigate.as_ref().map(Frigate::new).unzip();
        (Mqtt { broker, topics, gateway, view, messages, left_out, frigate }, (inlet, sightings))
    }

    /// Until all who tell it of events are gone. The broker then says by itself that
    /// the gateway is offline.
    pub(crate) async fn run(mut self) {
        let mut state = State::new(self.topics.clone());
        let mut backoff = Backoff::new();
        let mut told: Option<String> = None;
        loop {
            let began = Instant::now();
            let ended = session::run(&mut self, &mut state, &mut told).await;
            let words = match ended {
                Ok(()) => return,
                Err(error) => format!("{error:#}"),
            };
            if let Some(frigate) = &mut self.frigate {
                frigate.lost();
            }
            if told.as_ref() != Some(&words) {
                warn!(reason = words, "no connection to the MQTT broker; trying again");
                told = Some(words);
            }
            let [jitter] = random::bytes();
            let until = Instant::now() + backoff.after_failure(began.elapsed(), jitter);
            if self.wait(&mut state, until).await.is_none() {
                return;
            }
        }
    }

    /// What happens meanwhile is heard. `None`: nobody is left to tell anything.
    async fn wait(&mut self, state: &mut State, until: Instant) -> Option<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Some(()),
                message = self.messages.recv() => state.hear(message?),
                () = sleep(Duration::from_secs(1)) => self.tick(state),
            }
        }
    }

    fn tick(&mut self, state: &mut State) {
        if let Some(frigate) = &mut self.frigate {
            frigate.tick();
        }
        let view = self.view.borrow().clone();
        state.look(&view);
        let left_out = self.left_out.swap(0, Ordering::Relaxed) + state.take_dropped();
        if left_out > 0 {
            warn!(
                left_out,
                "the MQTT broker was not told of events: it takes them too slowly, or not at all"
            );
        }
    }
}

/// Said once after each outage.
fn connected(told: &mut Option<String>) {
    *told = None;
    info!("connected to the MQTT broker");
}
