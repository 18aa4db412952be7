//! A container of Azure Blob Storage: what it lists is read, each blob once, and nothing
//! is changed there. The token stands in a file, and reaches neither output nor a log.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::sweep::listing::{self, Blob};
use ::sweep::read::{FileSource, ReadAt};
use ::sweep::source::ENTRIES_MAX;
use anyhow::{Context as _, bail, ensure};
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Client, Response, StatusCode};
use url::{Host, Url};

use crate::progress::Stop;

/// Knows names that XML cannot hold, by which they come encoded.
const API_VERSION: &str = "2021-12-02";
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Without a byte.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// For one page of a list.
const PAGE_TIME: Duration = Duration::from_secs(300);
const TRIES: u32 = 3;
const URL_MAX: u64 = 8 << 10;
/// Of one page of a list, in bytes. A thousand names of a thousand characters, escaped.
const PAGE_MAX: usize = 16 << 20;
/// Pages one after another that list nothing new.
const EMPTY_MAX: u32 = 1000;
/// Kept in memory; what is larger goes into a file without a name.
const MEMORY_MAX: usize = 8 << 20;
/// Of one blob, in bytes.
const BLOB_MAX: u64 = 64 << 30;

#[derive(clap::Args)]
pub(super) struct Place {
    /// Sweep a container of Azure Blob Storage. The file holds its URL with a token (SAS)
    /// that may list and read; `-` is standard input. Not an argument: arguments stand in
    /// the process list.
    #[arg(long, value_name = "FILE")]
    container: Option<PathBuf>,
    /// Certificates in PEM that stand for the system's, for a store of one's own.
    #[arg(long, value_name = "FILE", requires = "container")]
    ca: Option<PathBuf>,
}

impl Place {
    pub(super) fn open(&self) -> anyhow::Result<Option<Container>> {
        let Some(path) = &self.container else { return Ok(None) };
        let text = match path == Path::new("-") {
            true => {
                let mut text = String::new();
                std::io::stdin().lock().take(URL_MAX).read_to_string(&mut text).context("standard input")?;
                text
            }
            false => super::read_text(path, URL_MAX)?,
        };
        Container::new(&text, self.ca.as_deref()).map(Some)
    }
}

/// Why a blob was not read.
pub(super) enum Failed {
    /// This one alone.
    Skip(String),
    /// None will be read from now on.
    End(anyhow::Error),
}

pub(super) struct Container {
    runtime: tokio::runtime::Runtime,
    http: Client,
    /// With the token as its query.
    url: Url,
}

impl Container {
    fn new(text: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        // What is wrong is said without the address: it may hold the token.
        let mut url = Url::parse(text.trim()).context("the file holds no URL of a container")?;
        let is_local = match url.host() {
            Some(Host::Ipv4(host)) => host.is_loopback(),
            Some(Host::Ipv6(host)) => host.is_loopback(),
            _ => false,
        };
        ensure!(
            url.scheme() == "https" || url.scheme() == "http" && is_local,
            "the URL of a container begins with https://"
        );
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "the URL of a container names no user"
        );
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        ensure!(!path.is_empty(), "the URL names no container");
        url.set_path(&path);
        let mut http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX);
        if is_local {
            http = http.no_proxy();
        }
        if let Some(path) = ca {
            let pem = super::read(path, 1 << 20)?;
            let place = || path.display().to_string();
            http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).with_context(place)?);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Container { runtime, http: http.build()?, url })
    }

    /// Host and path, without the token.
    pub(super) fn name(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}{}", self.url.host_str().unwrap_or_default(), self.url.path())
    }

    /// Tells of all blobs in the order of the store's list; `tell` may end it.
    pub(super) fn each(
        &self,
        stop: &Stop,
        mut tell: impl FnMut(Blob) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut marker, mut empty, mut blobs) = (String::new(), 0, 0);
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        loop {
            if stop.is_stopped() {
                return Ok(());
            }
            let page = self.page(&marker, stop)?;
            empty += 1;
            for blob in page.blobs {
                // A list that turns in a circle has no end.
                if !seen.insert(hasher.hash_one(&blob.name)) {
                    continue;
                }
                empty = 0;
                blobs += 1;
                ensure!(blobs <= ENTRIES_MAX, "the container has more than {ENTRIES_MAX} blobs");
                tell(blob)?;
                if stop.is_stopped() {
                    return Ok(());
                }
            }
            if page.next.is_empty() || stop.is_stopped() {
                return Ok(());
            }
            ensure!(page.next != marker && empty < EMPTY_MAX, "the store's list of the container has no end");
            marker = page.next;
        }
    }

    fn page(&self, marker: &str, stop: &Stop) -> anyhow::Result<listing::Page> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs([
            ("restype", "container"),
            ("comp", "list"),
            ("maxresults", "1000"),
            ("marker", marker),
        ]);
        let reading = async {
            let mut response = self.get(url).await?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
                ensure!(
                    body.len() + piece.len() <= PAGE_MAX,
                    "the store's list is longer than {PAGE_MAX} bytes"
                );
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        let reading = async {
            tokio::select! {
                body = tokio::time::timeout(PAGE_TIME, reading) => body.context("it takes too long")?,
                () = stopped(stop) => bail!("interrupted"),
            }
        };
        let body = self.runtime.block_on(reading).context("the container could not be listed")?;
        listing::read(&body).context("the store's list could not be read")
    }

    /// An answer of 200; of what may pass, not the first failure.
    async fn get(&self, url: Url) -> anyhow::Result<Response> {
        for attempt in 1.. {
            let sent = self.http.get(url.clone()).header("x-ms-version", API_VERSION).send().await;
            let passes = match &sent {
                Ok(response) => {
                    response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => !error.is_builder(),
            };
            if passes && attempt < TRIES {
                tokio::time::sleep(Duration::from_secs(attempt.into())).await;
                continue;
            }
            let response = sent.map_err(reqwest::Error::without_url)?;
            if response.status() != StatusCode::OK {
                return Err(Refused::of(&response).into());
            }
            return Ok(response);
        }
        bail!("no answer")
    }

    /// All of a blob, and the state in which it was read, if that can be known again.
    pub(super) fn read(&self, blob: &Blob, stop: &Stop) -> Result<(Spool, Option<String>), Failed> {
        let skip = |why: String| Err(Failed::Skip(why));
        if blob.bytes > BLOB_MAX {
            return skip(format!("longer than {BLOB_MAX} bytes"));
        }
        // What a URL takes for a way up, or leaves out, would be another blob.
        let is_other = ['\t', '\n', '\r', '\\'];
        if blob.name.contains(is_other) || blob.name.split('/').any(|part| part == "." || part == "..") {
            return skip("its name cannot be asked for".to_owned());
        }
        let mut url = self.url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.extend(blob.name.split('/'))),
            Err(()) => return skip("its name cannot be asked for".to_owned()),
        }
        for attempt in 1.. {
            let reading = async {
                tokio::select! {
                    spooled = self.spool(url.clone()) => spooled,
                    () = stopped(stop) => bail!("interrupted"),
                }
            };
            let error = match self.runtime.block_on(reading) {
                Ok(spooled) => return Ok(spooled),
                Err(error) => error,
            };
            match error.downcast_ref::<Refused>() {
                Some(refused) if refused.ends_all() => return Err(Failed::End(error)),
                Some(refused) => return skip(refused.to_string()),
                // It broke off; what was refused or could not be written is no better the next time.
                None if is_away(&error) => return Err(Failed::End(error)),
                None if attempt < TRIES && error.is::<reqwest::Error>() && !stop.is_stopped() => {}
                None => return skip(format!("could not be read: {error:#}")),
            }
        }
        skip("could not be read".to_owned())
    }

    async fn spool(&self, url: Url) -> anyhow::Result<(Spool, Option<String>)> {
        let mut response = self.get(url).await?;
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let state = state(
            &header(ETAG).unwrap_or_default(),
            header(CONTENT_LENGTH).and_then(|len| len.parse().ok()).unwrap_or_default(),
        );
        let mut spool = Spooling { held: Vec::new(), file: None, bytes: 0 };
        while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            spool.add(&piece)?;
        }
        Ok((spool.end()?, state))
    }
}

/// Ends with Ctrl-C.
async fn stopped(stop: &Stop) {
    while !stop.is_stopped() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Nobody answers there, after all tries: the next blob would not come either.
fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(|error| error.is_connect() || error.is_timeout())
}

/// A name for what a blob holds now, if the store gives it one. Lists of Azure have it
/// without the quotes that headers have.
pub(super) fn state(etag: &str, bytes: u64) -> Option<String> {
    let tag = etag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(etag);
    (!tag.is_empty()).then(|| format!("{tag}:{bytes}"))
}

/// An answer that is no blob and no list.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
struct Refused {
    status: StatusCode,
    code: Option<String>,
}

impl Refused {
    fn of(response: &Response) -> Refused {
        let code = response.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let is_word = |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Refused { status: response.status(), code: code.filter(is_word).map(str::to_owned) }
    }

    /// The token has ended, was withdrawn, or may not read; or the container is gone: no
    /// blob will be read.
    fn ends_all(&self) -> bool {
        const CODES: [&str; 5] = [
            "AuthenticationFailed",
            "AuthorizationFailure",
            "AuthorizationPermissionMismatch",
            "ContainerNotFound",
            "AccountIsDisabled",
        ];
        self.status == StatusCode::UNAUTHORIZED
            || self.code.as_deref().is_some_and(|code| CODES.contains(&code))
    }
}

/// A blob, in memory or in a file that has no name and goes with this program.
pub(super) enum Spool {
    Memory(Vec<u8>),
    File(FileSource),
}

impl Spool {
    pub(super) fn source(&self) -> &dyn ReadAt {
        match self {
            Spool::Memory(bytes) => bytes,
            Spool::File(file) => file,
        }
    }
}

struct Spooling {
    held: Vec<u8>,
    file: Option<File>,
    bytes: u64,
}

impl Spooling {
    fn add(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.bytes += piece.len() as u64;
        ensure!(self.bytes <= BLOB_MAX, "longer than {BLOB_MAX} bytes");
        self.held.extend_from_slice(piece);
        if self.held.len() > MEMORY_MAX {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }

    fn end(mut self) -> std::io::Result<Spool> {
        if self.file.is_none() {
            return Ok(Spool::Memory(self.held));
        }
        self.write()?;
        let file = self.file.take().expect("there is one");
        FileSource::new(file).map(Spool::File)
    }
}
