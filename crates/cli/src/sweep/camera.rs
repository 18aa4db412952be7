//! A camera of Axis as it is now: what its settings and logs hold.

use std::path::PathBuf;

use anyhow::Context as _;
use gateway::onvif::{DOCUMENT_BYTES_MAX, Documents, Limits, OnvifAccess, OnvifError};
use model::{Hash, Secret};
use url::Url;

use crate::home::ask_secret;

#[derive(clap::Args)]
pub(super) struct Access {
    /// Read parameters, logs and the server report of a camera of Axis, such as
    /// http://192.0.2.10. Nothing is changed there.
    #[arg(long, value_name = "URL", requires = "username")]
    camera: Option<Url>,
    /// An administrator of the camera: others are shown no passwords.
    #[arg(long, requires = "camera")]
    username: Option<String>,
    /// File with the password; without it the terminal asks. Not an argument:
    /// arguments stand in the process list.
    #[arg(long, value_name = "FILE", requires = "camera")]
    password_file: Option<PathBuf>,
    /// SHA-256 of the camera's certificate, for https://.
    #[arg(long, value_name = "HEX", requires = "camera")]
    certificate: Option<Hash>,
}

pub(super) type Read = (String, Result<Vec<u8>, Unread>);

pub(super) struct Unread {
    pub(super) why: String,
    /// The camera has no such document.
    pub(super) is_absent: bool,
}

/// By name, what was read, or why it was not. None without a camera.
pub(super) fn documents(access: &Access) -> anyhow::Result<Vec<Read>> {
    let Some(url) = &access.camera else { return Ok(Vec::new()) };
    let name = url.host_str().context("the camera's address names no host")?.to_owned();
    let password = match &access.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} could not be read", path.display()))?;
            Secret::new(text.trim_end_matches(['\r', '\n']))
        }
        None => ask_secret("Password of the camera: ").context("give --password-file")?,
    };
    let access = OnvifAccess {
        url: url.clone(),
        username: access.username.clone(),
        password: Some(password),
        certificate: access.certificate,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reading = async {
        let mut documents = Documents::of_axis(&access, &Limits::default(), DOCUMENT_BYTES_MAX)?;
        let mut read = Vec::new();
        while let Some(document) = documents.next().await? {
            let bytes = document.read.map_err(|error| Unread {
                is_absent: matches!(error, OnvifError::Status { status: 404 | 501, .. }),
                why: error.to_string(),
            });
            read.push((format!("{name}: {}", document.name), bytes));
        }
        Ok::<_, OnvifError>(read)
    };
    runtime.block_on(reading).with_context(|| name.clone())
}
