//! A sweep that was ended goes on where it was.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use sweep::journal::{Done, Journal, JournalError};
use sweep::read::FileSource;
use sweep::{Limits, Notice, Rules, Sweep};

use crate::NOW;

const SECRET: &str = "Zebra77crossing";

fn open(path: &Path, of: &[&str]) -> Result<Journal, JournalError> {
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);
    Journal::open(path, of, &RULES, NOW)
}

fn done(rules: &Rules, name: &str, text: &str) -> Done {
    let mut done = Done::default();
    let (findings, skipped) = (&mut done.findings, &mut done.skipped);
    let totals =
        Sweep { rules, limits: Limits::default(), now: NOW }.input(name, &text.as_bytes(), &mut |notice| {
            match notice {
                Notice::Found(finding) => findings.push(finding),
                Notice::Skipped { chain, why } => skipped.push((chain.to_vec(), why)),
                _ => {}
            }
            ControlFlow::Continue(())
        });
    done.totals = totals;
    done
}

#[test]
fn what_was_done_is_known_again_and_no_secret_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let rules = Rules::built_in();
    let first = done(&rules, "a", &format!("rtsp://admin:{SECRET}@10.0.0.1/live\n"));
    assert_eq!(first.findings.len(), 1);
    let mut journal = open(&path, &["x"]).expect("a new one");
    journal.put("a", "1", &first).expect("room");
    journal
        .put("b", "1", &Done { skipped: vec![(vec!["b".into()], "gone".into())], ..Done::default() })
        .expect("room");
    drop(journal);
    let text = fs::read_to_string(&path).expect("text");
    assert!(!text.contains(SECRET) && text.lines().count() == 3, "{text}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);

    let mut journal = open(&path, &["x"]).expect("its own");
    assert_eq!((journal.inputs(), journal.now()), (2, NOW));
    assert!(journal.take("a", "2").is_none(), "it was written to since");
    let again = journal.take("a", "1").expect("done");
    assert!(journal.take("a", "1").is_none(), "an input that is named twice is done twice");
    let (before, after) = (&first.findings[0], &again.findings[0]);
    assert_eq!(before.fingerprint, after.fingerprint);
    assert_eq!(before.location, after.location);
    assert_eq!(before.secret.redacted(before.rule.kind), after.secret.redacted(after.rule.kind));
    assert!(after.secret.reveal().is_empty());
    assert_eq!(again.totals, first.totals);
    assert_eq!(journal.take("b", "1").expect("done").skipped[0].1, "gone");
    journal.end().expect("removed");
    assert!(!path.exists());
}

#[test]
fn a_program_that_is_killed_loses_no_more_than_the_last_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = open(&path, &["x"]).expect("a new one");
    for name in ["a", "b", "c"] {
        journal.put(name, "1", &Done::default()).expect("room");
    }
    drop(journal);
    let whole = fs::read(&path).expect("bytes");
    let head = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    for cut in head..=whole.len() {
        fs::write(&path, &whole[..cut]).expect("a file");
        let mut journal = open(&path, &["x"]).expect("its own");
        let lines = whole[head..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.inputs(), lines, "cut at {cut}");
        journal.put("d", "1", &Done::default()).expect("room");
        drop(journal);
        assert_eq!(open(&path, &["x"]).expect("its own").inputs(), lines + 1, "cut at {cut}");
    }
}

#[test]
fn a_file_of_something_else_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    drop(open(&path, &["x"]).expect("a new one"));
    assert!(matches!(open(&path, &["y"]), Err(JournalError::Other)));
    let text = "[[rule]]\nid = 'acme'\ntitle = 'x'\nseverity = 'low'\nopens = ''\nremedy = ''\nliterals = ['acme']\nregex = 'acme'\n";
    let other = Rules::with_file(text).expect("a rule");
    assert!(matches!(Journal::open(&path, &["x"], &other, NOW), Err(JournalError::Other)));
    let held = open(&path, &["x"]).expect("its own");
    assert!(matches!(open(&path, &["x"]), Err(JournalError::Busy)), "two at once");
    assert!(held.is(&path));
    drop(held);

    let head = fs::read_to_string(&path).expect("text");
    for foreign in [
        "notes that matter",
        "{}\n",
        "\n",
        "{\"lenskeep_sweep\":2,\"of\":\"\",\"now\":0}\n",
        &head[..head.len() - 1],
    ] {
        fs::write(&path, foreign).expect("a file");
        assert!(matches!(open(&path, &["x"]), Err(JournalError::Foreign)), "{foreign}");
        assert_eq!(fs::read_to_string(&path).expect("text"), foreign, "nothing of it is lost");
    }
    fs::write(&path, head + "{\"input\": 1}\n").expect("a file");
    assert!(matches!(open(&path, &["x"]), Err(JournalError::Damaged(2))));
    std::os::unix::fs::symlink(&path, folder.path().join("link")).expect("a link");
    assert!(matches!(open(&folder.path().join("link"), &["x"]), Err(JournalError::Kind)));
    // The attack: somebody else plants one in which nothing was found.
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("its own");
    assert!(matches!(open(&path, &["x"]), Err(JournalError::Shared)));
}

#[test]
fn a_file_that_is_written_to_has_another_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let state = || FileSource::new(fs::File::open(&path).expect("a file")).expect("a file").state();
    fs::write(&path, "one").expect("a file");
    let before = state();
    assert_eq!(before, state());
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&path, "two").expect("a file");
    assert!(before.is_some() && before != state());
}

/// Fills the journal until no more fits, as a process whose files may not grow.
fn fill(path: &Path) {
    let mut journal = open(path, &["x"]).expect("a new one");
    // Of 12 KiB, three of these leave room for a short one.
    let note = Done { skipped: vec![(vec!["n".repeat(3300)], "gone".into())], ..Done::default() };
    let mut fitted = 0;
    while journal.put(&format!("input {fitted}"), "1", &note).is_ok() {
        fitted += 1;
    }
    // What was not said is not there in part, and less of it may still fit.
    assert!(fs::read(path).expect("bytes").ends_with(b"}\n"));
    journal.put("short", "1", &Done::default()).expect("room for so much");
    assert!(matches!(journal.put("long", "1", &note), Err(JournalError::Io(_))));
    assert_eq!(
        open(path, &["x"]).err().map(|error| error.to_string()).as_deref(),
        Some("another sweep is writing it")
    );
    drop(journal);
    assert_eq!(open(path, &["x"]).expect("its own").inputs(), fitted + 1);
}

#[test]
fn a_disk_that_is_full_leaves_a_journal_that_goes_on() {
    const CHILD: &str = "SWEEP_TEST_JOURNAL";
    if let Some(path) = std::env::var_os(CHILD) {
        return fill(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let limited = "trap '' XFSZ; ulimit -f 24; exec \"$0\" --exact journal::a_disk_that_is_full_leaves_a_journal_that_goes_on";
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().expect("this"))
        .env(CHILD, &path)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // There is room again.
    let mut journal = open(&path, &["x"]).expect("its own");
    let before = journal.inputs();
    assert!(before > 2 && journal.take("short", "1").is_some() && journal.take("long", "1").is_none());
    journal.put("long", "1", &Done::default()).expect("room");
    drop(journal);
    assert_eq!(open(&path, &["x"]).expect("its own").inputs(), before + 1);
}
