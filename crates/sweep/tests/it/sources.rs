use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};

use sweep::read::FileSource;
use sweep::source::{Entry, walk};
use sweep::{Baseline, Limits, Notice, Rules, Sweep};

use crate::support::packed;
use crate::{NOW, sweep};

fn names(path: &std::path::Path) -> (Vec<String>, Vec<String>) {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let _ = walk(path, &mut |entry| {
        match entry {
            Entry::File { name, .. } => files.push(name),
            Entry::Skipped { name, why, .. } => skipped.push(format!("{name}: {why}")),
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
    let text = Baseline::default().with(&found, &[], true);
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

/// Holes are not read: 64 GiB of them would take a minute.
#[test]
fn what_lies_behind_a_hole_is_found_where_it_is() {
    const FAR: u64 = 64 << 30;
    const IMAGE: u64 = 1 << 30;
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create_new(folder.path().join("sparse")).expect("a file");
    file.write_all_at(b"\nrtsp://admin:Zebra77crossing@10.0.0.1/live\n\n", 0).expect("a file");
    // Its magic number is in the 17th sector; the sixteen before it stay a hole.
    let iso = packed("genisoimage -quiet -R -o out tree 2>/dev/null");
    assert!(iso[..16 * 2048].iter().all(|byte| *byte == 0));
    file.write_all_at(&iso[16 * 2048..], IMAGE + 16 * 2048).expect("a file");
    // What has zeros before it is in no line.
    let text = format!("\n{}\nrtsp://admin:Giraffe12neck@10.0.0.1/live\n", ".".repeat(100));
    file.write_all_at(text.as_bytes(), FAR + 4321).expect("a file");
    file.set_len(2 * FAR).expect("a file");
    if file.metadata().expect("a file").blocks() * 512 > IMAGE {
        return; // This file system has no holes.
    }
    let source = FileSource::new(fs::File::open(folder.path().join("sparse")).expect("a file"));
    let (mut found, mut parts) = (Vec::new(), Vec::new());
    let sweep = Sweep { rules: &Rules::built_in(), limits: Limits::default(), now: NOW };
    let totals = sweep.input("sparse", &source.expect("a file"), &mut |notice| {
        match notice {
            Notice::Found(finding) => found.push((finding.location.offset, finding.location.line)),
            Notice::Part { chain, .. } => parts.push(chain.join("/")),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!(totals.read, 2 * FAR);
    assert!(parts.iter().any(|part| part.ends_with("0x40000000:etc/camera.conf")), "{parts:?}");
    let ends = iso.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].1, Some(2));
    assert_eq!(found[1].1, Some(3 + 2 + 1 + ends), "lines go on behind holes: {found:?}");
    assert_eq!(found[1].0 - found[0].0, FAR + 4321 + 101);
}
