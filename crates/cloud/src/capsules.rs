//! Where the pieces of shared footage lie: a folder of its own, which this
//! server writes, reads and empties. They are sealed by the sharer's device;
//! servers behind one name need one folder.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;
use axum::body::Bytes;
use futures_util::stream;
use model::ShareId;
use seal::capsule::Piece;

use crate::store::{CreateError, FolderStore};

#[derive(Debug)]
pub(crate) struct Capsules {
    root: PathBuf,
    folder: FolderStore,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    /// It came before, and this is the same.
    Again,
    /// Another one of this number came before.
    Other,
    /// The disk takes no more.
    Full,
}

impl Capsules {
    pub(crate) fn at(root: PathBuf) -> Self {
        Capsules { folder: FolderStore::at(&root), root }
    }

    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        self.folder.prepare().await
    }

    pub(crate) async fn put(&self, share: ShareId, piece: Piece, bytes: Bytes) -> anyhow::Result<Put> {
        let (path, length, digest) = (self.path(share, piece), bytes.len() as u64, seal::sha256(&bytes));
        let body = stream::iter([Ok::<_, std::convert::Infallible>(bytes.clone())]);
        match self.folder.create_at(&path, length, digest, body).await {
            Ok(()) => Ok(Put::Created),
            Err(CreateError::Exists) => {
                let there = tokio::fs::read(&path).await.context("a piece of a share could not be read")?;
                Ok(if there == bytes { Put::Again } else { Put::Other })
            }
            Err(CreateError::Io(error)) if error.kind() == ErrorKind::StorageFull => Ok(Put::Full),
            Err(error) => {
                Err(anyhow::Error::new(error)
                    .context("a piece of a share could not be written (shares.path)"))
            }
        }
    }

    pub(crate) async fn has(&self, share: ShareId, piece: Piece) -> anyhow::Result<bool> {
        tokio::fs::try_exists(self.path(share, piece)).await.context("a piece of a share could not be read")
    }

    pub(crate) async fn read(&self, share: ShareId, piece: Piece) -> anyhow::Result<Option<Vec<u8>>> {
        match tokio::fs::read(self.path(share, piece)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("a piece of a share could not be read"),
        }
    }

    pub(crate) async fn count(&self, share: ShareId) -> anyhow::Result<u64> {
        let mut entries = match tokio::fs::read_dir(self.root.join(share.to_string())).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error).context("the folder of a share could not be read"),
        };
        let mut count = 0;
        while entries.next_entry().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    pub(crate) async fn remove(&self, share: ShareId) -> anyhow::Result<()> {
        match tokio::fs::remove_dir_all(self.root.join(share.to_string())).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("the pieces of a share could not be removed")
            }
            _ => Ok(()),
        }
    }

    fn path(&self, share: ShareId, Piece { file, number }: Piece) -> PathBuf {
        self.root.join(share.to_string()).join(format!("{file}-{number}"))
    }
}
