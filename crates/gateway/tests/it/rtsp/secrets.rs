//! Credentials show up in no text, not even when a camera sends them back.

use gateway::rtsp::{Limits, SourceError};
use model::{CameraAccess, Secret};

use super::scripted::{self, Answer};
use super::support::{connect, lost, options, pull, quick};

const BASIC: &str = "YWRtaW46aHVudGVyMg==";

fn assert_clean(text: &str) {
    assert!(!text.contains("hunter2") && !text.contains(BASIC), "{text}");
}

fn with_credentials(access: CameraAccess) -> CameraAccess {
    let (username, password) = (Some("admin".into()), Some(Secret::new("hunter2")));
    CameraAccess { username, password, ..access }
}

/// Answers the challenge's answer with `status`, into which it copies what it
/// was told.
async fn echo(status: &'static str) -> SourceError {
    let camera = scripted::camera(move |request| {
        let told = request.lines().find_map(|line| line.strip_prefix("Authorization: "));
        let bytes = match told {
            Some(told) => scripted::response(
                request,
                &status.replace("TOLD", told).replace("PASSWORD", "hunter2"),
                &format!("X-Told: {told}\r\n"),
                told.as_bytes(),
            ),
            None => scripted::response(
                request,
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                b"",
            ),
        };
        Answer { bytes, hang_up: false }
    });
    lost(&with_credentials(camera.await), &quick()).await
}

#[tokio::test]
async fn a_camera_that_sends_them_back_cannot_make_us_print_them() {
    for status in ["503 TOLD PASSWORD", "200 TOLD", "404 PASSWORD", "200 OK"] {
        let error = echo(status).await;
        assert_clean(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn neither_source_nor_access_print_them() {
    let camera = camera_sim::start(options()).await.unwrap();
    let access = camera.access();
    assert_clean(&format!("{access:?} {} {camera:?}", access.url));
    let mut source = connect(&access, &Limits::default()).await.unwrap();
    let (tracks, _, _) = pull(&mut source, 1).await;
    assert_clean(&format!("{source:?} {tracks:?}"));
}
