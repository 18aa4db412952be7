//! The connection test of a command. A camera that speaks TLS and has no
//! pinned certificate yet gets no password: its fingerprint is reported, and a
//! person confirms it before anything else is said to it.

use model::CameraAccess;
use seal::command::{CameraReport, EventsReport};

use crate::events::Teller;
use crate::onvif::{Offer, OnvifError};
use crate::questions::stream_report;
use crate::rtsp::{self, Limits, SourceError};
use crate::{events, onvif};

pub(crate) async fn test(access: &CameraAccess) -> Result<CameraReport, SourceError> {
    let limits = Limits::default();
    if access.url.is_tls() && access.certificate.is_none() {
        let found = rtsp::probe_certificate(access.url.host(), access.url.port(), &limits).await?;
        return Ok(CameraReport { main: None, sub: None, certificate: Some(found), events: None });
    }
    let report = rtsp::test_camera(access, &limits).await?;
    let events = events(access).await;
    Ok(CameraReport {
        main: Some(stream_report(report.main)),
        sub: report.sub.map(stream_report),
        certificate: report.certificate,
        events,
    })
}

/// What the event service says, if it is to be asked.
pub(crate) async fn events(access: &CameraAccess) -> Option<EventsReport> {
    let url = access.onvif_url.as_ref()?;
    if let Teller::Stream(stream) = Teller::of(url, access) {
        let heard = onvif::probe_stream(&stream, &onvif::Limits::default()).await;
        return Some(EventsReport { error: heard.err().map(|error| error.to_string()) });
    }
    let offer = onvif::probe(&events::access(url, access), &onvif::Limits::default()).await;
    let error = match offer {
        Ok(Offer { pull_points: true, .. }) => None,
        Ok(Offer { events: true, .. }) => Some("the camera's event service makes no pull points".into()),
        Ok(Offer { events: false, .. }) => Some(OnvifError::NoEventService.to_string()),
        Err(error) => Some(error.to_string()),
    };
    Some(EventsReport { error })
}
