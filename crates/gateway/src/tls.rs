//! TLS to the cloud. Trust is one CA certificate, known by its fingerprint
//! since enrolment; the cloud shows it in its chain. No authority of the
//! system's can vouch for another cloud.

use std::sync::Arc;

use anyhow::Context as _;
use model::Hash;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::trust::{self, Trust};

/// Our transport certificate of 24 hours, with its key.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

pub(crate) fn client_config(
    pin: Hash,
    certificate: Option<&ClientCertificate>,
) -> anyhow::Result<ClientConfig> {
    let builder = trust::client(Arc::new(PinnedCa(pin))).context("TLS versions")?;
    match certificate {
        None => Ok(builder.with_no_client_auth()),
        Some(certificate) => builder
            .with_client_auth_cert(certificate.chain.clone(), certificate.key.clone_key())
            .context("the cloud's certificate for us does not fit our key"),
    }
}

/// Verifies a chain as usual, from the pinned CA in it.
#[derive(Debug)]
struct PinnedCa(Hash);

impl Trust for PinnedCa {
    fn check(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), rustls::Error> {
        let is_pinned = |certificate: &&CertificateDer<'_>| {
            seal::constant_time_eq(&seal::sha256(certificate).0, &self.0.0)
        };
        let ca = chain.iter().find(is_pinned).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(shown, chain, name, &[], now).map(drop)
    }
}
