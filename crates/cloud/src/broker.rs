//! The storage keeper: the one module that makes upload tokens. It takes an
//! `Audited<Permit>` and nothing else, so a token that policy did not permit
//! or the history does not hold cannot be made. Its keys are private to it.
//!
//! A token creates one named object of known content, within 15 minutes. It
//! cannot read, list, overwrite or delete. Tokens appear in no log and no
//! error: URLs that carry one do not print.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use azure_storage_blob::BlobServiceClient;
use azure_storage_blob::models::KeyInfo;
use azure_storage_common::models::UserDelegationKey;
use azure_storage_sas::{SasBuilder, SasProtocol};
use cloud_core::{Action, Audited, Permit};
use model::wire::{Container, UploadObject};
use model::{Hash, Timestamp};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use url::Url;

use crate::config::{Config, StoreKind};
use crate::random;
use crate::store::{self, ContainerNames};

/// Life of an upload token.
pub(crate) const TOKEN_MS: u64 = 15 * Timestamp::MINUTE;
/// Life of a user delegation key that we ask Azure for.
const DELEGATION_KEY_MS: u64 = Timestamp::HOUR;
/// Tolerance for a storage clock that is behind ours.
const SKEW_MS: u64 = 5 * Timestamp::MINUTE;
/// Tells the folder store the digest that the token is for.
pub(crate) const SHA256_HEADER: &str = "x-lenskeep-sha256";

pub(crate) struct Broker {
    kind: Kind,
}

enum Kind {
    Folder { key: [u8; 32] },
    Azure(Box<Azure>),
}

struct Azure {
    client: BlobServiceClient,
    account: String,
    names: ContainerNames,
    delegation: Mutex<Option<(Arc<UserDelegationKey>, Timestamp)>>,
}

/// Where and how to put the object.
pub(crate) struct UploadToken {
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) expires_at: Timestamp,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker(…)")
    }
}

impl std::fmt::Debug for UploadToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Broker {
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let kind = match config.store.kind {
            // Drawn anew by each process: tokens live minutes, gateways ask again.
            StoreKind::Folder => Kind::Folder { key: random::bytes() },
            StoreKind::Azure => {
                let section = &config.store;
                let credential = store::credential(section.credential, section.token_file.clone())?;
                Kind::Azure(Box::new(Azure {
                    client: store::service_client(section, credential)?,
                    account: store::account(section)?.to_owned(),
                    names: ContainerNames::of(section),
                    delegation: Mutex::new(None),
                }))
            }
        };
        Ok(Broker { kind })
    }

    /// Signs what was permitted and recorded. `authority` is the host and port
    /// at which the gateway reached us.
    pub(crate) async fn upload_token(
        &self,
        audited: &Audited<Permit>,
        authority: &str,
        now: Timestamp,
    ) -> anyhow::Result<UploadToken> {
        let Action::MintUpload(object) = audited.action() else {
            anyhow::bail!("a permit for {} makes no upload token", audited.action().name());
        };
        let expires_at = now.plus_ms(TOKEN_MS);
        match &self.kind {
            Kind::Folder { key } => Ok(folder_token(key, object, authority, expires_at)),
            Kind::Azure(azure) => azure.token(object, now, expires_at).await,
        }
    }

    /// For the folder store's own port: whether `signature` is ours for exactly
    /// this object, and in time.
    pub(crate) fn verify(
        &self,
        object: &UploadObject,
        expires_at: Timestamp,
        signature: Hash,
        now: Timestamp,
    ) -> bool {
        let Kind::Folder { key } = &self.kind else { return false };
        now < expires_at
            && expires_at <= now.plus_ms(TOKEN_MS)
            && seal::constant_time_eq(&folder_signature(key, object, expires_at).0, &signature.0)
    }
}

fn folder_token(
    key: &[u8; 32],
    object: &UploadObject,
    authority: &str,
    expires_at: Timestamp,
) -> UploadToken {
    let signature = folder_signature(key, object, expires_at);
    let (container, name, expires) = (object.container.as_str(), &object.name, expires_at.0);
    UploadToken {
        url: format!("https://{authority}/store/v1/{container}/{name}?expires={expires}&sig={signature}"),
        headers: BTreeMap::from([(SHA256_HEADER.to_owned(), object.sha256.to_string())]),
        expires_at,
    }
}

/// Each part ends in a zero byte, which none of them contains.
fn folder_signature(key: &[u8; 32], object: &UploadObject, expires_at: Timestamp) -> Hash {
    let parts = [
        "PUT",
        object.container.as_str(),
        &object.name,
        &object.bytes.to_string(),
        &object.sha256.to_string(),
        &expires_at.0.to_string(),
    ];
    let message: Vec<u8> = parts.iter().flat_map(|part| part.bytes().chain([0])).collect();
    seal::hmac_sha256(key, &[&message])
}

impl Azure {
    /// A user-delegation SAS for one blob (`sr=b`) with create alone (`sp=c`):
    /// <https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas>.
    async fn token(
        &self,
        object: &UploadObject,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> anyhow::Result<UploadToken> {
        let key = self.delegation_key(now, expires_at).await?;
        let container = self.names.name(object.container);
        let query = SasBuilder::new(&self.account, &key, date(expires_at))
            .context("the storage service's delegation key is not complete")?
            .start(date(now.minus_ms(SKEW_MS)))
            .protocol(SasProtocol::Https)
            .blob(container, &object.name)
            .create()
            .build();
        let mut url: Url = self.client.blob_client(container, &object.name).url().clone();
        // The client percent-encodes the name's slashes; they are folders of a path here.
        let path = format!("{}/{container}/{}", self.client.url().path().trim_end_matches('/'), object.name);
        url.set_path(&path);
        url.set_query(Some(&query));
        Ok(UploadToken { url: url.into(), headers: BTreeMap::new(), expires_at })
    }

    /// One key signs many tokens; it outlives each of them and is renewed in time.
    async fn delegation_key(
        &self,
        now: Timestamp,
        needed_until: Timestamp,
    ) -> anyhow::Result<Arc<UserDelegationKey>> {
        let mut cached = self.delegation.lock().await;
        if let Some((key, expires_at)) = cached.as_ref()
            && needed_until <= *expires_at
        {
            return Ok(key.clone());
        }
        let expires_at = now.plus_ms(DELEGATION_KEY_MS);
        let info = KeyInfo {
            start: Some(date(now.minus_ms(SKEW_MS))),
            expiry: Some(date(expires_at)),
            ..KeyInfo::default()
        };
        let answer = self
            .client
            .get_user_delegation_key(info.try_into()?, None)
            .await
            .context("the storage service gave no delegation key")?;
        let key = Arc::new(answer.into_model().context("the delegation key could not be read")?);
        *cached = Some((key.clone(), expires_at));
        Ok(key)
    }
}

fn date(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.0 / Timestamp::SECOND).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Containers as the wire spells them.
pub(crate) fn container(text: &str) -> Option<Container> {
    [Container::Footage, Container::Grants].into_iter().find(|container| container.as_str() == text)
}
