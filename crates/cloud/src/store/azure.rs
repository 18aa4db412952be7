//! Objects in Azure Blob Storage, read with an identity of their own. No
//! account key exists here: shared-key access is meant to be off.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, StatusCode, Transport};
use azure_identity::{DeveloperToolsCredential, ManagedIdentityCredential, WorkloadIdentityCredential};
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _, HttpRange,
};
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use futures_util::StreamExt as _;
use model::wire::Container;
use time::OffsetDateTime;
use url::Url;

use super::{Body, Range};
use crate::config::{CredentialKind, StoreSection};

const REQUEST_MAX: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct AzureStore {
    client: BlobServiceClient,
    names: ContainerNames,
}

#[derive(Clone, Debug)]
pub(crate) struct ContainerNames {
    footage: String,
    grants: String,
}

impl std::fmt::Debug for AzureStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureStore").field("endpoint", &self.client.url().as_str()).finish_non_exhaustive()
    }
}

impl ContainerNames {
    pub(crate) fn of(section: &StoreSection) -> Self {
        ContainerNames { footage: section.footage.clone(), grants: section.grants.clone() }
    }

    pub(crate) fn name(&self, container: Container) -> &str {
        match container {
            Container::Footage => &self.footage,
            Container::Grants => &self.grants,
        }
    }
}

impl AzureStore {
    pub(crate) fn open(section: &StoreSection) -> anyhow::Result<Self> {
        let kind = section.read_credential.unwrap_or(section.credential);
        let token_file = section.read_token_file.clone().or_else(|| section.token_file.clone());
        let client = service_client(section, credential(kind, token_file)?)?;
        Ok(AzureStore { client, names: ContainerNames::of(section) })
    }

    pub(crate) async fn size(&self, container: Container, name: &str) -> anyhow::Result<Option<u64>> {
        let blob = self.client.blob_client(self.names.name(container), name);
        match blob.get_properties(None).await {
            Ok(properties) => Ok(properties.content_length()?),
            Err(error) if no_container(&error) => {
                let name = self.names.name(container);
                anyhow::bail!(
                    "the storage account has no container \"{name}\"; create it, or correct store.{}",
                    container.as_str()
                )
            }
            Err(error) if error.http_status() == Some(StatusCode::NotFound) => Ok(None),
            Err(error) => Err(error).context("the object store could not be asked"),
        }
    }

    pub(crate) async fn read(
        &self,
        container: Container,
        name: &str,
        range: Range,
    ) -> anyhow::Result<Option<Body>> {
        let blob = self.client.blob_client(self.names.name(container), name);
        let options = BlobClientDownloadOptions {
            range: Some(HttpRange::new(range.first, range.length())),
            ..BlobClientDownloadOptions::default()
        };
        match blob.download(Some(options)).await {
            Ok(answer) => Ok(Some(answer.body.map(|part| part.map_err(std::io::Error::other)).boxed())),
            Err(error) if error.http_status() == Some(StatusCode::NotFound) => Ok(None),
            Err(error) => Err(error).context("an object could not be read"),
        }
    }
}

fn no_container(error: &azure_core::Error) -> bool {
    let code = match error.kind() {
        ErrorKind::HttpResponse { error_code, .. } => error_code.as_deref(),
        _ => None,
    };
    code == Some("ContainerNotFound")
}

/// A client of the blob service in the name of `credential`.
pub(crate) fn service_client(
    section: &StoreSection,
    credential: Arc<dyn TokenCredential>,
) -> anyhow::Result<BlobServiceClient> {
    let mut http = reqwest::Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .read_timeout(REQUEST_MAX);
    if let Some(path) = &section.ca_file {
        let pem = std::fs::read(path)
            .with_context(|| format!("store.ca_file {} could not be read", path.display()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).context("store.ca_file holds no certificate")?;
        http = http.tls_certs_only(certificates);
    }
    let http = http.build().context("the HTTP client of the store could not be made")?;
    let client_options =
        ClientOptions { transport: Some(Transport::new(Arc::new(http))), ..ClientOptions::default() };
    let options = BlobServiceClientOptions { client_options, ..BlobServiceClientOptions::default() };
    BlobServiceClient::new(endpoint(section)?, Some(credential), Some(options))
        .context("store.endpoint is not the URL of a blob service")
}

pub(crate) fn account(section: &StoreSection) -> anyhow::Result<&str> {
    section.account.as_deref().context("store.kind = \"azure\" needs store.account")
}

fn endpoint(section: &StoreSection) -> anyhow::Result<Url> {
    match &section.endpoint {
        Some(endpoint) => {
            // A trailing slash would become an empty segment of every blob's path.
            let trimmed = endpoint.as_str().trim_end_matches('/');
            Url::parse(trimmed).context("store.endpoint is not a URL")
        }
        None => {
            let account = account(section)?;
            Url::parse(&format!("https://{account}.blob.core.windows.net"))
                .context("store.account is not a name")
        }
    }
}

pub(crate) fn credential(
    kind: CredentialKind,
    token_file: Option<PathBuf>,
) -> anyhow::Result<Arc<dyn TokenCredential>> {
    let credential: Arc<dyn TokenCredential> = match kind {
        CredentialKind::ManagedIdentity => {
            ManagedIdentityCredential::new(None).context("no managed identity is available here")?
        }
        CredentialKind::WorkloadIdentity => {
            WorkloadIdentityCredential::new(None).context("no workload identity is available here")?
        }
        CredentialKind::DeveloperTools => {
            DeveloperToolsCredential::new(None).context("no developer tools are signed in")?
        }
        CredentialKind::TokenFile => {
            let path = token_file.context("store.credential = \"token-file\" needs store.token_file")?;
            Arc::new(TokenFile { path })
        }
    };
    Ok(credential)
}

/// A bearer token that something else keeps fresh in a file.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
}

/// The file is read anew after at most this long.
const TOKEN_FILE_LIFE: time::Duration = time::Duration::minutes(1);

#[async_trait::async_trait]
impl TokenCredential for TokenFile {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| {
            let message = format!("the token file {} could not be read: {error}", self.path.display());
            azure_core::Error::with_message(ErrorKind::Credential, message)
        })?;
        let expires_on = OffsetDateTime::now_utc() + TOKEN_FILE_LIFE;
        Ok(AccessToken { token: Secret::from(text.trim().to_owned()), expires_on })
    }
}
