//! What a gateway signed for, against what the cloud lists: `lenskeep recording
//! check`, and a cloud that hides something.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{Base64, GatewayId, Hash, OrgId, Timestamp};
use seal::hour::{Hour, HourRecording};
use seal::keys::SigningKey;
use seal::recording::Recording;
use serde::Deserialize;
use serde_json::Value;

use crate::audit::sql;
use crate::support::OneBox;

/// `identity.json` of a gateway.
#[derive(Deserialize)]
struct Identity {
    id: GatewayId,
    sign: Base64,
}

fn recordings(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recordings(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "lkr") {
            found.push(path);
        }
    }
}

/// Signs for all that the store has of the camera, as its gateway does when an hour
/// is over, and puts that into the store and the cloud's index. Gives the last
/// object's file, and the ids of the recordings.
fn sign_for_all(site: &OneBox, camera: &str) -> (PathBuf, Vec<Hash>) {
    let identity = std::fs::read(site.data().join("gateway/identity.json")).unwrap();
    let identity: Identity = serde_json::from_slice(&identity).unwrap();
    let key = SigningKey::from_seed(identity.sign.0.try_into().unwrap());
    let footage = site.data().join("cloud/store/footage");
    let org = std::fs::read_dir(&footage).unwrap().next().unwrap().unwrap().file_name();
    let org: OrgId = org.to_str().unwrap().parse().unwrap();
    let mut files = Vec::new();
    recordings(&footage, &mut files);
    let (mut hours, mut ids): (BTreeMap<Timestamp, Vec<HourRecording>>, _) = (BTreeMap::new(), Vec::new());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let recording = Recording::parse(&bytes).unwrap();
        let (header, footer) = (&recording.header.header, recording.footer.as_ref().unwrap());
        let (id, started_at) = (recording.header.id, header.started_at);
        ids.push(id);
        let hour = started_at.hour();
        hours.entry(hour).or_default().push(HourRecording {
            rendition: header.rendition,
            started_at,
            duration_ms: footer.duration_ms,
            bytes: bytes.len() as u64,
            id,
            root: footer.root,
            stored: true,
        });
    }
    let (mut previous, mut last) = (None, PathBuf::new());
    for (number, (hour, mut recordings)) in (0_u64..).zip(hours) {
        recordings.sort_by_key(|recording| (recording.started_at, recording.rendition, recording.id));
        let made_at = hour.plus_ms(Timestamp::HOUR);
        let hour = Hour {
            org,
            gateway: identity.id,
            camera: camera.parse().unwrap(),
            hour,
            number,
            previous,
            made_at,
            recordings,
            gaps: Vec::new(),
        };
        let envelope = hour.sign(&key);
        let hash = seal::sha256(&envelope.payload.0);
        last = footage.join(hour.object_name(hash));
        std::fs::create_dir_all(last.parent().unwrap()).unwrap();
        std::fs::write(&last, serde_json::to_vec(&envelope).unwrap()).unwrap();
        let begin = hour.hour.0;
        sql(site, &format!("INSERT INTO hours VALUES ('{org}', '{camera}', '{hash}', {begin}, {number})"));
        previous = Some(hash);
    }
    (last, ids)
}

/// What it says, good or bad, and whether it was good.
fn check(site: &OneBox, camera: &str) -> (bool, String) {
    let output = site.run(&["recording", "check", camera, "--from", "1h"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

#[test]
fn a_cloud_that_hides_what_was_signed_for_is_caught() {
    let (mut site, camera) = OneBox::with_camera();
    let (good, said) = check(&site, &camera);
    assert!(good && said.contains("No index is shown."), "{said}");
    site.succeed(&["camera", "watch", &camera, "--seconds", "4", "--json"]);
    site.terminate();
    site.start();
    site.recordings(&camera, 1);
    let (object, ids) = sign_for_all(&site, &camera);

    let (good, said) = check(&site, &camera);
    assert!(good && said.contains(&format!("{} recordings and 0 gaps are signed for.", ids.len())), "{said}");
    assert!(said.contains("Later ones can be held back by the cloud"), "{said}");
    let json = site.succeed(&["recording", "check", &camera, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["recordings"], &json["missing_recordings"]),
        (&ids.len().into(), &Value::Array(vec![]))
    );
    let error = site.fail(&["recording", "check", &camera, "--local", "127.0.0.1:1"]);
    assert!(error.contains("goes through the cloud"), "{error}");
    let error = site.fail(&["recording", "check", &camera, "--from", "1h", "--to", "2h"]);
    assert!(error.contains("--from must be before --to"), "{error}");

    // Hidden from the list.
    sql(&site, &format!("UPDATE recordings SET camera = 'elsewhere' WHERE id = '{}'", ids[0]));
    let (good, said) = check(&site, &camera);
    assert!(!good && said.contains("MISSING  recording") && said.contains(&ids[0].to_string()), "{said}");
    assert!(said.contains("1 recordings missing") && said.contains("ask whoever runs the cloud"), "{said}");
    let output = site.run(&["recording", "check", &camera, "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success());
    assert_eq!(json["missing_recordings"][0]["id"], ids[0].to_string());
    sql(&site, &format!("UPDATE recordings SET camera = '{camera}' WHERE id = '{}'", ids[0]));
    assert!(check(&site, &camera).0);

    // The index itself altered, and lost.
    let genuine = std::fs::read_to_string(&object).unwrap();
    let mut envelope: Value = serde_json::from_str(&genuine).unwrap();
    let mut payload: Base64 = serde_json::from_value(envelope["payload"].clone()).unwrap();
    let at = payload.0.windows(11).position(|bytes| bytes == b"\"duration_m").unwrap();
    let digit = at + payload.0[at..].iter().position(|byte| byte.is_ascii_digit()).unwrap();
    payload.0[digit] = if payload.0[digit] == b'1' { b'2' } else { b'1' };
    envelope["payload"] = serde_json::to_value(&payload).unwrap();
    std::fs::write(&object, envelope.to_string()).unwrap();
    let (good, said) = check(&site, &camera);
    assert!(!good && said.contains("REFUSED  ") && said.contains("1 indexes refused"), "{said}");
    std::fs::remove_file(&object).unwrap();
    let (good, said) = check(&site, &camera);
    assert!(!good && said.contains("the cloud says that its store has it no more"), "{said}");
    std::fs::write(&object, genuine).unwrap();
    assert!(check(&site, &camera).0);
}
