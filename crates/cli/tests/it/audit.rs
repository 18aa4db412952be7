//! The history as its readers see it: the command line, and an implementation
//! of transparency logs that others wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::OneBox;

/// Entries enough that there are some to change.
fn with_history() -> (OneBox, PathBuf) {
    let (site, camera) = OneBox::with_camera();
    site.succeed(&["recording", "list", "--camera", &camera]);
    // The log follows within a second or two, and the gateway signs it when it
    // looks next.
    for _ in 0..100 {
        let verified = site.run(&["audit", "verify"]);
        if String::from_utf8_lossy(&verified.stdout).contains("witnessed by 1 of 1 gateways") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let logs = site.data().join("cloud/store/history");
    let log = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    (site, log)
}

fn sql(site: &OneBox, statement: &str) {
    let script = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute(sys.argv[2]); d.commit()";
    let database = site.data().join("cloud/cloud.db");
    let done = Command::new("python3").args(["-c", script]).arg(database).arg(statement).status().unwrap();
    assert!(done.success(), "{statement}");
}

#[test]
fn the_log_verifies_and_an_entry_is_proven_offline() {
    let (mut site, _) = with_history();
    let said = site.succeed(&["audit", "verify"]);
    assert!(said.contains("all in the log as signed"), "{said}");
    assert!(said.contains("saw before are unchanged"), "{said}");
    assert!(said.contains("witnessed by 1 of 1 gateways"), "{said}");
    let shown = site.succeed(&["audit", "show", "--action", "append_roster"]);
    assert_eq!(shown.lines().count(), 2, "{shown}");

    let out = site.data().join("history.jsonl");
    let out = out.to_str().unwrap();
    site.succeed(&["audit", "export", out]);
    let lines = std::fs::read_to_string(out).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["api"]["operation"], &first["unmapped"]["seq"]), (&"sign_in".into(), &0.into()));
    assert!(site.fail(&["audit", "export", out]).contains("there already"));
    let rest = site.data().join("rest.jsonl");
    site.succeed(&["audit", "export", rest.to_str().unwrap(), "--from", "2"]);
    let rest = std::fs::read_to_string(rest).unwrap();
    assert!(rest.lines().count() >= lines.lines().count() - 2);
    assert!(rest.starts_with(lines.lines().nth(2).unwrap()));

    let proof = site.data().join("proof.json");
    let proof = proof.to_str().unwrap();
    site.succeed(&["audit", "prove", "0", proof]);
    site.terminate();
    let said = site.succeed(&["audit", "verify", "--proof", proof]);
    assert!(said.contains("sign_in") && said.contains("the key that this device knows"), "{said}");
    let changed = std::fs::read_to_string(proof).unwrap().replace("sign_in", "sign_up");
    std::fs::write(proof, changed).unwrap();
    assert!(site.fail(&["audit", "verify", "--proof", proof]).contains("not in the log"));
}

#[test]
fn a_history_that_somebody_was_erased_from_verifies() {
    let (site, _) = with_history();
    let owner = site.succeed(&["audit", "show", "--action", "sign_in"]);
    let person = owner.split_whitespace().find(|word| word.starts_with("usr_")).unwrap();
    assert!(site.succeed(&["person", "list"]).contains(person));
    assert!(site.fail(&["person", "erase", person]).contains("still has devices"));
    // As the server does with somebody whose devices have left.
    for column in ["actor", "resource"] {
        let path = if column == "actor" { "$.actor.uid" } else { "$.resources[0].uid" };
        sql(
            &site,
            &format!(
                "UPDATE history SET {column} = json_extract(leaf, '{path}') WHERE {column} = '{person}'"
            ),
        );
    }
    site.succeed(&["audit", "verify"]);
    // Another reference than the log's is no reference.
    sql(&site, "UPDATE history SET actor = 'ref_0' WHERE seq = 0");
    assert!(site.fail(&["audit", "verify"]).contains("entry 0 was changed"));
}

#[test]
fn a_rewritten_history_is_caught() {
    let (site, _) = with_history();
    sql(&site, "UPDATE history SET action = 'live' WHERE seq = 0");
    assert!(site.fail(&["audit", "verify"]).contains("entry 0 was changed"));
    // What does not verify is not exported.
    let out = site.data().join("history.jsonl");
    assert!(site.fail(&["audit", "export", out.to_str().unwrap()]).contains("entry 0 was changed"));
    assert!(!out.exists() && !site.data().join("history.jsonl.part").exists());
    sql(&site, "UPDATE history SET action = 'sign_in' WHERE seq = 0");
    site.succeed(&["audit", "verify"]);
    sql(&site, "DELETE FROM history WHERE seq = 0");
    assert!(site.fail(&["audit", "verify"]).contains("hides entries"));
}

/// Whoever has everything, the log's key too, and writes another past.
#[test]
fn a_log_that_was_written_anew_is_caught() {
    let (mut site, log) = with_history();
    site.terminate();
    sql(&site, "UPDATE history SET action = 'live', leaf = REPLACE(leaf, 'sign_in', 'live') WHERE seq = 0");
    sql(&site, "DELETE FROM history_logs");
    std::fs::remove_dir_all(&log).unwrap();
    site.start();
    let caught = |words: &str| {
        let mut error = String::new();
        let caught = (0..30).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(500));
            error = site.fail(&["audit", "verify"]);
            error.contains(words)
        });
        assert!(caught, "{error}");
    };
    // By what this device saw, or by what the gateway signed.
    caught("rewr");
    // A device that sees the log for the first time has the gateway's word alone.
    std::fs::remove_file(site.path("home/history.json")).unwrap();
    caught("signed: the cloud shows different people different histories");
}

#[test]
fn an_implementation_of_others_verifies_our_log() {
    let (site, log) = with_history();
    let seen = std::fs::read_to_string(site.path("home/history.json")).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    let reads = |log: &Path| {
        Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/audit.py"))
            .args([log.to_str().unwrap(), seen["key"].as_str().unwrap()])
            .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/aics-tlog"))
            .output()
            .unwrap()
    };
    let read = reads(&log);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(String::from_utf8_lossy(&read.stdout).starts_with("verified"));

    let copy = site.data().join("copy");
    let copied = Command::new("cp").arg("-r").arg(&log).arg(&copy).status().unwrap();
    assert!(copied.success());
    for bundle in std::fs::read_dir(copy.join("tile/entries/000.p")).unwrap() {
        let path = bundle.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    assert!(!reads(&copy).status.success(), "a changed entry");
}
