//! A TLS client's own idea of whom to trust, in place of the system's. Whoever
//! shows a certificate still proves, by the handshake's signature, to have its
//! key; that part is the same for everybody and stands here once.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};

/// Decides about a certificate chain.
pub(crate) trait Trust: std::fmt::Debug + Send + Sync + 'static {
    fn check(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), rustls::Error>;
}

/// A client that trusts as `trust` says.
pub(crate) fn client<T: Trust>(
    trust: Arc<T>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    client_of(trust, rustls::DEFAULT_VERSIONS)
}

/// The same, of these versions of TLS and no other.
pub(crate) fn client_of<T: Trust>(
    trust: Arc<T>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { trust, provider })))
}

#[derive(Debug)]
struct Verifier<T> {
    trust: Arc<T>,
    provider: Arc<CryptoProvider>,
}

impl<T: Trust> ServerCertVerifier for Verifier<T> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.trust.check(end_entity, intermediates, server_name, now, &self.provider)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
