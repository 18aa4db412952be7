use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

use sweep::source::{Entry, walk};
use sweep::{Baseline, Rules};

use crate::{NOW, sweep};

fn names(path: &std::path::Path) -> (Vec<String>, Vec<String>) {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let _ = walk(path, &mut |entry| {
        match entry {
            Entry::File { name, .. } => files.push(name),
            Entry::Skipped { name, why } => skipped.push(format!("{name}: {why}")),
        }
        ControlFlow::Continue(())
    });
    (files, skipped)
}

#[test]
fn links_lead_nowhere_and_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("a/b")).expect("folders");
    fs::write(folder.path().join("outside"), "x").expect("a file");
    fs::write(root.join("a/b/inside"), "x").expect("a file");
    symlink(&root, root.join("a/b/cycle")).expect("a link");
    symlink(folder.path().join("outside"), root.join("out")).expect("a link");
    let (files, skipped) = names(&root);
    assert_eq!(files, [root.join("a/b/inside").to_string_lossy()]);
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped.iter().all(|why| why.ends_with("a link, not followed")));
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, skipped) = names(&folder.path().join("absent"));
    assert!(files.is_empty());
    assert_eq!(skipped.len(), 1);
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(names(folder.path()).1[0].ends_with("no regular file"));
}

#[test]
fn a_baseline_hides_what_it_names_until_its_end_and_holds_no_secret() {
    let rules = Rules::built_in();
    let (found, _) = sweep(&rules, b"rtsp://admin:Zebra77crossing@10.0.0.1/live\n");
    let text = Baseline::write(&found);
    assert!(!text.contains("Zebra77"));
    let baseline = Baseline::read(&text, NOW).expect("its own form");
    assert!(baseline.knows(&found[0]));
    let (other, _) = sweep(&rules, b"rtsp://admin:Giraffe12neck@10.0.0.1/live\n");
    assert!(!baseline.knows(&other[0]));
    let ends = text.replace("\"place\"", "\"until\": 1795824001, \"reason\": \"being replaced\", \"place\"");
    assert!(Baseline::read(&ends, NOW).expect("its own form").knows(&found[0]));
    assert!(!Baseline::read(&ends, NOW + 1).expect("its own form").knows(&found[0]));
    assert!(Baseline::read("{\"version\": 2, \"findings\": []}", NOW).is_err());
}
