//! From a configuration to a running server, and back.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use model::{Hash, Secret, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::app::{App, RecentReads};
use crate::attempts::Attempts;
use crate::broker::Broker;
use crate::ca::{Ca, ServerCertificate};
use crate::capsules::Capsules;
use crate::config::{Config, Listen};
use crate::database::{Database, Missing};
use crate::groups::Groups;
use crate::http::on_site;
use crate::http::passwords::Decoy;
use crate::http::routes::{Port as Which, router};
use crate::http::shares;
use crate::http::stills::STILL_MS_MAX;
use crate::http::types::DAY_MS;
use crate::hub::{Hub, LINGER};
use crate::journal::Journal;
use crate::log::{Log, Shelf};
use crate::mail::{CONFIRM_MS, Mail};
use crate::passkeys::Passkeys;
use crate::passwords::Hasher;
use crate::proofs::Proofs;
use crate::providers::Provider;
use crate::push::Push;
use crate::recorder::Recorder;
use crate::refusals::{self, Refusals};
use crate::rosters::Rosters;
use crate::rules::RulesCache;
use crate::serve::{Port, serve};
use crate::store::Store;
use crate::vault::Vault;
use crate::witness::Witness;
use crate::witnesses::{self, Witnesses};
use crate::{clock, log, mail, push, random, sessions, silence, syslog};

/// What is under way gets so long to end by itself.
const GRACE: Duration = Duration::from_secs(10);
const PURGE_EVERY: Duration = Duration::from_secs(15 * 60);

/// A cloud that answers. Dropping it does not stop it; [`Running::shutdown`] does.
#[derive(Debug)]
pub struct Running {
    /// Where the ports are, with the numbers that port 0 became.
    pub viewer_addr: SocketAddr,
    pub gateway_addr: SocketAddr,
    pub metrics_addr: SocketAddr,
    /// How people reach the web app: scheme, host and port.
    pub public_url: Url,
    /// For the set-up link, good for a day and one use. None if an
    /// organisation exists.
    pub set_up_token: Option<Secret>,
    /// SHA-256 of the CA certificate of the gateway port: what gateways pin.
    pub ca_sha256: Hash,
    app: Arc<App>,
    /// Held while we run: a second server on this folder would take the set-up
    /// token and half-written objects from under the first.
    _lock: std::fs::File,
}

/// Opens database and store, brings the schema up to date, and listens.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    config.validate()?;
    make_private_folder(&config.data)?;
    let lock = lock(&config.data)?;
    let viewers = listen("listen.viewers", config.listen.viewers).await?;
    let gateways = listen("listen.gateways", config.listen.gateways).await?;
    let metrics_port = listen("listen.metrics", config.listen.metrics).await?;
    let (viewer_addr, gateway_addr) = (viewers.local_addr()?, gateways.local_addr()?);
    let metrics_addr = metrics_port.local_addr()?;
    let public_url = config.public_url(viewer_addr.port());

    let database = Database::open(config.database_url().expose(), Missing::Create).await?;
    database.migrate().await?;
    let set_up_token = set_up_token(&database).await?;
    if let Some(section) = &config.syslog {
        syslog::check(section)?;
    }
    let ca = Arc::new(Ca::open(&config.data)?);
    let viewer_tls = viewer_tls(&config.listen)?;
    let gateway_tls = gateway_tls(&ca, gateway_names(&config, &public_url))?;
    let store = Store::open(&config)?;
    store.prepare().await?;
    let log = Log::open(&config.data, Shelf::open(&config)?)?;
    let metrics = Arc::default();
    let vault = Arc::new(Vault::open(&config.data)?);
    let providers = config.identity_providers.iter().map(Provider::open).collect::<anyhow::Result<_>>()?;
    let capsules = Capsules::at(config.shares_path());
    if config.shares.gibibytes_max > 0 {
        capsules.prepare().await?;
    }
    let push = Push::open(&config.data, &config.push, &public_url)?;
    let mail = config.mail.as_ref().map(|section| Mail::open(section, &public_url)).transpose()?;
    let witness = Witness::open(&config, &public_url)?;
    let witnesses = Witnesses::open(&config.history)?;
    let app = Arc::new(App {
        hosts: hosts(&public_url, viewer_addr),
        gateway_port: gateway_addr.port(),
        rosters: Rosters::default(),
        rules: RulesCache::new(Groups::new(&config, Arc::clone(&vault))),
        refusals: Refusals::default(),
        store,
        broker: Broker::open(&config)?,
        hub: Hub::new(Arc::clone(&metrics), LINGER),
        passkeys: Passkeys::new(&public_url, &config.app_origins)?,
        providers,
        push,
        mail,
        capsules,
        limiter: crate::rate::Limiter::default(),
        attempts: Attempts::default(),
        decoy: Decoy::new(&vault),
        vault,
        hasher: Hasher::default(),
        confirmations: App::confirmations(),
        recent: RecentReads::default(),
        site_reads: on_site::reads(),
        proofs: Proofs::default(),
        shutdown: CancellationToken::new(),
        tasks: TaskTracker::new(),
        public_url: public_url.clone(),
        ca,
        log,
        witness,
        witnesses,
        journal: Journal::at(&config.data),
        recorder: Recorder::new(database.clone()),
        database,
        metrics,
        config,
    });

    let ports = [
        ("viewers", viewers, Which::Viewers, viewer_tls),
        ("gateways", gateways, Which::Gateways, Some(gateway_tls)),
        ("metrics", metrics_port, Which::Metrics, None),
    ];
    for (name, listener, which, tls) in ports {
        let port = Port { name, listener, router: router(&app, which), tls, metrics: app.metrics.clone() };
        app.tasks.spawn(serve(port, app.tasks.clone(), app.shutdown.clone()));
    }
    app.tasks.spawn(purge(app.clone()));
    app.tasks.spawn(log::run(app.clone()));
    app.tasks.spawn(witnesses::run(app.clone()));
    app.tasks.spawn(refusals::run(app.clone()));
    app.tasks.spawn(syslog::run(app.clone()));
    app.tasks.spawn(push::run(app.clone()));
    app.tasks.spawn(mail::run(app.clone()));
    app.tasks.spawn(silence::run(app.clone()));
    tracing::info!(viewers = %viewer_addr, gateways = %gateway_addr, metrics = %metrics_addr, "cloud started");
    let ca_sha256 = app.ca.fingerprint();
    Ok(Running {
        viewer_addr,
        gateway_addr,
        metrics_addr,
        public_url,
        set_up_token,
        ca_sha256,
        app,
        _lock: lock,
    })
}

impl Running {
    /// Stops accepting, tells everybody who is connected, waits a little for
    /// what is under way, and closes the database.
    pub async fn shutdown(self) {
        self.app.shutdown.cancel();
        self.app.tasks.close();
        if tokio::time::timeout(GRACE, self.app.tasks.wait()).await.is_err() {
            tracing::warn!("some connections did not end within {} s and are cut", GRACE.as_secs());
        }
        self.app.database.close().await;
        tracing::info!("cloud stopped");
    }
}

/// Brings the database to this version's schema.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    make_private_folder(&config.data)?;
    let database = Database::open(config.database_url().expose(), Missing::Create).await?;
    database.migrate().await?;
    database.close().await;
    Ok(())
}

/// Whether a server with this configuration would start: reads everything
/// that it would read and asks database and store, but changes nothing there.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    config.validate()?;
    viewer_tls(&config.listen)?;
    if let Some(section) = &config.syslog {
        syslog::check(section)?;
    }
    for section in &config.identity_providers {
        Provider::open(section)?;
    }
    Witnesses::open(&config.history)?;
    let database = Database::open(config.database_url().expose(), Missing::Refuse)
        .await
        .context("on a new installation, run `lenskeep-cloud migrate` first")?;
    database.ping().await.context("the database does not answer")?;
    database.close().await;
    Broker::open(config)?;
    Store::open(config)?.ping().await.context("the store does not answer")?;
    match &config.mail {
        Some(section) => Mail::open(section, &config.public_url(config.listen.viewers.port()))?.check().await,
        None => Ok(()),
    }
}

/// What others put into `history.witnesses.key` to have this server sign their
/// histories.
pub fn witness_key(config: &Config) -> anyhow::Result<String> {
    config.validate()?;
    let public_url = config.public_url(config.listen.viewers.port());
    Ok(Witness::existing(config, &public_url)?.public().cosigner_key())
}

async fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{key} = \"{address}\" cannot be listened on; is another server running there?")
    })
}

fn lock(data: &Path) -> anyhow::Result<std::fs::File> {
    let path = data.join("lock");
    let file =
        std::fs::File::create(&path).with_context(|| format!("{} could not be written", path.display()))?;
    anyhow::ensure!(file.try_lock().is_ok(), "another server runs with the data folder {}", data.display());
    Ok(file)
}

fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the data folder {} could not be made", path.display()))
}

/// Made anew at each start until it is used; the one before is void.
async fn set_up_token(database: &Database) -> anyhow::Result<Option<Secret>> {
    if !database.organisations().await?.is_empty() {
        return Ok(None);
    }
    let token = random::token().to_string();
    database.set_setup_token(random::hashed(&token), clock::now().plus_ms(DAY_MS)).await?;
    Ok(Some(Secret::new(token)))
}

/// The public name, and on a loopback port this machine's own names, which
/// nobody can make point elsewhere.
fn hosts(public_url: &Url, viewers: SocketAddr) -> HashSet<String> {
    let host = public_url.host_str().unwrap_or_default();
    let public = match public_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut hosts = HashSet::from([public.to_ascii_lowercase()]);
    if viewers.ip().is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", viewers.port())));
    }
    hosts
}

fn gateway_names(config: &Config, public_url: &Url) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(public_url.host_str().map(str::to_owned));
    names.extend(config.listen.gateway_names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

fn tls_builder() -> anyhow::Result<rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

fn viewer_tls(listen: &Listen) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    let (Some(certificate), Some(key)) = (&listen.tls_certificate, &listen.tls_key) else { return Ok(None) };
    let chain =
        CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("listen.tls_certificate {} could not be read", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("listen.tls_key {} could not be read", key.display()))?;
    let config = tls_builder()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("listen.tls_certificate and listen.tls_key do not fit together")?;
    Ok(Some(Arc::new(config)))
}

/// Certificates of our CA are asked for and not demanded: a gateway that is
/// new, or whose certificate has ended, must be able to ask for one.
fn gateway_tls(ca: &Arc<Ca>, names: Vec<String>) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()?;
    let certificate = ServerCertificate::new(ca.clone(), names)?;
    let config = tls_builder()?.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(certificate));
    Ok(Arc::new(config))
}

async fn purge(app: Arc<App>) {
    let mut interval = tokio::time::interval(PURGE_EVERY);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            _ = interval.tick() => {}
        }
        if let Err(error) = sessions::purge(&app.database, clock::now().max(Timestamp(1))).await {
            tracing::warn!("sessions that have ended could not be removed: {error}");
        }
        if let Err(error) = app.database.purge_notices(clock::now()).await {
            tracing::warn!("orders of notices that have ended could not be removed: {error}");
        }
        if let Err(error) = app.database.purge_mail(clock::now().minus_ms(CONFIRM_MS)).await {
            tracing::warn!("addresses that nobody confirmed could not be removed: {error}");
        }
        if let Err(error) = app.database.purge_stills(clock::now().minus_ms(STILL_MS_MAX)).await {
            tracing::warn!("pictures of notices could not be removed: {error}");
        }
        if let Err(error) = app.database.purge_silences(clock::now().minus_ms(silence::KEPT_MS)).await {
            tracing::warn!("silences that are over could not be removed: {error}");
        }
        if let Err(error) = shares::purge(&app, clock::now()).await {
            tracing::warn!("shares that have ended could not be removed: {error:#}");
        }
    }
}
