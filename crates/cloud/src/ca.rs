//! The cloud CA: it vouches for the transport between gateways and cloud and
//! for nothing else. A certificate of it gives a connection, never a right to
//! be believed about footage. Key and certificate live in the data folder,
//! readable by the owner alone.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use model::{GatewayId, Hash, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::clock;

/// Life of a gateway's certificate.
pub(crate) const GATEWAY_CERTIFICATE_MS: u64 = 24 * Timestamp::HOUR;
/// Life of our own certificate on the gateway port; renewed after half of it.
const SERVER_CERTIFICATE_MS: u64 = 7 * Timestamp::DAY;
const CA_MS: u64 = 10 * 365 * Timestamp::DAY;
/// Certificates begin a little in the past, for clocks that are behind.
const BACKDATE_MS: u64 = 5 * Timestamp::MINUTE;

pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Ca {
    /// Reads the CA of this data folder, or makes it.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let (key_path, pem_path) = (data.join("cloud-ca.key.pem"), data.join("cloud-ca.pem"));
        if !key_path.exists() {
            let (key, pem) = make_ca()?;
            write_private(&pem_path, &pem)?;
            // The key last: with it the pair is complete.
            write_private(&key_path, &key)?;
        }
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))
        };
        let (key, pem) = (read(&key_path)?, read(&pem_path)?);
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).context("cloud-ca.pem holds no certificate")?;
        let key = KeyPair::from_pem(&key).context("cloud-ca.key.pem holds no private key")?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).context("cloud-ca.pem is not a CA certificate")?;
        Ok(Ca { issuer, pem, der })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// What enrolment codes carry and gateways pin.
    pub(crate) fn fingerprint(&self) -> Hash {
        seal::sha256(&self.der)
    }

    /// Certifies the key of a request; of everything else in it, nothing.
    pub(crate) fn certify_gateway(
        &self,
        gateway: GatewayId,
        csr: &str,
        now: Timestamp,
    ) -> anyhow::Result<(String, Timestamp)> {
        let mut request =
            CertificateSigningRequestParams::from_pem(csr).context("not a certificate request")?;
        let expires_at = now.plus_ms(GATEWAY_CERTIFICATE_MS);
        request.params = params(&gateway.to_string(), now, expires_at);
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = request.signed_by(&self.issuer).context("the certificate could not be made")?;
        Ok((certificate.pem(), expires_at))
    }

    fn server_certificate(&self, names: &[String], now: Timestamp) -> anyhow::Result<CertifiedKey> {
        let key = KeyPair::generate()?;
        let mut params = params("lenskeep cloud", now, now.plus_ms(SERVER_CERTIFICATE_MS));
        params.subject_alt_names = CertificateParams::new(names.to_vec())?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone(), self.der.clone()], signer))
    }
}

/// Our certificate on the gateway port, renewed while the process runs.
pub(crate) struct ServerCertificate {
    ca: Arc<Ca>,
    names: Vec<String>,
    current: Mutex<(Timestamp, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerCertificate {
    pub(crate) fn new(ca: Arc<Ca>, names: Vec<String>) -> anyhow::Result<Self> {
        let now = clock::now();
        let first = ca
            .server_certificate(&names, now)
            .context("listen.gateway_names holds something that is no name")?;
        Ok(ServerCertificate { ca, names, current: Mutex::new((now, Arc::new(first))) })
    }
}

impl rustls::server::ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = clock::now();
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.ms_since(current.0) > SERVER_CERTIFICATE_MS / 2 {
            match self.ca.server_certificate(&self.names, now) {
                Ok(renewed) => *current = (now, Arc::new(renewed)),
                Err(error) => {
                    tracing::error!("the gateway port's certificate could not be renewed: {error:#}")
                }
            }
        }
        Some(current.1.clone())
    }
}

fn params(common_name: &str, now: Timestamp, expires_at: Timestamp) -> CertificateParams {
    let date = |at: Timestamp| {
        let seconds = i64::try_from(at.0 / Timestamp::SECOND).unwrap_or(i64::MAX);
        time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now.minus_ms(BACKDATE_MS));
    params.not_after = date(expires_at);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn make_ca() -> anyhow::Result<(String, String)> {
    let now = clock::now();
    let key = KeyPair::generate()?;
    let mut params = params("lenskeep cloud CA", now, now.plus_ms(CA_MS));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    let certificate = params.self_signed(&key)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("{} could not be written", path.display()))
}
