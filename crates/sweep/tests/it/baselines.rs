//! What a baseline keeps, and whatever happens to the file.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use sweep::{Baseline, Finding, Places, Rules, baseline};

use crate::NOW;

const TEXT: &str = "rtsp://admin:Zebra77crossing@10.0.0.1/live\n";

/// The finding in a file of this name.
fn found(name: &str) -> Vec<Finding> {
    let (mut found, _) = crate::sweep(&Rules::built_in(), TEXT.as_bytes());
    found[0].location.chain[0] = name.to_owned();
    found
}

#[test]
fn a_baseline_knows_a_file_however_its_path_is_spelt() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("cams/a")).expect("folders");
    let whole = folder.path().join("cams");
    let at = |typed: &Path| {
        let name = typed.join("a/cam.conf").to_string_lossy().into_owned();
        (Places::new(folder.path(), &[typed.to_owned()]), found(&name))
    };
    let (places, first) = at(Path::new("./cams"));
    let text = Baseline::default().at(&places).with(&first, &[], true);
    assert!(text.contains("\"cams/a/cam.conf\""), "{text}");
    let knows = |(places, found): (Places, Vec<Finding>)| {
        Baseline::read(&text, NOW).expect("its own form").at(&places).knows(&found[0])
    };
    for typed in [Path::new("cams"), Path::new("./cams/"), Path::new("cams/../cams"), &whole] {
        assert!(knows(at(typed)), "{}", typed.display());
    }
    // The file itself, and the folder around it.
    let file = PathBuf::from("./cams/a/cam.conf");
    assert!(knows((Places::new(folder.path(), std::slice::from_ref(&file)), found("./cams/a/cam.conf"))));
    assert!(knows((Places::new(folder.path(), &[".".into()]), found("./cams/a/cam.conf"))));
    assert!(!knows((Places::new(folder.path(), &[".".into()]), found("./cams/b/cam.conf"))));
    // The attack: the same name and password below a folder that is named by itself.
    let inner = PathBuf::from("b");
    assert!(!knows((Places::new(folder.path(), std::slice::from_ref(&inner)), found("b/cams/a/cam.conf"))));
}

/// The card is known at another place where it is mounted.
#[test]
fn a_baseline_of_what_lies_elsewhere_goes_by_what_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for made in ["home", "media/one", "media/two"] {
        fs::create_dir_all(folder.path().join(made)).expect("folders");
    }
    let at = |card: &str| {
        let card = folder.path().join("media").join(card);
        let name = card.join("etc/cam.conf").to_string_lossy().into_owned();
        (Places::new(&folder.path().join("home"), &[card]), found(&name))
    };
    let (places, first) = at("one");
    let text = Baseline::default().at(&places).with(&first, &[], true);
    assert!(text.contains("\"etc/cam.conf\"") && !text.contains("media"), "{text}");
    let (places, other) = at("two");
    assert!(Baseline::read(&text, NOW).expect("its own form").at(&places).knows(&other[0]));
}

#[test]
fn reasons_and_ends_stay_when_a_baseline_is_written_again() {
    let both = [found("a.conf"), found("b.conf")].concat();
    let noted = Baseline::default()
        .with(&both[..1], &[], true)
        .replace("\"place\"", "\"reason\": \"being replaced\", \"until\": 1795824001, \"place\"");
    for now in [NOW, NOW + 100] {
        let before = Baseline::read(&noted, now).expect("its own form");
        let text = before.with(&both, &[], true);
        assert_eq!(text.matches("being replaced").count(), 1, "{text}");
        assert_eq!(text.matches("1795824001").count(), 1, "{text}");
        assert_eq!(text.matches("fingerprint").count(), 2, "{text}");
        let after = Baseline::read(&text, now).expect("its own form");
        assert!(after.knows(&both[1]));
        assert_eq!(after.knows(&both[0]), now == NOW, "what ended is not made endless");
    }
    // Notes of the one that hides are taken as well; what was found no more is not kept.
    let mut before = Baseline::default();
    before.notes_of(&Baseline::read(&noted, NOW).expect("its own form"));
    assert!(before.with(&both, &[], true).contains("being replaced"));
    assert!(!before.with(&both[1..], &[], true).contains("being replaced"));
    // What could not be read this time stays known, with its reason.
    let before = Baseline::read(&noted, NOW).expect("its own form");
    let text = before.with(&both[1..], &[], false);
    assert!(text.contains("being replaced") && text.matches("fingerprint").count() == 2, "{text}");
    // One that stands twice in a file is one entry.
    assert_eq!(
        Baseline::default()
            .with(&[found("a.conf"), found("a.conf")].concat(), &[], true)
            .matches("rule")
            .count(),
        1
    );
}

#[test]
fn a_baseline_is_written_in_one_step_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("known.json");
    baseline::save(&path, "one").expect("a new file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    symlink("known.json", folder.path().join("link")).expect("a link");
    baseline::save(&folder.path().join("link"), "two").expect("through a link");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "two");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    baseline::save(&folder.path().join("none/known.json"), "x").expect_err("no such folder");
    baseline::save(folder.path(), "x").expect_err("a folder");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "nothing half written stays: {left:?}");
}

#[test]
fn what_is_no_baseline_is_said_once() {
    use std::error::Error as _;
    let error = Baseline::read("[1, 2", NOW).expect_err("no baseline");
    let why = error.source().expect("what is wrong").to_string();
    assert!(error.to_string().contains("no baseline") && !error.to_string().contains(&why), "{error}: {why}");
}
