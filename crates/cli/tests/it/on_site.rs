//! A store that takes nothing: what the gateway has alone is listed, exported
//! and proven through its link, and is the same when the store has it at last.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::local::Site;
use crate::support::{OneBox, ffprobe};

const PATIENCE: Duration = Duration::from_secs(90);

/// Where the store puts recordings; a file in its place takes none.
fn footage(cloud: &OneBox) -> PathBuf {
    cloud.data().join("cloud/store/footage")
}

/// The list of recordings, as soon as it is so.
fn listed(cloud: &OneBox, camera: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let list = cloud.succeed(&["recording", "list", "--camera", camera, "--json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        if is_so(&list) {
            return list;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {list}");
        // Each look signs in, and sign-ins are limited to one a second for long.
        std::thread::sleep(Duration::from_millis(2_500));
    }
}

fn on_site(list: &Value) -> Vec<&Value> {
    list["recordings"].as_array().unwrap().iter().filter(|listed| listed["on_site"] == true).collect()
}

#[test]
fn what_was_not_forwarded_is_listed_exported_and_proven_through_the_gateway() {
    let mut site = Site::after(|cloud| {
        std::fs::create_dir_all(footage(cloud).parent().unwrap()).unwrap();
        std::fs::write(footage(cloud), "nothing goes in here").unwrap();
    });
    let camera = site.camera.clone();
    let list = listed(&site.cloud, &camera, |list| on_site(list).len() >= 3);
    assert_eq!(on_site(&list).len(), list["recordings"].as_array().unwrap().len(), "{list}");
    assert_eq!(list["site_unreachable"], false, "{list}");
    let words = site.cloud.succeed(&["recording", "list", "--camera", &camera]);
    assert!(words.contains("on the gateway") && !words.contains("does not answer"), "{words}");

    let path = |name: &str| site.cloud.path(name).to_str().unwrap().to_owned();
    let (film, proof, later) = (path("film.mp4"), path("film.lkproof"), path("later.mp4"));
    let export = |out: &str| {
        let range = ["export", "--camera", &camera, "--from", "10m"].map(str::to_owned);
        [range.as_slice(), &[out.to_owned()]].concat()
    };
    let arguments = [export(&film), vec!["--proof".to_owned(), proof.clone()]].concat();
    site.cloud.succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(ffprobe(film.as_ref(), "stream=codec_name").contains("codec_name=h264"));
    let said = site.cloud.succeed(&["verify", &proof]);
    assert!(said.contains("genuine  part 1 of"), "{said}");
    // Nothing of it has come into the store, not by this way either.
    assert!(footage(&site.cloud).is_file());

    site.kill_gateway();
    listed(&site.cloud, &camera, |list| list["site_unreachable"] == true);
    let words = site.cloud.succeed(&["recording", "list", "--camera", &camera]);
    assert!(words.contains("The gateway does not answer"), "{words}");
    let arguments = export(&later);
    let error = site.cloud.fail(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("the gateway does not answer, and may have some"), "{error}");

    site.start_gateway();
    let list = listed(&site.cloud, &camera, |list| on_site(list).len() >= 3);
    let kept: Vec<Value> = on_site(&list).into_iter().map(|listed| listed["id"].clone()).collect();
    std::fs::remove_file(footage(&site.cloud)).unwrap();
    let forwarded = |list: &Value| {
        let listed = list["recordings"].as_array().unwrap();
        kept.iter().all(|id| listed.iter().any(|r| r["id"] == *id && r["on_site"] == false))
    };
    let list = listed(&site.cloud, &camera, forwarded);
    let ids: Vec<&Value> = list["recordings"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    let once: std::collections::BTreeSet<String> = ids.iter().map(|id| id.to_string()).collect();
    assert_eq!(ids.len(), once.len(), "each stands there once: {list}");
    let arguments = export(&later);
    site.cloud.succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    // The film of before is the beginning of this one.
    let seconds = |film: &str| {
        let said = ffprobe(film.as_ref(), "format=duration");
        said.trim().rsplit('=').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(seconds(&later) > seconds(&film), "{} {}", seconds(&later), seconds(&film));
}
