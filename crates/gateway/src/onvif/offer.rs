//! Asks one camera what it is and which streams it has, with the password that a
//! person gave: a wrong one is tried once, since cameras lock accounts.

use seal::answer::{Offer, Profile};
use time::OffsetDateTime;
use tracing::debug;

use super::client::Client;
use super::events::set_clock;
use super::media::{self, Information};
use super::{Limits, OnvifAccess, OnvifError, messages};

/// Why a camera says nothing of its streams.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error(transparent)]
    Onvif(#[from] OnvifError),
    /// It took the password for one question and refuses it for another.
    #[error("the camera lets this account sign in, and tells it nothing of its streams")]
    Right,
}

pub async fn offer(access: &OnvifAccess, limits: &Limits) -> Result<Offer, OfferError> {
    let mut client = Client::new(access, limits)?;
    let device = client.device();
    let time = Box::pin(set_clock(&mut client)).await?;
    let clock_off_seconds =
        time.map(|time| (time - OffsetDateTime::now_utc()).whole_seconds().unsigned_abs());
    // The first question for which cameras demand the password.
    let information = match Box::pin(client.ask(&device, &media::ask_information())).await {
        Ok(answer) => media::information(&answer),
        Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
            debug!(%error, "the camera does not say what it is");
            Information::default()
        }
        Err(error) => return Err(error.into()),
    };
    let profiles = match Box::pin(profiles(&mut client, access)).await {
        Err(OnvifError::Unauthorized) if information != Information::default() => {
            return Err(OfferError::Right);
        }
        profiles => profiles?,
    };
    let Information { manufacturer, model, firmware } = information;
    Ok(Offer { manufacturer, model, firmware, clock_off_seconds, certificate: access.certificate, profiles })
}

async fn profiles(client: &mut Client, access: &OnvifAccess) -> Result<Vec<Profile>, OnvifError> {
    let device = client.device();
    let mut refused = None;
    // Old cameras know the second question alone.
    for request in [messages::ask_services(), messages::ask_capabilities()] {
        let answer = match client.ask(&device, &request).await {
            Ok(answer) => answer,
            Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
                refused = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        // Of both services the one that has streams; some makes leave the newer empty.
        for (service, named) in media::services(&answer) {
            let target = client.target(named, String::new())?;
            let told = match client.ask(&target, &media::ask_profiles(service)).await {
                Ok(answer) => media::profiles(&answer),
                Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut found = Vec::new();
            for profile in told {
                let answer = match client.ask(&target, &media::ask_stream(service, &profile.token)).await {
                    Ok(answer) => answer,
                    Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
                        debug!(%error, "the camera does not say where one of its streams is");
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let Some(url) = media::stream_url(&answer, &access.url) else { continue };
                found.push(Profile {
                    name: profile.name,
                    url,
                    codec: profile.codec,
                    width: profile.width,
                    height: profile.height,
                    frames_per_second: profile.frames_per_second,
                    kilobits_max: profile.kilobits_max,
                    key_frame_every: profile.key_frame_every,
                    has_audio: profile.has_audio,
                });
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    // Where nothing was refused there is no stream: said by an empty list.
    refused.map_or(Ok(Vec::new()), Err)
}
