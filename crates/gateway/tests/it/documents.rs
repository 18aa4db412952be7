//! What a camera of Axis writes down of itself, as the simulated one has it.

use camera_sim::{Fault, OnvifAuth, OnvifOptions};
use gateway::onvif::{DOCUMENT_BYTES_MAX, Documents, Limits, OnvifAccess, OnvifError};
use model::Secret;

use crate::support::{access, camera};

fn options(auth: OnvifAuth) -> OnvifOptions {
    OnvifOptions {
        vapix: true,
        auth,
        parameters: vec!["root.SMTP.Password=north-gate-7".to_owned()],
        log: vec!["ftp login as backup".to_owned()],
        ..OnvifOptions::default()
    }
}

/// Names, and what was read or why it was not.
async fn read(access: &OnvifAccess) -> Result<Vec<(&'static str, String)>, OnvifError> {
    let mut read = Vec::new();
    let mut documents = Documents::of_axis(access, &Limits::default(), DOCUMENT_BYTES_MAX)?;
    while let Some(document) = documents.next().await? {
        let said = match document.read {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.to_string(),
        };
        read.push((document.name, said));
    }
    Ok(read)
}

#[tokio::test]
async fn parameters_logs_and_the_report_are_read_and_one_that_is_not_there_is_told() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let camera = camera(options(auth), None).await;
        let read = read(&access(&camera)).await.unwrap();
        let names: Vec<&str> = read.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["parameters", "system log", "access log", "server report"]);
        assert!(read[0].1.contains("root.SMTP.Password=north-gate-7"));
        assert!(read[1].1.contains("ftp login") && read[3].1.contains("ftp login"));
        assert_eq!(read[2].1, "the camera answered the question for its access log with HTTP status 404");
    }
}

/// A camera locks a user out after some failures: it is not asked four times.
#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let camera = camera(options(OnvifAuth::Md5), None).await;
    let before = camera.onvif_requests();
    let wrong = OnvifAccess { password: Some(Secret::new("hunter3")), ..access(&camera) };
    assert_eq!(read(&wrong).await.unwrap_err(), OnvifError::Unauthorized);
    assert_eq!(camera.onvif_requests() - before, 2, "one to be asked for a digest, and one with it");
}

#[tokio::test]
async fn a_camera_that_leads_elsewhere_or_wants_the_password_in_clear_gets_nothing() {
    let hostile = camera(options(OnvifAuth::Md5), Some(Fault::OnvifRedirect)).await;
    let read_of = read(&access(&hostile)).await.unwrap();
    assert!(
        read_of.iter().all(|(_, said)| said.ends_with("with a redirect, which is not followed")),
        "{read_of:?}"
    );
    let plain = camera(options(OnvifAuth::Basic), None).await;
    assert_eq!(read(&access(&plain)).await.unwrap_err(), OnvifError::BasicWithoutTls);
}
