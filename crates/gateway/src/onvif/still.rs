//! Still pictures of a camera: a JPEG of this moment, at the address that the
//! camera names for its smallest stream (GetSnapshotUri of the ONVIF Media and
//! Media2 Service Specifications). Whatever host and port it names, it is asked
//! where the administrator said.

use std::time::Duration;

use media::jpeg::{self, Still};
use tracing::debug;

use super::client::{Client, Target};
use super::{Limits, OnvifAccess, OnvifError, media as services_of_media, services};

/// Narrower pictures show nobody: they are taken where there is no other.
const WIDTH_MIN: u32 = 320;
/// From the question for a picture to its last byte.
const PICTURE_MAX: Duration = Duration::from_secs(4);

/// One camera that gives still pictures.
#[derive(Debug)]
pub struct StillCamera {
    client: Client,
    address: Target,
}

impl StillCamera {
    /// `None` for a camera that gives none.
    pub async fn find(access: &OnvifAccess, limits: &Limits) -> Result<Option<Self>, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let pick = |answer: &_| {
            let found = services_of_media::services(answer);
            let found: Vec<_> = found.into_iter().map(|(service, at)| (service, at.to_owned())).collect();
            (!found.is_empty()).then_some(found)
        };
        let found = Box::pin(services::find(&mut client, pick)).await?.unwrap_or_default();
        let is_refusal =
            |error: &OnvifError| matches!(error, OnvifError::Fault { .. } | OnvifError::Status { .. });
        // Of both services the one that has streams, as for these.
        for (service, named) in found {
            let target = client.target(&named, String::new())?;
            let told = match client.ask(&target, &services_of_media::ask_profiles(service)).await {
                Ok(answer) => services_of_media::profiles(&answer),
                Err(error) if is_refusal(&error) => continue,
                Err(error) => return Err(error),
            };
            let wide = told.iter().rev().find(|profile| profile.width >= WIDTH_MIN);
            let Some(profile) = wide.or(told.first()) else { continue };
            let asked = services_of_media::ask_snapshot(service, &profile.token);
            let answer = match client.ask(&target, &asked).await {
                Ok(answer) => answer,
                Err(error) if is_refusal(&error) => {
                    debug!(%error, "the camera does not say where its still pictures are");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(named) = services_of_media::address(&answer) else { continue };
            let address = client.target(named, String::new())?;
            return Ok(Some(StillCamera { client, address }));
        }
        Ok(None)
    }

    /// What it sees now, and nothing of the file but the picture.
    pub async fn take(&mut self) -> Result<Still, OnvifError> {
        let limits = (PICTURE_MAX, jpeg::BYTES_MAX);
        let file = self.client.fetch(&self.address, "the question for a still picture", limits).await?;
        Ok(Still::read(&file)?)
    }
}
