//! The certificate of the local port: made at each start, with a key that is
//! in memory alone. Nobody vouches for it; what makes it the gateway's is the
//! identity key's signature over its hash (`seal::local`).

use std::sync::Arc;

use anyhow::Context as _;
use model::Hash;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub(super) struct Certificate {
    pub(super) hash: Hash,
    pub(super) tls: Arc<ServerConfig>,
}

impl Certificate {
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = rcgen::KeyPair::generate().context("a key for the local port could not be made")?;
        // No name in it: it would tell anybody who connects whose it is.
        let params = rcgen::CertificateParams::default();
        let certificate = params.self_signed(&key).context("a certificate for the local port")?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            // TLS 1.2 would show the certificate to whoever listens.
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        // A resumed connection shows no certificate, and ours must.
        tls.send_tls13_tickets = 0;
        tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Certificate { hash: seal::sha256(certificate.der()), tls: Arc::new(tls) })
    }
}
