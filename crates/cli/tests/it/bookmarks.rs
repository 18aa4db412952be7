//! Bookmarks by the command line, with a real gateway that locks what is marked.

use serde_json::Value;

use crate::support::OneBox;

fn listed(site: &OneBox) -> Vec<Value> {
    let list: Value = serde_json::from_str(&site.succeed(&["bookmark", "list", "--json"])).unwrap();
    assert_eq!(list["unsigned"], 0, "{list}");
    list["bookmarks"].as_array().unwrap().clone()
}

#[test]
fn footage_is_marked_locked_and_marked_no_more_by_the_command_line() {
    let (mut site, camera) = OneBox::with_camera();
    let began = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_secs(6));
    // A graceful end closes the recording.
    site.terminate();
    site.start();
    site.recordings(&camera, 1);
    assert!(site.succeed(&["bookmark", "list"]).contains("Nothing is marked"));

    let note = "a parcel is taken";
    let range = ["--camera", &camera, "--from", "2m", "--to", "now"];
    let add = |more: &[&'static str]| -> Vec<&str> { [&["bookmark", "add"][..], &range, more].concat() };
    let said = site.succeed(&add(&["--note", note, "--case", "Parcel"]));
    let bookmark = said.trim().to_owned();
    let found = listed(&site);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["note"], &found[0]["case"]), (&note.into(), &"Parcel".into()), "{found:?}");
    assert_eq!((&found[0]["lock"], &found[0]["bookmark"]), (&"none".into(), &bookmark.as_str().into()));
    let words = site.succeed(&["bookmark", "list", "--camera", &camera]);
    assert!(words.contains(note) && words.contains("case Parcel"), "{words}");
    // The gateway itself says that it holds it.
    let said = site.succeed(&["bookmark", "lock", &bookmark]);
    assert!(said.contains("The gateway holds") && !said.contains(" 0 recordings"), "{said}");
    let found = listed(&site);
    assert_eq!((&found[0]["lock"], &found[0]["note"]), (&"locked".into(), &note.into()), "{found:?}");
    assert!(found[0]["recordings"].as_u64().unwrap() >= 1, "{found:?}");
    let error = site.fail(&["bookmark", "remove", &bookmark]);
    assert!(error.contains("locks footage"), "{error}");
    let said = site.succeed(&["bookmark", "lock", &bookmark, "--until", "2035-12-31"]);
    assert!(said.contains("The gateway holds"), "{said}");
    let words = site.succeed(&["bookmark", "list"]);
    assert!(words.contains("Until 2035-12-31"), "{words}");
    let said = site.succeed(&["bookmark", "unlock", &bookmark]);
    assert!(said.contains("holds it no more"), "{said}");
    let error = site.fail(&["bookmark", "unlock", &bookmark]);
    assert!(error.contains("locks nothing"), "{error}");
    assert_eq!((&listed(&site)[0]["lock"], &listed(&site)[0]["note"]), (&"none".into(), &note.into()));

    // Half-way through what was recorded before.
    let ago = format!("{}s", began.elapsed().as_secs() - 3);
    let moment = site.succeed(&["bookmark", "add", "--camera", &camera, "--from", &ago]);
    let error = site.fail(&["bookmark", "lock", moment.trim()]);
    assert!(error.contains("a stretch of time"), "{error}");
    for marked in [moment.trim(), &bookmark] {
        site.succeed(&["bookmark", "remove", marked]);
    }
    assert_eq!(listed(&site).len(), 0);
}

#[test]
fn what_cannot_be_marked_says_why() {
    let (site, camera) = OneBox::with_camera();
    let range = ["--camera", &camera, "--from", "2d", "--to", "1d"];
    let error = site.fail(&[&["bookmark", "add"][..], &range].concat());
    assert!(error.contains("nothing is recorded there yet"), "{error}");
    let error = site.fail(&[&["bookmark", "add"][..], &range, &["--until", "2035-12-31"]].concat());
    assert!(error.contains("--lock"), "{error}");
    let error = site.fail(&["bookmark", "lock", "bm_00000000000000000000000000000000"]);
    assert!(error.contains("there is no bookmark"), "{error}");
    let error = site.fail(&["--local", "127.0.0.1:1", "bookmark", "list"]);
    assert!(error.contains("goes through the cloud"), "{error}");
}
