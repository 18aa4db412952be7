//! Sends the history to a collector of security events: syslog (RFC 5424) over
//! TLS (RFC 5425), each published entry as it stands in the log. Nobody
//! confirms syslog, so an entry counts as sent when the connection has outlived
//! it by a moment; what may have been lost with a connection is sent again, and
//! `unmapped.seq` tells.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use model::{OrgId, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::app::App;
use crate::clock;
use crate::config::SyslogSection;

const EVERY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(10);
const SEND_MAX: Duration = Duration::from_secs(20);
/// For so long a connection must go on after a batch.
const OUTLIVED: Duration = Duration::from_secs(1);
/// Entries in one batch.
const BATCH: u64 = 256;
/// Facility "log audit" (13) with severity informational and warning.
const ALLOWED: u32 = 13 * 8 + 6;
const REFUSED: u32 = 13 * 8 + 4;

/// Where the history goes.
struct Collector {
    server: String,
    name: ServerName<'static>,
    /// Our own, as messages carry it.
    host: String,
    tls: TlsConnector,
}

/// Runs until the server stops; does nothing without a collector.
pub(crate) async fn run(app: Arc<App>) {
    let Some(section) = &app.config.syslog else { return };
    let collector = match Collector::new(section, app.public_url.host_str().unwrap_or("-")) {
        Ok(collector) => collector,
        Err(error) => return tracing::error!("no history is sent by syslog: {error:#}"),
    };
    let mut delay = EVERY;
    loop {
        match app.shutdown.run_until_cancelled(Box::pin(connected(&app, &collector, &mut delay))).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!("{} does not take the history: {error:#}", collector.server);
            }
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
        delay = (delay * 2).min(RETRY_MAX);
    }
}

/// Looks whether a collector's settings can be used, before a port opens.
pub(crate) fn check(section: &SyslogSection) -> anyhow::Result<()> {
    Collector::new(section, "-").map(drop)
}

async fn connected(app: &App, collector: &Collector, delay: &mut Duration) -> anyhow::Result<()> {
    let mut stream: Option<TlsStream<TcpStream>> = None;
    loop {
        let mut sent = false;
        for org in app.database.organisations().await? {
            let next = app.database.next_export(org).await?;
            if app.database.log(org).await?.is_none_or(|row| row.size <= next) {
                continue;
            }
            // One process sends: the one that writes the log.
            let Some(row) = app.log.lease(&app.database, org).await? else { continue };
            let leaves = app.database.leaves(org, next, BATCH.min(row.size.saturating_sub(next))).await?;
            let Some((last, _)) = leaves.last() else { continue };
            let open = match &mut stream {
                Some(open) => open,
                None => stream.insert(collector.connect().await?),
            };
            let batch: Vec<u8> = leaves.iter().flat_map(|(_, leaf)| collector.frame(org, leaf)).collect();
            timeout(SEND_MAX, async {
                open.write_all(&batch).await?;
                open.flush().await
            })
            .await
            .context("it takes nothing")??;
            outlived(open).await?;
            app.database.set_next_export(org, last + 1).await?;
            *delay = EVERY;
            sent = true;
        }
        if !sent {
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// A collector says nothing: whatever comes is its end.
async fn outlived(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
    match timeout(OUTLIVED, stream.read_u8()).await {
        Err(_) => Ok(()),
        Ok(Ok(_)) => anyhow::bail!("it answers, which collectors do not"),
        Ok(Err(error)) => Err(error).context("it ended the connection"),
    }
}

impl Collector {
    fn new(section: &SyslogSection, host: &str) -> anyhow::Result<Self> {
        let SyslogSection { server, ca_file, certificate, key } = section;
        let (name, port) = server.rsplit_once(':').unwrap_or_default();
        let name = name.trim_matches(['[', ']']);
        ensure!(
            !name.is_empty() && port.parse::<u16>().is_ok(),
            "syslog.server = \"{server}\" must be HOST:PORT, such as siem.example.org:6514"
        );
        let name = ServerName::try_from(name.to_owned()).context("syslog.server names no host")?;
        let mut roots = RootCertStore::empty();
        let read = || format!("syslog.ca_file {} could not be read", ca_file.display());
        for certificate in CertificateDer::pem_file_iter(ca_file).with_context(read)? {
            roots.add(certificate.with_context(read)?).with_context(read)?;
        }
        ensure!(!roots.is_empty(), "syslog.ca_file {} holds no certificate", ca_file.display());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match (certificate, key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let failed = || "syslog.certificate and syslog.key could not be used";
                let chain = CertificateDer::pem_file_iter(certificate).with_context(failed)?;
                let chain = chain.collect::<Result<Vec<_>, _>>().with_context(failed)?;
                let key = PrivateKeyDer::from_pem_file(key).with_context(failed)?;
                builder.with_client_auth_cert(chain, key).with_context(failed)?
            }
            _ => anyhow::bail!("syslog.certificate and syslog.key go together: set both or none"),
        };
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Collector { server: server.clone(), name, host: host.to_owned(), tls })
    }

    async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let connecting = async {
            let tcp = TcpStream::connect(&self.server).await?;
            self.tls.connect(self.name.clone(), tcp).await
        };
        timeout(CONNECT_MAX, connecting).await.context("it does not answer")?.context("TLS with it failed")
    }

    /// One message with its length before it (RFC 5425 section 4.3).
    fn frame(&self, org: OrgId, leaf: &str) -> Vec<u8> {
        let json: serde_json::Value = serde_json::from_str(leaf).unwrap_or_default();
        let at = Timestamp(json["time"].as_u64().unwrap_or_default());
        let priority = if json["status_id"] == 2 { REFUSED } else { ALLOWED };
        let message = format!("<{priority}>1 {} {} lenskeep {org} history - {leaf}", rfc3339(at), self.host);
        [message.len().to_string().as_bytes(), b" ", message.as_bytes()].concat()
    }
}

/// "-" for a time that there is not (RFC 5424 section 6.2.3).
fn rfc3339(at: Timestamp) -> String {
    let known = Some(at).filter(|at| at.0 > 0);
    known.and_then(clock::rfc3339).unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_a_head_of_rfc_5424() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&ca, certificate.pem()).unwrap();
        let section = |server: &str| SyslogSection {
            server: server.to_owned(),
            ca_file: ca.clone(),
            certificate: None,
            key: None,
        };
        let collector = Collector::new(&section("siem.example.org:6514"), "cameras.example.org").unwrap();
        let org = OrgId::from_random([1; 16]);
        let leaf = r#"{"status_id":2,"time":1763836800123}"#;
        let frame = String::from_utf8(collector.frame(org, leaf)).unwrap();
        let (length, message) = frame.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), message.len());
        let head = "<108>1 2025-11-22T18:40:00.123Z cameras.example.org lenskeep";
        assert_eq!(message, format!("{head} {org} history - {leaf}"));
        // An entry from before there was a log is a hash.
        let old = String::from_utf8(collector.frame(org, "ab")).unwrap();
        assert!(old.contains("<110>1 - cameras.example.org"), "{old}");

        for server in ["siem.example.org", "siem.example.org:x", ":6514", ""] {
            let error = check(&section(server)).unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
        let none = SyslogSection { ca_file: folder.path().join("none.pem"), ..section("a:1") };
        assert!(check(&none).unwrap_err().to_string().contains("none.pem"));
        let half = SyslogSection { key: Some(ca.clone()), ..section("a:1") };
        assert!(check(&half).unwrap_err().to_string().contains("both or none"));
    }
}
