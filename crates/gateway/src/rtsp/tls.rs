//! The TLS leg of RTSPS, and whom ONVIF trusts over HTTPS. Cameras have
//! self-signed certificates, so trust is a pin: the SHA-256 of the certificate
//! (DER) that an administrator confirmed. Names, dates and issuers say nothing
//! here and are not looked at. The signature over the handshake is verified:
//! whoever copied a camera's certificate still has not its key.

use std::sync::{Arc, OnceLock};

use model::Hash;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Limits, SourceError};
use crate::trust::{self, Trust};

/// The fingerprint of whatever answers there, for a person to confirm before it
/// is pinned. The other side has proved that it has the certificate's key,
/// nothing more. `host` may be an IPv6 address with or without brackets.
pub async fn probe_certificate(host: &str, port: u16, limits: &Limits) -> Result<Hash, SourceError> {
    let tcp = connect_tcp(host, port, limits).await?;
    let (_, found) = handshake(tcp, host, None, limits).await?;
    Ok(found)
}

pub(super) async fn connect_tcp(host: &str, port: u16, limits: &Limits) -> Result<TcpStream, SourceError> {
    let address = || format!("{host}:{port}");
    let bare = bare(host);
    match timeout(limits.connect, TcpStream::connect((bare, port))).await {
        Ok(Ok(tcp)) => {
            // Requests are small and each waits for its answer.
            let _ = tcp.set_nodelay(true);
            Ok(tcp)
        }
        // The kind in words; the number of the system's error helps nobody.
        Ok(Err(error)) => Err(SourceError::Connect { address: address(), reason: error.kind().to_string() }),
        Err(_) => Err(SourceError::ConnectTimeout { address: address(), seconds: limits.connect.as_secs() }),
    }
}

pub(super) async fn connect_pinned(
    tcp: TcpStream,
    host: &str,
    pin: Hash,
    limits: &Limits,
) -> Result<TlsStream<TcpStream>, SourceError> {
    Ok(handshake(tcp, host, Some(pin), limits).await?.0)
}

async fn handshake(
    tcp: TcpStream,
    host: &str,
    pin: Option<Hash>,
    limits: &Limits,
) -> Result<(TlsStream<TcpStream>, Hash), SourceError> {
    let tls = |reason: String| SourceError::Tls { reason };
    let (config, pinned_trust) = client_config(pin).map_err(|error| tls(error.to_string()))?;
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| tls(error.to_string()))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    match timeout(limits.connect, connecting).await {
        Ok(Ok(stream)) => {
            let found = pinned_trust.found();
            Ok((stream, found.ok_or_else(|| tls("the camera showed no certificate".into()))?))
        }
        Ok(Err(error)) => match (pinned_trust.found(), pin) {
            (Some(found), Some(pinned)) if found != pinned => {
                Err(SourceError::WrongCertificate { found, pinned })
            }
            _ => Err(tls(error.to_string())),
        },
        Err(_) => {
            Err(SourceError::AnswerTimeout { step: "the TLS handshake", seconds: limits.connect.as_secs() })
        }
    }
}

/// TLS that trusts the certificate with this SHA-256 and no other; for
/// `lenskeep app`, whose cloud may be as self-made as a camera.
pub fn pinned_config(pin: Hash) -> Result<ClientConfig, rustls::Error> {
    Ok(client_config(Some(pin))?.0)
}

/// Beside it, what will say which certificate was shown.
pub(crate) fn client_config(pin: Option<Hash>) -> Result<(ClientConfig, Arc<Pinned>), rustls::Error> {
    let pinned = Arc::new(Pinned { pin, found: OnceLock::new() });
    let mut config = trust::client(Arc::clone(&pinned))?.with_no_client_auth();
    // A resumed session shows no certificate, and the pin may have changed.
    config.resumption = Resumption::disabled();
    Ok((config, pinned))
}

/// As sockets and certificates want it: IPv6 without brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

#[derive(Debug)]
pub(crate) struct Pinned {
    /// `None` accepts any certificate, for a probe that sends nothing.
    pin: Option<Hash>,
    found: OnceLock<Hash>,
}

impl Pinned {
    /// The certificate of the first connection.
    pub(crate) fn found(&self) -> Option<Hash> {
        self.found.get().copied()
    }
}

impl Trust for Pinned {
    fn check(
        &self,
        shown: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _now: UnixTime,
        _provider: &Arc<CryptoProvider>,
    ) -> Result<(), rustls::Error> {
        // Of the first connection, for whoever asks afterwards; each one is
        // judged by what it shows itself.
        let found = seal::sha256(shown);
        self.found.get_or_init(|| found);
        match self.pin {
            Some(pin) if !seal::constant_time_eq(&pin.0, &found.0) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(()),
        }
    }
}
