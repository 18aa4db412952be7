//! Still pictures of cameras, good and bad, against [`gateway::onvif`].

use camera_sim::{Fault, Identity, OnvifAuth, OnvifOptions, Options, Running};
use gateway::onvif::{Limits, OnvifAccess, OnvifError, StillCamera};
use media::jpeg::{BYTES_MAX, JpegError, Still};
use model::Secret;

use crate::rtsp::support::pictures;
use crate::support::{access, options};

/// With a second stream, since pictures are those of the smallest.
async fn camera(onvif_options: OnvifOptions, fault: Option<Fault>) -> Running {
    let options = Options { sub: Some(pictures()), ..options(onvif_options, fault) };
    camera_sim::start(options).await.unwrap()
}

async fn take(access: &OnvifAccess) -> Result<Option<Still>, OnvifError> {
    match Box::pin(StillCamera::find(access, &Limits::default())).await? {
        Some(mut camera) => Box::pin(camera.take()).await.map(Some),
        None => Ok(None),
    }
}

#[tokio::test]
async fn a_still_picture_is_taken_with_every_way_to_sign_in() {
    for (auth, old_media) in [
        (OnvifAuth::UsernameToken, false),
        (OnvifAuth::UsernameToken, true),
        (OnvifAuth::Md5, false),
        (OnvifAuth::Sha256, true),
    ] {
        let camera = camera(OnvifOptions { auth, old_media, ..OnvifOptions::default() }, None).await;
        let still = take(&access(&camera)).await.unwrap().unwrap();
        assert!(still.width >= 64 && still.height >= 36, "{still:?}");
        assert!(still.bytes().starts_with(&[0xff, 0xd8]) && still.bytes().ends_with(&[0xff, 0xd9]));
        let wrong = OnvifAccess { password: Some(Secret::new("wrong")), ..access(&camera) };
        assert_eq!(take(&wrong).await, Err(OnvifError::Unauthorized), "{auth:?}");
    }
    // In the clear its password is sent to nobody; inside TLS with its certificate it is.
    let basic = OnvifOptions { auth: OnvifAuth::Basic, ..OnvifOptions::default() };
    let plain = camera(basic.clone(), None).await;
    assert_eq!(take(&access(&plain)).await, Err(OnvifError::BasicWithoutTls));
    let identity = Identity::generate().unwrap();
    let pin = identity.fingerprint();
    let secret = camera(OnvifOptions { tls: Some(identity), ..basic }, None).await;
    let pinned = OnvifAccess { certificate: Some(pin), ..access(&secret) };
    assert!(take(&pinned).await.unwrap().is_some());
    let other = OnvifAccess { certificate: Some(model::Hash([9; 32])), ..access(&secret) };
    assert!(matches!(take(&other).await, Err(OnvifError::WrongCertificate { .. })));
}

#[tokio::test]
async fn what_shows_the_moment_changes_with_it() {
    let camera = camera(OnvifOptions::default(), None).await;
    let mut stills =
        Box::pin(StillCamera::find(&access(&camera), &Limits::default())).await.unwrap().unwrap();
    let first = Box::pin(stills.take()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_ne!(Box::pin(stills.take()).await.unwrap(), first, "its clock goes on");
}

#[tokio::test]
async fn whatever_a_camera_gives_in_place_of_a_picture_is_refused() {
    let rows = [
        (Fault::StillHtml, Some(JpegError::NoJpeg)),
        (Fault::StillGarbage, Some(JpegError::NoJpeg)),
        (Fault::StillVast, Some(JpegError::Size)),
        (Fault::StillEndless, None),
        (Fault::StillSlow, None),
        (Fault::StillRedirect, None),
    ];
    for (fault, expected) in rows {
        let named = Some("http://127.0.0.1:9".to_owned());
        let options = OnvifOptions { named, ..OnvifOptions::default() };
        let camera = camera(options, Some(fault)).await;
        let error = take(&access(&camera)).await.unwrap_err();
        match (expected, fault) {
            (Some(expected), _) => assert_eq!(error, OnvifError::Still(expected), "{fault:?}"),
            (None, Fault::StillEndless) => {
                assert!(matches!(error, OnvifError::AnswerTooLong { bytes: BYTES_MAX, .. }), "{error:?}");
            }
            (None, Fault::StillSlow) => {
                assert!(matches!(error, OnvifError::AnswerTimeout { .. }), "{error:?}");
            }
            (None, _) => assert!(matches!(error, OnvifError::Redirected { .. }), "{error:?}"),
        }
    }
    let camera = camera(OnvifOptions::default(), Some(Fault::StillNone)).await;
    assert_eq!(take(&access(&camera)).await, Ok(None), "which is no error");
}

#[tokio::test]
async fn a_camera_has_the_gateway_talk_to_nobody_else() {
    let camera = camera(OnvifOptions::default(), Some(Fault::StillElsewhere)).await;
    // It says 169.254.169.254, and is asked itself.
    let still = take(&access(&camera)).await.unwrap();
    assert!(still.is_some() && camera.stills() > 0);
}

#[tokio::test]
async fn nothing_is_left_of_a_file_but_its_picture() {
    let camera = camera(OnvifOptions::default(), Some(Fault::StillScript)).await;
    let still = take(&access(&camera)).await.unwrap().unwrap();
    for word in [&b"script"[..], b"GPS", b"PK\x03\x04"] {
        assert!(!still.bytes().windows(word.len()).any(|window| window == word));
    }
}
