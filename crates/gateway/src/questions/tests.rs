use std::sync::Arc;

use model::{CameraUrl, GatewayId, OrgId};
use seal::answer::Profile;
use seal::keys::{KemSecret, SigningKey};

use super::*;

fn identity() -> Identity {
    Identity {
        id: GatewayId::from_random([2; 16]),
        name: "Test".into(),
        kem: Arc::new(KemSecret::from_seed([3; 32])),
        sign: Arc::new(SigningKey::from_seed([4; 32])),
    }
}

/// The attack: a camera answers with so much that nobody could read the result.
#[test]
fn an_answer_that_is_too_large_to_be_signed_is_an_error_in_words() {
    let identity = identity();
    let url = CameraUrl::parse(&format!("rtsp://192.0.2.10/{}", "x".repeat(1_900))).unwrap();
    let profile = Profile {
        name: "Stream".into(),
        url,
        codec: "H264".into(),
        width: 16,
        height: 16,
        frames_per_second: None,
        kilobits_max: None,
        key_frame_every: None,
        has_audio: false,
    };
    let asker = (model::DeviceId::from_random([5; 16]), KemSecret::from_seed([6; 32]).public());
    for (count, fits) in [(90, true), (120, false)] {
        let profiles = vec![profile.clone(); count];
        let [manufacturer, model, firmware] = [None, None, None];
        let (clock_off_seconds, certificate) = (None, None);
        let offer = Offer { manufacturer, model, firmware, clock_off_seconds, certificate, profiles };
        let outcome = Ok(Said::sealed(Answer::Offer(offer)));
        let org = OrgId::from_random([1; 16]);
        let signed = sign_result(&identity, org, Some(&asker), "nonce".into(), outcome);
        let key = identity.sign.verifying_key();
        let result = CommandResult::verify(&signed, identity.id, key, "nonce").unwrap();
        assert_eq!((result.ok, result.answer.is_some()), (fits, fits), "{count}");
        assert_eq!(result.error.is_some_and(|words| words.contains("256 KiB")), !fits);
    }
}

fn found(urls: &[&str]) -> Found {
    let camera = |url: &&str| FoundCamera {
        address: "192.0.2.10".into(),
        onvif_urls: vec![OnvifUrl::parse(url).unwrap()],
        name: None,
        hardware: None,
        location: None,
        camera: None,
    };
    Found { cameras: urls.iter().map(camera).collect(), asked: 1, left_out: 0, more: false }
}

#[test]
fn a_camera_of_a_recorder_is_not_taken_for_its_neighbour() {
    let id = CameraId::from_random([7; 16]);
    let access = |onvif: Option<&str>| CameraAccess {
        url: CameraUrl::parse("rtsp://192.0.2.10/1").unwrap(),
        sub_url: None,
        username: None,
        password: None,
        certificate: None,
        onvif_url: onvif.map(|url| OnvifUrl::parse(url).unwrap()),
    };
    let known = |onvif| BTreeMap::from([(id, access(onvif))]);
    let marks = |urls: &[&str], onvif| -> Vec<bool> {
        let cameras = marked(found(urls), &known(onvif)).cameras;
        cameras.iter().map(|camera| camera.camera == Some(id)).collect()
    };
    let channels = ["http://192.0.2.10/onvif/1", "http://192.0.2.10/onvif/2", "http://192.0.2.10:81/onvif/2"];
    assert_eq!(marks(&channels, Some("http://192.0.2.10/onvif/2")), [false, true, false]);
    assert_eq!(marks(&channels, Some("http://192.0.2.10/onvif/3")), [false; 3]);
    // One camera, whose address somebody wrote by hand; and one without events.
    assert_eq!(marks(&channels[..1], Some("http://192.0.2.10/onvif/device_service")), [true]);
    assert_eq!(marks(&channels[..1], Some("http://192.0.2.10:81/onvif/1")), [false]);
    assert_eq!(marks(&channels[..1], None), [true]);
}
