//! What tests of what cameras tell have in common: a camera that wants a
//! password, how it is asked, and what it says next.

use std::time::Duration;

use camera_sim::{Credentials, Fault, OnvifOptions, Options, Running};
use gateway::onvif::{EventStream, OnvifAccess, OnvifError, Subscription};
use model::{CameraEvent, Secret};
use tokio::time::timeout;

use crate::rtsp::support::pictures;

pub(crate) fn options(onvif_options: OnvifOptions, fault: Option<Fault>) -> Options {
    Options {
        main: pictures(),
        sub: None,
        credentials: Some(Credentials { username: "admin".into(), password: Secret::new("hunter2") }),
        onvif: Some(([127, 0, 0, 1], 0).into()),
        onvif_options,
        fault,
        ..Options::default()
    }
}

pub(crate) async fn camera(onvif_options: OnvifOptions, fault: Option<Fault>) -> Running {
    camera_sim::start(options(onvif_options, fault)).await.unwrap()
}

/// With the camera's password, at its device service.
pub(crate) fn access(camera: &Running) -> OnvifAccess {
    OnvifAccess {
        url: camera.onvif_url().unwrap().parse().unwrap(),
        username: Some("admin".into()),
        password: Some(Secret::new("hunter2")),
        certificate: None,
    }
}

pub(crate) trait Hearing {
    async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError>;
}

impl Hearing for Subscription {
    async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError> {
        Subscription::next(self).await
    }
}

impl Hearing for EventStream {
    async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError> {
        EventStream::next(self).await
    }
}

/// What is told next; a test that hears nothing for so long has failed.
pub(crate) async fn hear(camera: &mut impl Hearing) -> Vec<CameraEvent> {
    let hearing = async {
        loop {
            let events = camera.next().await.unwrap();
            if !events.is_empty() {
                return events;
            }
        }
    };
    timeout(Duration::from_secs(60), hearing).await.expect("an event within a minute")
}
