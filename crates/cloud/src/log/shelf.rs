//! Where tiles and checkpoints lie: beside the footage, in the store. A tile
//! is written once; the same bytes again are no change, other bytes are a fork.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use azure_core::error::ErrorKind as AzureErrorKind;
use azure_core::http::{RequestContent, StatusCode};
use azure_storage_blob::BlobServiceClient;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::config::{Config, StoreKind};
use crate::random;
use crate::store;

const FOLDER: &str = "history";
/// A full entry bundle is the largest thing here.
const OBJECT_BYTES_MAX: usize = 256 * (2 + seal::tlog::ENTRY_BYTES_MAX);

pub(crate) enum Shelf {
    Folder(PathBuf),
    Azure { client: Box<BlobServiceClient>, container: String },
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Shelf::Folder(_) => "Shelf::Folder",
            Shelf::Azure { .. } => "Shelf::Azure",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("{0} was published with another content")]
    Fork(String),
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

impl Shelf {
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let section = &config.store;
        Ok(match section.kind {
            StoreKind::Folder => Shelf::Folder(config.store_path().join(FOLDER)),
            StoreKind::Azure => {
                let credential = store::credential(section.credential, section.token_file.clone())?;
                let client = Box::new(store::service_client(section, credential)?);
                Shelf::Azure { client, container: section.history.clone() }
            }
        })
    }

    /// Writes what is written once.
    pub(crate) async fn create(&self, name: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        match self.read(name).await? {
            Some(known) if known == bytes => Ok(()),
            Some(_) => Err(ShelfError::Fork(name.to_owned())),
            None => Ok(self.put(name, bytes).await?),
        }
    }

    /// Writes what is replaced: the newest checkpoint. The lease keeps others away.
    pub(crate) async fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Shelf::Folder(root) => {
                write(root, name, bytes).await.context("the history's folder could not be written")
            }
            Shelf::Azure { client, container } => {
                let content = RequestContent::from(bytes.to_vec());
                client.blob_client(container, name).upload(content, None).await.with_context(|| {
                    format!("the history's container \"{container}\" could not be written; does it exist?")
                })?;
                Ok(())
            }
        }
    }

    pub(crate) async fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Shelf::Folder(root) => match tokio::fs::read(root.join(name)).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).context("the history's folder could not be read"),
            },
            Shelf::Azure { client, container } => {
                let blob = client.blob_client(container, name);
                let mut body = match blob.download(None).await {
                    Ok(answer) => answer.body,
                    Err(error) if not_found(&error) => return Ok(None),
                    Err(error) => return Err(error).context("the history's container could not be read"),
                };
                let mut bytes = Vec::new();
                while let Some(part) = body.next().await {
                    let part: Bytes = part.context("an object of the history broke off")?;
                    anyhow::ensure!(
                        bytes.len() + part.len() <= OBJECT_BYTES_MAX,
                        "{name} is longer than it can be"
                    );
                    bytes.extend_from_slice(&part);
                }
                Ok(Some(bytes))
            }
        }
    }
}

/// A missing container is no missing blob.
fn not_found(error: &azure_core::Error) -> bool {
    let code = match error.kind() {
        AzureErrorKind::HttpResponse { error_code, .. } => error_code.as_deref(),
        _ => None,
    };
    error.http_status() == Some(StatusCode::NotFound) && code != Some("ContainerNotFound")
}

/// The file appears whole, under a name that is on disk.
async fn write(root: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = root.join(name);
    let folder = path.parent().expect("names lie in a folder");
    tokio::fs::create_dir_all(folder).await?;
    let temporary = folder.join(format!(".{}", random::token()));
    let mut file = tokio::fs::File::create(&temporary).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&temporary, &path).await?;
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        tokio::fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}
