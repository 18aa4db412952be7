//! The other end of the local way, for programs that are a device: opens TLS
//! to an address, has the gateway prove itself by the key that the caller's
//! roster names, proves the device, and gets a session.
//!
//! Refuses a gateway that signs for another certificate than this connection
//! shows, and from then on every connection that shows another one.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{DeviceId, GatewayId, Hash, Secret};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig};
use seal::keys::{SigningKey, VerifyingKey};
use seal::local::{LocalGateway, LocalLogin};
use seal::roster::{Roster, RosterError};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::random;
use crate::trust::{self, Trust};

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Answers to a proof are small.
const ANSWER_MAX: usize = 64 << 10;

/// A gateway that has proved itself, and let this device in.
#[derive(Debug)]
pub struct Entered {
    pub gateway: GatewayId,
    /// `https://address`, for calls as the cloud's viewers make them.
    pub base: Url,
    /// Speaks to this certificate and no other.
    pub http: reqwest::Client,
    /// For `Authorization: Bearer`.
    pub token: Secret,
    /// How long it is good for.
    pub life: Duration,
    /// The newest statement of the roster that the gateway says it knows.
    pub roster_head: Hash,
}

/// A gateway that has answered, and that nobody has believed yet.
#[derive(Debug)]
pub struct Knocked {
    base: Url,
    http: reqwest::Client,
    /// SHA-256 of the certificate that it shows.
    pub certificate: Hash,
    /// Its half of the proof, about this certificate and the challenge.
    pub envelope: Envelope,
}

/// What a gateway gives to whoever has proved to be a device of the roster.
#[derive(Debug)]
pub struct Inside {
    pub base: Url,
    pub http: reqwest::Client,
    pub token: Secret,
    pub life: Duration,
}

/// What a gateway answered in place of what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{message} (HTTP {status})")]
pub struct Refused {
    pub status: u16,
    message: String,
}

#[derive(Serialize)]
struct Hello {
    challenge: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    token: Hash,
    seconds: u64,
}

/// Trusts what the first connection shows, and afterwards that alone. Whose it
/// is, the signed answer says.
#[derive(Debug, Default)]
struct FirstShown(OnceLock<Hash>);

impl Trust for FirstShown {
    fn check(
        &self,
        shown: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _now: UnixTime,
        _provider: &Arc<CryptoProvider>,
    ) -> Result<(), rustls::Error> {
        let shown = seal::sha256(shown);
        if seal::constant_time_eq(&self.0.get_or_init(|| shown).0, &shown.0) {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

fn client() -> anyhow::Result<(reqwest::Client, Arc<FirstShown>)> {
    let trust = Arc::new(FirstShown::default());
    let builder = trust::client_of(trust.clone(), &[&rustls::version::TLS13])?;
    let mut tls: ClientConfig = builder.with_no_client_auth();
    // A resumed connection shows no certificate.
    tls.resumption = Resumption::disabled();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("the HTTP client could not be made")?;
    Ok((http, trust))
}

/// Goes the whole way in. With `expected`, no other gateway will do.
pub async fn enter(
    address: SocketAddr,
    expected: Option<GatewayId>,
    roster: &Roster,
    device: DeviceId,
    key: &SigningKey,
) -> anyhow::Result<Entered> {
    let challenge = Hash(random::bytes());
    let knocked = knock(address, challenge).await?;
    let certificate = knocked.certificate;
    let claim = proved(&knocked.envelope, roster, challenge, certificate)?;
    ensure!(
        expected.is_none_or(|expected| expected == claim.gateway),
        "at {address} answers {}, not {}",
        claim.gateway,
        expected.map_or_else(String::new, |expected| expected.to_string())
    );
    let login = LocalLogin {
        org: roster.org(),
        gateway: claim.gateway,
        device,
        certificate,
        gateway_challenge: claim.gateway_challenge,
    };
    let Inside { base, http, token, life } = knocked.log_in(login.sign(key)).await?;
    Ok(Entered { gateway: claim.gateway, base, http, token, life, roster_head: claim.roster_head })
}

/// The first half of the way: what the gateway says of itself. The caller holds
/// it against the roster.
pub async fn knock(address: SocketAddr, challenge: Hash) -> anyhow::Result<Knocked> {
    let (http, shown) = client()?;
    let base = Url::parse(&format!("https://{address}"))?;
    let hello = post(&http, &base, "/local/v1/hello", &Hello { challenge }).await?;
    let Signed { envelope } = serde_json::from_slice(&hello).context("the answer is not a gateway's")?;
    let certificate = *shown.0.get().context("no certificate was shown")?;
    Ok(Knocked { base, http, certificate, envelope })
}

impl Knocked {
    /// The second half: the device's proof.
    pub async fn log_in(self, envelope: Envelope) -> anyhow::Result<Inside> {
        let Knocked { base, http, .. } = self;
        let answer = post(&http, &base, "/local/v1/login", &Signed { envelope }).await?;
        let Session { token, seconds } =
            serde_json::from_slice(&answer).context("the gateway opened no session")?;
        let (token, life) = (Secret::new(token.to_string()), Duration::from_secs(seconds));
        Ok(Inside { base, http, token, life })
    }
}

/// The gateway's half of the proof, held against the roster and this very
/// connection.
fn proved(
    envelope: &Envelope,
    roster: &Roster,
    challenge: Hash,
    certificate: Hash,
) -> anyhow::Result<LocalGateway> {
    let claim = LocalGateway::claimed(envelope)?;
    ensure!(claim.org == roster.org(), "what answers there is of another organisation");
    let known = roster.gateway(claim.gateway).context("what answers there is no gateway of the roster")?;
    claim.verify(envelope, VerifyingKey::from_bytes(&known.sign.0)?)?;
    ensure!(claim.device_challenge == challenge, "the gateway's answer is an old one: somebody repeats it");
    ensure!(
        seal::constant_time_eq(&claim.certificate.0, &certificate.0),
        "the gateway signs for another connection: somebody is in between"
    );
    // What is newer than ours, the caller gets to see; what is as old must be ours.
    if claim.roster_seq <= roster.head().0 && !roster.contains(claim.roster_seq, claim.roster_head) {
        return Err(RosterError::Split { head: claim.roster_head })
            .context("the gateway goes by another roster than this device: do not trust it, and ask your administrators");
    }
    Ok(claim)
}

async fn post(
    http: &reqwest::Client,
    base: &Url,
    path: &str,
    body: &impl Serialize,
) -> anyhow::Result<Vec<u8>> {
    let request = http.post(base.join(path)?).timeout(3 * CONNECT_MAX).json(body);
    let mut response = request.send().await.map_err(crate::cloud::words).map_err(anyhow::Error::msg)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await? {
        ensure!(bytes.len() + part.len() <= ANSWER_MAX, "the answer is longer than any of a gateway");
        bytes.extend_from_slice(&part);
    }
    if !status.is_success() {
        return Err(Refused { status: status.as_u16(), message: crate::cloud::problem(&bytes) }.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_speaks_to_one_certificate() {
        let trust = FirstShown::default();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let name = ServerName::try_from("localhost").unwrap();
        let check = |bytes: &'static [u8]| {
            let shown = CertificateDer::from(bytes);
            trust.check(&shown, &[], &name, UnixTime::since_unix_epoch(Duration::ZERO), &provider).is_ok()
        };
        assert_eq!([check(b"a"), check(b"a"), check(b"b"), check(b"a")], [true, true, false, true]);
    }
}
