//! Forwarding: epoch grants first, then recordings, newest first. The queue is
//! what the index says is not confirmed; there is no second journal.
//!
//! Each object goes straight to the store under a token of minutes that can
//! create that one object and nothing else. An object that exists already has
//! the same content, because its name ends in its root.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use md5::{Digest as _, Md5};
use model::OrgId;
use model::wire::{
    Container, RecordingReport, RecordingStatus, UPLOAD_OBJECTS_MAX, UploadGrant, UploadGrantRequest,
    UploadObject,
};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH};
use seal::sha256;
use tokio::sync::{Notify, watch};
use tracing::{debug, error, warn};
use url::Url;

use crate::cloud::{Cloud, words};
use crate::index::{Index, Pending, PendingGrant, State};

/// Objects on their way at the same time; each is in memory once.
const UPLOADS_AT_ONCE: usize = 2;
/// Recordings for which tokens are asked at once: more would expire waiting.
const BATCH: i64 = 32;
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Looked at this often even when nothing happens.
const IDLE: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Recordings in one report.
const REPORT_MAX: i64 = 256;

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
    /// There is something new.
    pub(crate) wake: Arc<Notify>,
}

/// For stores with certificates of the system's authorities, and of `ca_file`.
pub(crate) fn store_client(ca_file: Option<&std::path::Path>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(path) = ca_file {
        let failed = || format!("store.ca_file {} could not be read", path.display());
        let pem = std::fs::read(path).with_context(failed)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).with_context(failed)?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().context("the HTTP client for stores could not be made")
}

/// Whether there is more to do right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Idle,
    More,
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    Stored,
    Refused,
}

impl Forwarder {
    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        let mut delay = RETRY_FIRST;
        loop {
            let connected = self.cloud.borrow_and_update().clone();
            let Some(cloud) = connected else {
                if self.cloud.changed().await.is_err() {
                    return;
                }
                continue;
            };
            match self.step(&cloud).await {
                Ok(Progress::More) => delay = RETRY_FIRST,
                Ok(Progress::Idle) => {
                    delay = RETRY_FIRST;
                    // Woken or not, we look again.
                    let _ = tokio::time::timeout(IDLE, self.wake.notified()).await;
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "forwarding waits {} s", delay.as_secs());
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn step(&self, cloud: &Cloud) -> anyhow::Result<Progress> {
        // Each part has its turn, whatever becomes of the one before.
        let parts = [
            self.forward_grants(cloud).await,
            self.forward_recordings(cloud).await,
            self.report(cloud).await,
        ];
        let mut progress = Progress::Idle;
        for part in parts {
            if part? == Progress::More {
                progress = Progress::More;
            }
        }
        Ok(progress)
    }

    async fn forward_grants(&self, cloud: &Cloud) -> anyhow::Result<Progress> {
        let to_index = self.index.grants_to_index(BATCH).await?;
        if !to_index.is_empty() {
            cloud.index_grants(to_index.iter().map(|grant| grant.envelope.clone()).collect()).await?;
            for grant in &to_index {
                self.index.grant_indexed(grant).await?;
            }
        }
        let to_upload = self.index.grants_to_upload(BATCH).await?;
        if to_upload.is_empty() {
            return Ok(if to_index.is_empty() { Progress::Idle } else { Progress::More });
        }
        let objects: Vec<(UploadObject, PendingGrant, Vec<u8>)> =
            to_upload.into_iter().map(|grant| self.grant_object(grant)).collect::<anyhow::Result<_>>()?;
        let wanted = objects.iter().map(|(object, ..)| object.clone()).collect();
        let tokens = self.tokens(cloud, wanted).await?;
        for (token, (object, grant, bytes)) in tokens.into_iter().zip(objects) {
            match self.put(cloud, token, &object, bytes).await? {
                Put::Stored => self.index.grant_uploaded(&grant).await?,
                Put::Refused => self.index.grant_refused(&grant).await?,
            }
        }
        Ok(Progress::More)
    }

    fn grant_object(&self, grant: PendingGrant) -> anyhow::Result<(UploadObject, PendingGrant, Vec<u8>)> {
        let bytes = serde_json::to_vec(&grant.envelope)?;
        let object = UploadObject {
            container: Container::Grants,
            name: seal::grant::object_name(self.org, self.gateway, grant.epoch, grant.device),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
        };
        Ok((object, grant, bytes))
    }

    async fn forward_recordings(&self, cloud: &Cloud) -> anyhow::Result<Progress> {
        let pending = self.index.pending(State::Kept, BATCH).await?;
        if pending.is_empty() {
            return Ok(Progress::Idle);
        }
        let objects = pending.iter().map(|pending| UploadObject {
            container: Container::Footage,
            name: pending.report.name.clone(),
            bytes: pending.report.bytes,
            sha256: pending.report.sha256,
        });
        let objects: Vec<UploadObject> = objects.collect();
        let tokens = self.tokens(cloud, objects.clone()).await?;
        let uploads =
            tokens.into_iter().zip(objects).zip(pending).map(|((token, object), pending)| async move {
                self.forward_recording(cloud, token, object, pending).await
            });
        let mut uploads = futures_util::stream::iter(uploads).buffer_unordered(UPLOADS_AT_ONCE);
        let mut failure = Ok(Progress::More);
        while let Some(result) = uploads.next().await {
            if let Err(error) = result {
                failure = Err(error);
            }
        }
        failure
    }

    async fn forward_recording(
        &self,
        cloud: &Cloud,
        token: UploadGrant,
        object: UploadObject,
        pending: Pending,
    ) -> anyhow::Result<()> {
        let id = pending.report.id;
        let Some(bytes) = self.read(&pending).await? else {
            return self.index.set_state(id, State::Damaged).await;
        };
        let state = match self.put(cloud, token, &object, bytes).await? {
            Put::Stored => State::Uploaded,
            Put::Refused => State::Refused,
        };
        debug!(recording = %id, bytes = object.bytes, ?state, "offered to the store");
        self.index.set_state(id, state).await
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

    async fn tokens(&self, cloud: &Cloud, objects: Vec<UploadObject>) -> anyhow::Result<Vec<UploadGrant>> {
        debug_assert!(objects.len() <= UPLOAD_OBJECTS_MAX);
        let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
        let answer = cloud.upload_grants(&UploadGrantRequest { objects }).await?;
        if !answer.grants.iter().map(|grant| &grant.name).eq(&names) {
            bail!("the cloud granted other objects than were asked for");
        }
        Ok(answer.grants)
    }

    async fn put(
        &self,
        cloud: &Cloud,
        token: UploadGrant,
        object: &UploadObject,
        bytes: Vec<u8>,
    ) -> anyhow::Result<Put> {
        if let Some(reason) = token.refused {
            warn!(name = object.name, reason, "the cloud refuses an object; it stays here");
            return Ok(Put::Refused);
        }
        let url = token.url.context("the cloud granted nothing and refused nothing")?;
        // The error would quote the URL, which is a credential.
        let url = Url::parse(&url).map_err(|_| anyhow::anyhow!("the upload's address is not a URL"))?;
        let own = url.origin() == cloud.url().origin();
        let http = if own { cloud.http() } else { &self.stores };
        let mut request = http
            .put(url)
            .timeout(UPLOAD_TIMEOUT)
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
        let sent = request.body(bytes).send().await;
        let response =
            sent.map_err(|error| anyhow::anyhow!("the store cannot be reached: {}", words(error)))?;
        match response.status() {
            StatusCode::CREATED => Ok(Put::Stored),
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Ok(Put::Stored),
            status => bail!("the store refused {} with HTTP {}", object.name, status.as_u16()),
        }
    }

    /// Tells the cloud what it should find in the store, and what is missing
    /// from the timeline.
    async fn report(&self, cloud: &Cloud) -> anyhow::Result<Progress> {
        let uploaded = self.index.pending(State::Uploaded, REPORT_MAX).await?;
        let gaps = self.index.gaps_to_report().await?;
        if uploaded.is_empty() && gaps.is_empty() {
            return Ok(Progress::Idle);
        }
        let report = RecordingReport {
            recordings: uploaded.iter().map(|pending| pending.report.clone()).collect(),
            gaps: gaps.iter().map(|(_, gap)| gap.clone()).collect(),
        };
        let answer = cloud.report(&report).await?;
        for (id, _) in gaps {
            self.index.gap_reported(id).await?;
        }
        let mut open = 0;
        for pending in &uploaded {
            let name = &pending.report.name;
            let status =
                answer.results.iter().find(|result| &result.name == name).map(|result| result.status);
            open += usize::from(!self.settle(pending, status).await?);
        }
        if open > 0 {
            // Asked again after a while, not at once.
            bail!("{open} recordings are not confirmed yet");
        }
        Ok(if uploaded.len() == REPORT_MAX as usize { Progress::More } else { Progress::Idle })
    }

    /// Whether this recording is done.
    async fn settle(&self, pending: &Pending, status: Option<RecordingStatus>) -> anyhow::Result<bool> {
        let id = pending.report.id;
        match status {
            Some(RecordingStatus::Confirmed) => {
                self.index.set_state(id, State::Confirmed).await?;
                return Ok(true);
            }
            Some(RecordingStatus::Missing) => self.index.set_state(id, State::Kept).await?,
            Some(RecordingStatus::NoEpochGrant) => self.index.resend_grants(pending.report.epoch).await?,
            Some(RecordingStatus::Mismatch) => {
                error!(recording = %id, "the store holds other bytes than were sent; the recording stays here");
                self.index.set_state(id, State::Refused).await?;
                return Ok(true);
            }
            Some(RecordingStatus::Refused) => {
                warn!(recording = %id, "the cloud refuses this recording; it stays here");
                self.index.set_state(id, State::Refused).await?;
                return Ok(true);
            }
            None => {}
        }
        Ok(false)
    }
}

/// RFC 1864: what Azure compares with what arrived. SHA-256 is what we rely on.
fn content_md5(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Md5::digest(bytes))
}
