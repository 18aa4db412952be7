//! What forwarding needs of this machine and of the network:
//! [`gateway_core::uplink`] decides, this does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use gateway_core::hours::HourStep;
use gateway_core::uplink::{
    Failure, GrantStep, Lane, Next, Outcome, Pending, PendingGrant, PendingHour, PutAnswer, State,
    Surroundings, Uplink,
};
use md5::{Digest as _, Md5};
use model::wire::{
    Envelope, Gap, HourReport, HourReportAnswer, RecordingReport, RecordingReportAnswer, UploadGrant,
    UploadGrantAnswer, UploadGrantRequest, UploadObject,
};
use model::{Bandwidth, EpochId, Hash, OrgId};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{RequestBuilder, StatusCode};
use seal::sha256;
use tokio::sync::{Notify, watch};
use tracing::error;
use url::Url;

use crate::cloud::{Cloud, CloudError, words};
use crate::index::Index;
use crate::paced::Paced;

/// Looked at this often even when nothing happens.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(crate) org: OrgId,
    pub(crate) gateway: model::GatewayId,
    pub(crate) root: PathBuf,
    pub(crate) index: Index,
    /// Changes with our certificate.
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    /// Stores other than the cloud's own folder.
    pub(crate) stores: reqwest::Client,
    pub(crate) wake: Arc<Wake>,
    /// As administrators set it.
    pub(crate) bandwidth: watch::Receiver<Bandwidth>,
}

/// Tells the lanes of forwarding that there is something new.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    urgent: Notify,
    usual: Notify,
}

impl Wake {
    pub(crate) fn all(&self) {
        self.lane(Lane::Urgent);
        self.lane(Lane::Usual);
    }

    fn lane(&self, lane: Lane) {
        self.of(lane).notify_one();
    }

    fn of(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Usual => &self.usual,
        }
    }
}

/// For stores with certificates of the system's authorities, and of `ca_file`.
pub(crate) fn store_client(ca_file: Option<&std::path::Path>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(path) = ca_file {
        builder = builder.tls_certs_merge(certificates("store.ca_file", path)?);
    }
    builder.build().context("the HTTP client for stores could not be made")
}

/// Of a PEM file that the configuration names under `key`.
pub(crate) fn certificates(key: &str, path: &std::path::Path) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let failed = || format!("{key} = {} could not be read", path.display());
    let pem = std::fs::read(path).with_context(failed)?;
    reqwest::Certificate::from_pem_bundle(&pem).with_context(failed)
}

impl Forwarder {
    /// Runs until dropped.
    pub(crate) async fn run(self) {
        let Forwarder { org, gateway, root, index, cloud, stores, wake, bandwidth } = self;
        let around = Machine {
            root,
            index,
            cloud,
            stores,
            paced: Paced::new(bandwidth),
            wake,
            started: Instant::now(),
        };
        let lane =
            |lane| Box::pin(run_lane(lane, Uplink::new(org, gateway, lane, around.clone()), around.clone()));
        tokio::join!(lane(Lane::Urgent), lane(Lane::Usual));
    }
}

async fn run_lane(lane: Lane, mut uplink: Uplink<Machine>, Machine { mut cloud, wake, .. }: Machine) {
    loop {
        let is_connected = cloud.borrow_and_update().is_some();
        if !is_connected {
            if cloud.changed().await.is_err() {
                return;
            }
            continue;
        }
        match uplink.step().await {
            Next::Now => {}
            // Woken or not, we look again.
            Next::Idle => drop(tokio::time::timeout(IDLE, wake.of(lane).notified()).await),
            Next::Retry { wait_ms } => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
        }
    }
}

/// The index, the disk and the network of this gateway.
#[derive(Clone)]
struct Machine {
    root: PathBuf,
    index: Index,
    cloud: watch::Receiver<Option<Cloud>>,
    stores: reqwest::Client,
    paced: Paced,
    wake: Arc<Wake>,
    started: Instant,
}

/// Nothing of it says how long to wait.
fn failed(error: anyhow::Error) -> Failure {
    Failure::new(format!("{error:#}"))
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Failure { wait_ms: error.wait_ms(), what: error.to_string() }
    }
}

impl Machine {
    fn cloud(&self) -> Outcome<Cloud> {
        self.cloud.borrow().clone().ok_or_else(|| Failure::new("there is no connection to the cloud"))
    }

    /// The file, if it is still what was written.
    async fn read(&self, pending: &Pending) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.root.join(&pending.path);
        let expected = pending.report.sha256;
        let read = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path)?;
            let fits = sha256(&bytes) == expected;
            Ok::<_, std::io::Error>((bytes, fits))
        });
        match read.await.context("reading a recording")? {
            Ok((bytes, true)) => Ok(Some(bytes)),
            Ok((_, false)) => {
                error!(path = pending.path, "a recording changed on the disk; look at the disk's health");
                Ok(None)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                error!(path = pending.path, "a recording is gone from the disk");
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("{} could not be read", pending.path)),
        }
    }

    fn upload(&self, token: UploadGrant, bytes: Vec<u8>, lane: Lane) -> anyhow::Result<RequestBuilder> {
        let url = token.url.context("the cloud granted nothing and refused nothing")?;
        // The error would quote the URL, which is a credential.
        let url = Url::parse(&url).map_err(|_| anyhow::anyhow!("the upload's address is not a URL"))?;
        let cloud = self.cloud().map_err(|failure| anyhow::anyhow!(failure.what))?;
        let own = url.origin() == cloud.url().origin();
        let http = if own { cloud.http() } else { &self.stores };
        let mut request = http
            .put(url)
            .timeout(self.paced.patience(bytes.len()))
            .header(IF_NONE_MATCH, "*")
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-md5", content_md5(&bytes))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, bytes.len());
        for (name, value) in &token.headers {
            ensure!(
                name.to_ascii_lowercase().starts_with("x-"),
                "the cloud may not choose the header {name}"
            );
            let name =
                HeaderName::from_bytes(name.as_bytes()).context("the cloud named a header that is none")?;
            let value =
                HeaderValue::from_str(value).context("the cloud gave a header a value that is none")?;
            request = request.header(name, value);
        }
        Ok(request.body(self.paced.body(bytes, lane)))
    }
}

impl Surroundings for Machine {
    async fn to_send(&self, lane: Lane, limit: usize) -> Outcome<Vec<Pending>> {
        self.index.to_send(lane, limit as i64).await.map_err(failed)
    }

    async fn to_report(&self, limit: usize) -> Outcome<Vec<Pending>> {
        self.index.to_report(limit as i64).await.map_err(failed)
    }

    async fn set_state(&self, id: Hash, state: State) -> Outcome<()> {
        self.index.set_state(id, state).await.map_err(failed)?;
        if state == State::Uploaded {
            self.wake.lane(Lane::Urgent);
        }
        Ok(())
    }

    async fn grants_to_index(&self, limit: usize) -> Outcome<Vec<PendingGrant>> {
        self.index.grants_to_index(limit as i64).await.map_err(failed)
    }

    async fn grants_to_upload(&self, limit: usize) -> Outcome<Vec<PendingGrant>> {
        self.index.grants_to_upload(limit as i64).await.map_err(failed)
    }

    async fn mark_grant(&self, grant: &PendingGrant, step: GrantStep) -> Outcome<()> {
        self.index.mark_grant(grant, step).await.map_err(failed)
    }

    async fn resend_grants(&self, epoch: EpochId) -> Outcome<()> {
        self.index.resend_grants(epoch).await.map_err(failed)
    }

    async fn hours_to_upload(&self, limit: usize) -> Outcome<Vec<PendingHour>> {
        self.index.hours_to_upload(limit as i64).await.map_err(failed)
    }

    async fn hours_to_report(&self, limit: usize) -> Outcome<Vec<String>> {
        self.index.hours_to_report(limit as i64).await.map_err(failed)
    }

    async fn mark_hour(&self, name: &str, step: HourStep) -> Outcome<()> {
        self.index.mark_hour(name, step).await.map_err(failed)
    }

    async fn add_gap(&self, gap: Gap) -> Outcome<()> {
        self.index.add_gap(&gap).await.map_err(failed)
    }

    async fn gaps(&self, limit: usize) -> Outcome<Vec<(i64, Gap)>> {
        self.index.gaps_to_report(limit as i64).await.map_err(failed)
    }

    async fn drop_gap(&self, id: i64) -> Outcome<()> {
        self.index.gap_reported(id).await.map_err(failed)
    }

    async fn read(&self, pending: &Pending) -> Outcome<Option<Vec<u8>>> {
        self.read(pending).await.map_err(failed)
    }

    async fn index_grants(&self, grants: Vec<Envelope>) -> Outcome<()> {
        Ok(self.cloud()?.index_grants(grants).await?)
    }

    async fn upload_grants(&self, request: UploadGrantRequest) -> Outcome<UploadGrantAnswer> {
        Ok(self.cloud()?.upload_grants(&request).await?)
    }

    async fn report(&self, report: RecordingReport) -> Outcome<RecordingReportAnswer> {
        Ok(self.cloud()?.report(&report).await?)
    }

    async fn report_hours(&self, report: HourReport) -> Outcome<HourReportAnswer> {
        Ok(self.cloud()?.report_hours(&report).await?)
    }

    async fn put(
        &self,
        token: UploadGrant,
        _: &UploadObject,
        bytes: Vec<u8>,
        lane: Lane,
    ) -> Outcome<PutAnswer> {
        let sent = self.upload(token, bytes, lane).map_err(failed)?.send().await;
        let response =
            sent.map_err(|error| Failure::new(format!("the store cannot be reached: {}", words(error))))?;
        let wait_ms = retry_after_ms(response.headers());
        Ok(match response.status() {
            StatusCode::CREATED => PutAnswer::Created,
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => PutAnswer::Exists,
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                PutAnswer::Later { status: status.as_u16(), wait_ms }
            }
            status => PutAnswer::Status(status.as_u16()),
        })
    }

    fn kilobits_max(&self) -> Option<u32> {
        self.paced.kilobits_max()
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// RFC 9110 section 10.2.3, in seconds. A date would be by somebody else's clock.
pub(crate) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

/// RFC 1864: what Azure compares with what arrived. SHA-256 is what we rely on.
fn content_md5(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds() {
        let asked = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            retry_after_ms(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(asked("20"), Some(20_000));
        assert_eq!(asked("18446744073709551615"), Some(u64::MAX));
        for text in ["", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"] {
            assert_eq!(asked(text), None, "{text}");
        }
        assert_eq!(retry_after_ms(&HeaderMap::new()), None);
    }
}
