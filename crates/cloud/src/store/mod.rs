//! Where sealed objects are: a folder or Azure Blob. This reads, with the
//! identity that may only read; what creates objects is `broker`.

mod azure;
mod folder;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::Hash;
use model::wire::Container;

pub(crate) use azure::{AzureStore, ContainerNames, account, credential, service_client};
pub(crate) use folder::{CreateError, FolderStore};

use crate::config::{Config, StoreKind};

#[derive(Debug)]
pub(crate) enum Store {
    Folder(FolderStore),
    Azure(AzureStore),
}

/// A stretch of an object: `first..=last`, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Range {
    pub(crate) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

pub(crate) type Body = BoxStream<'static, std::io::Result<Bytes>>;

impl Store {
    /// Changes nothing there.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(match config.store.kind {
            StoreKind::Folder => Store::Folder(FolderStore::at(&config.store_path())),
            StoreKind::Azure => Store::Azure(AzureStore::open(&config.store)?),
        })
    }

    /// Before a server writes to it.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        match self {
            Store::Folder(folder) => folder.prepare().await,
            Store::Azure(_) => Ok(()),
        }
    }

    /// Size, or none if there is no such object.
    pub(crate) async fn size(&self, container: Container, name: &str) -> anyhow::Result<Option<u64>> {
        match self {
            Store::Folder(folder) => folder.size(container, name).await,
            Store::Azure(azure) => azure.size(container, name).await,
        }
    }

    /// The bytes of a stretch that lies within the object, or none if there is
    /// no such object.
    pub(crate) async fn read(
        &self,
        container: Container,
        name: &str,
        range: Range,
    ) -> anyhow::Result<Option<Body>> {
        match self {
            Store::Folder(folder) => folder.read(container, name, range).await,
            Store::Azure(azure) => azure.read(container, name, range).await,
        }
    }

    /// All of an object that has at most `bytes_max` bytes. Of a longer one as many
    /// as show that it is.
    pub(crate) async fn whole(
        &self,
        container: Container,
        name: &str,
        bytes_max: u64,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(size) = self.size(container, name).await? else { return Ok(None) };
        let Some(last) = size.min(bytes_max + 1).checked_sub(1) else { return Ok(Some(Vec::new())) };
        let Some(body) = self.read(container, name, Range { first: 0, last }).await? else { return Ok(None) };
        let bytes = body.try_fold(Vec::new(), async |mut all, bytes| {
            all.extend_from_slice(&bytes);
            Ok(all)
        });
        Ok(Some(bytes.await?))
    }

    /// Reads the whole object back: its length and digest as they are, not as
    /// somebody says. An object longer than `bytes_max` is not read.
    pub(crate) async fn digest(
        &self,
        container: Container,
        name: &str,
        bytes_max: u64,
    ) -> anyhow::Result<Option<(u64, Hash)>> {
        let Some(size) = self.size(container, name).await? else { return Ok(None) };
        if size == 0 || size > bytes_max {
            return Ok(Some((size, Hash::default())));
        }
        let whole = Range { first: 0, last: size - 1 };
        let Some(mut body) = self.read(container, name, whole).await? else { return Ok(None) };
        let mut hash = seal::Sha256::new();
        let mut length = 0;
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            length += bytes.len() as u64;
            hash.update(&bytes);
        }
        Ok(Some((length, hash.finish())))
    }

    /// Whether it answers, for `/readyz` and `check`.
    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        for container in [Container::Footage, Container::Grants] {
            self.size(container, "lenskeep-ping").await?;
        }
        Ok(())
    }
}
