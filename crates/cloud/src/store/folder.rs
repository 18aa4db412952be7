//! Objects in a folder. An object appears whole or not at all, under a name
//! that nobody had: bytes go to a temporary file, are counted and hashed
//! there, flushed, and then linked to their name, which fails if it exists.
//! Nothing here overwrites or deletes an object.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use model::Hash;
use model::wire::Container;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::{Body, Range};
use crate::random;

const INCOMING: &str = "incoming";
/// Longer than anybody sends one object.
const LEFT_AFTER: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(crate) struct FolderStore {
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("an object of this name exists")]
    Exists,
    #[error("length or digest are not those of the token")]
    Mismatch,
    #[error("the sender went away")]
    Body,
    #[error("the folder could not be written")]
    Io(#[from] std::io::Error),
}

/// Removes what a crash left over: nobody was told that it had arrived. Not what
/// is young, which another server may be receiving, and not what is not ours.
async fn sweep(incoming: &Path) -> std::io::Result<()> {
    let mut left = tokio::fs::read_dir(incoming).await?;
    while let Some(entry) = left.next_entry().await? {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.parse::<Hash>().is_ok());
        let Ok(metadata) = entry.metadata().await else { continue };
        let is_old = metadata.modified()?.elapsed().is_ok_and(|age| age > LEFT_AFTER);
        if is_ours && is_old && metadata.is_file() {
            match tokio::fs::remove_file(entry.path()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

impl FolderStore {
    pub(crate) fn at(root: &Path) -> Self {
        FolderStore { root: root.to_owned() }
    }

    /// Makes the folder ready to be written to.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        let incoming = self.root.join(INCOMING);
        tokio::fs::create_dir_all(&incoming)
            .await
            .with_context(|| format!("the store folder {} could not be made", self.root.display()))?;
        let sweep = sweep(&incoming).await;
        sweep.with_context(|| format!("what was left in {} could not be removed", incoming.display()))
    }

    /// `name` comes from a parsed `ObjectName`: it has no way out of the folder.
    fn path(&self, container: Container, name: &str) -> PathBuf {
        self.root.join(container.as_str()).join(name)
    }

    pub(crate) async fn create<E>(
        &self,
        container: Container,
        name: &str,
        bytes: u64,
        sha256: Hash,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), CreateError> {
        self.create_at(&self.path(container, name), bytes, sha256, body).await
    }

    /// The same for a path in the folder.
    pub(crate) async fn create_at<E>(
        &self,
        path: &Path,
        bytes: u64,
        sha256: Hash,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), CreateError> {
        if tokio::fs::try_exists(path).await? {
            return Err(CreateError::Exists);
        }
        let temporary = self.root.join(INCOMING).join(random::token().to_string());
        let result = self.receive(&temporary, bytes, sha256, body).await;
        let result = match result {
            Ok(()) => self.link(&temporary, path).await,
            Err(error) => Err(error),
        };
        let _ = tokio::fs::remove_file(&temporary).await;
        result
    }

    async fn receive<E>(
        &self,
        temporary: &Path,
        bytes: u64,
        sha256: Hash,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), CreateError> {
        let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(temporary).await?;
        let mut hash = seal::Sha256::new();
        let mut received = 0_u64;
        while let Some(part) = body.next().await {
            let part = part.map_err(|_| CreateError::Body)?;
            received += part.len() as u64;
            if received > bytes {
                return Err(CreateError::Mismatch);
            }
            hash.update(&part);
            file.write_all(&part).await?;
        }
        if received != bytes || hash.finish() != sha256 {
            return Err(CreateError::Mismatch);
        }
        file.flush().await?;
        file.sync_all().await?;
        Ok(())
    }

    /// `link` is the `O_EXCL` of a file that is complete already.
    async fn link(&self, temporary: &Path, path: &Path) -> Result<(), CreateError> {
        let folder = path.parent().expect("an object's path has a folder");
        let known = tokio::fs::try_exists(folder).await?;
        tokio::fs::create_dir_all(folder).await?;
        match tokio::fs::hard_link(temporary, path).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(CreateError::Exists),
            Err(error) => return Err(error.into()),
        }
        // A new name is in the folder, and the folder may be a new name in its own.
        let above = if known { 1 } else { usize::MAX };
        for folder in folder.ancestors().take(above).take_while(|folder| folder.starts_with(&self.root)) {
            File::open(folder).await?.sync_all().await?;
        }
        Ok(())
    }

    pub(crate) async fn size(&self, container: Container, name: &str) -> anyhow::Result<Option<u64>> {
        match tokio::fs::metadata(self.path(container, name)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("the store folder could not be read"),
        }
    }

    pub(crate) async fn read(
        &self,
        container: Container,
        name: &str,
        range: Range,
    ) -> anyhow::Result<Option<Body>> {
        let mut file = match File::open(self.path(container, name)).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("an object could not be opened"),
        };
        file.seek(std::io::SeekFrom::Start(range.first)).await?;
        Ok(Some(ReaderStream::with_capacity(file.take(range.length()), 64 << 10).boxed()))
    }
}
