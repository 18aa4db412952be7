//! The connection test: what an administrator sees after typing address and
//! password in, before anything is saved.

use std::time::Duration;

use media::{TrackDescription, TrackKind};
use model::{CameraAccess, Hash, Rendition};
use tokio::time::Instant;

use super::{Limits, RtspSource, SourceError, SourceEvent};

/// `report` of a command's result (format.md section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub main: StreamReport,
    /// `None` if the camera has no sub stream configured.
    pub sub: Option<StreamReport>,
    /// The pinned certificate that the camera showed.
    pub certificate: Option<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// As in RFC 6381.
    pub video_codec: String,
    pub width: u32,
    pub height: u32,
    pub audio_codec: Option<String>,
    /// From the start of the connection.
    pub key_frame_after: Duration,
}

/// Pulls each stream until its first key frame. One after the other: small
/// cameras refuse a second connection while they set up the first.
pub async fn test_camera(access: &CameraAccess, limits: &Limits) -> Result<Report, SourceError> {
    let main = test_stream(access, Rendition::Main, limits).await?;
    let sub = match access.sub_url {
        Some(_) => Some(test_stream(access, Rendition::Sub, limits).await?),
        None => None,
    };
    Ok(Report { main, sub, certificate: access.certificate })
}

async fn test_stream(
    access: &CameraAccess,
    rendition: Rendition,
    limits: &Limits,
) -> Result<StreamReport, SourceError> {
    let started = Instant::now();
    let connecting = RtspSource::connect_any(access, rendition, limits);
    let mut source = Box::pin(connecting).await?;
    loop {
        match source.next().await {
            SourceEvent::Described { tracks, .. } => {
                return Ok(StreamReport::of(&tracks, started.elapsed()));
            }
            SourceEvent::Lost(error) => return Err(error),
            SourceEvent::AccessUnit(_) | SourceEvent::ParametersChanged(_) => {}
        }
    }
}

impl StreamReport {
    fn of(tracks: &[TrackDescription], key_frame_after: Duration) -> Self {
        let find = |kind| tracks.iter().find(|track| track.kind == kind);
        let video = find(TrackKind::Video);
        StreamReport {
            video_codec: video.map(|v| v.codec.clone()).unwrap_or_default(),
            width: video.map_or(0, |v| v.width),
            height: video.map_or(0, |v| v.height),
            audio_codec: find(TrackKind::Audio).map(|a| a.codec.clone()),
            key_frame_after,
        }
    }
}
