//! The self-signed certificate with which a camera speaks TLS.

use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use model::Hash;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Certificate and key. A camera that restarts keeps it, or whoever pinned the
/// certificate refuses it.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint()).finish()
    }
}

impl Identity {
    pub fn generate() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["camera.local".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "camera.local");
        let certificate = params.self_signed(&key)?;
        Self::from_der(certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()))
    }

    pub fn from_der(
        certificate: CertificateDer<'static>,
        key: PrivatePkcs8KeyDer<'static>,
    ) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key))
            .context("certificate and key of the simulated camera do not match")?;
        Ok(Identity { certificate, config: Arc::new(config) })
    }

    /// SHA-256 of the certificate (DER): what clients pin.
    pub fn fingerprint(&self) -> Hash {
        let hash = digest(&SHA256, &self.certificate);
        Hash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
