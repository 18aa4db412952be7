//! The connection test: what an administrator sees after typing address and
//! password in, before anything is saved. Looking takes some seconds more, and
//! says what a stream costs.

use std::time::Duration;

use bytes::Bytes;
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
    Ok(described(access, rendition, limits).await?.1)
}

/// Up to the first key frame, which comes next.
async fn described(
    access: &CameraAccess,
    rendition: Rendition,
    limits: &Limits,
) -> Result<(RtspSource, StreamReport, Vec<TrackDescription>), SourceError> {
    let started = Instant::now();
    let connecting = RtspSource::connect_any(access, rendition, limits);
    let mut source = Box::pin(connecting).await?;
    loop {
        match source.next().await {
            SourceEvent::Described { tracks, .. } => {
                let report = StreamReport::of(&tracks, started.elapsed());
                return Ok((source, report, tracks));
            }
            SourceEvent::Lost(error) => return Err(error),
            SourceEvent::AccessUnit(_) | SourceEvent::ParametersChanged(_) => {}
        }
    }
}

/// A stream, and what it was like for some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub report: StreamReport,
    pub bits_per_second: u64,
    pub frames_per_second: u32,
    /// `None`: no second one came meanwhile.
    pub key_frame_every: Option<Duration>,
    /// How much of the stream that is.
    pub looked_for: Duration,
    pub picture: KeyFrame,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    pub codec: String,
    pub description: Option<Bytes>,
    pub data: Bytes,
}

/// How long a stream is looked at for a second key frame.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// And at least, whatever comes.
const LOOK_MIN: Duration = Duration::from_millis(900);

/// The connection test, and what each stream is like. As
/// [`test_camera`], one after the other.
pub async fn look_at_camera(
    access: &CameraAccess,
    limits: &Limits,
) -> Result<(Seen, Option<Seen>), SourceError> {
    let main = Box::pin(look(access, Rendition::Main, limits)).await?;
    let sub = match access.sub_url {
        Some(_) => Some(Box::pin(look(access, Rendition::Sub, limits)).await?),
        None => None,
    };
    Ok((main, sub))
}

async fn look(access: &CameraAccess, rendition: Rendition, limits: &Limits) -> Result<Seen, SourceError> {
    let (mut source, report, tracks) = described(access, rendition, limits).await?;
    let video = tracks.iter().find(|track| track.kind == TrackKind::Video);
    let unusable = || SourceError::BadStream { reason: "it has no video".into() };
    let video = video.ok_or_else(unusable)?;
    let length = |ticks: i64| {
        Duration::from_secs_f64(u32::try_from(ticks).unwrap_or(0).into()) / video.timescale.max(1)
    };
    let until = Instant::now() + LOOK_MAX;
    // The first key frame, and of it and all that follow time, number and bytes.
    let mut first = None;
    let (mut latest, mut pictures, mut bytes, mut key_frame_every) = (0, 0_u32, 0_u64, None);
    loop {
        let Ok(event) = tokio::time::timeout_at(until, source.next()).await else { break };
        let unit = match event {
            SourceEvent::AccessUnit(unit) => unit,
            // What came is whole: a camera may begin anew with other parameters.
            SourceEvent::ParametersChanged(_) if first.is_some() => break,
            SourceEvent::Lost(error) => return Err(error),
            SourceEvent::Described { .. } | SourceEvent::ParametersChanged(_) => continue,
        };
        if unit.track == video.id {
            let began = first.get_or_insert_with(|| (unit.time, unit.data.clone())).0;
            latest = unit.time;
            let so_far = length(unit.time - began);
            if unit.key_frame && unit.time > began && key_frame_every.is_none() {
                key_frame_every = Some(so_far);
            }
            if key_frame_every.is_some() && so_far >= LOOK_MIN && unit.key_frame {
                break;
            }
            pictures += 1;
        }
        bytes += unit.data.len() as u64;
    }
    let (began, data) = first.ok_or(SourceError::NoKeyFrame { seconds: LOOK_MAX.as_secs() })?;
    let looked_for = length(latest - began);
    let seconds = looked_for.as_secs_f64().max(0.1);
    Ok(Seen {
        bits_per_second: ((bytes * 8) as f64 / seconds) as u64,
        frames_per_second: (f64::from(pictures) / seconds).round() as u32,
        key_frame_every,
        looked_for,
        picture: KeyFrame { codec: report.video_codec.clone(), description: video.description.clone(), data },
        report,
    })
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
