//! The history as its readers see it: the command line, and an implementation
//! of transparency logs that others wrote.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::OneBox;

/// Entries enough that there are some to change.
fn with_history() -> (OneBox, PathBuf) {
    let (site, camera) = OneBox::with_camera();
    site.succeed(&["recording", "list", "--camera", &camera]);
    // The log follows within a second or two, and the gateway signs it when it
    // looks next.
    verify_says(&site, "witnessed by 1 of 1 gateways");
    let logs = site.data().join("cloud/store/history");
    let log = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    (site, log)
}

/// What `audit verify` says, good or bad, as soon as it says this.
fn verify_says(site: &OneBox, words: &str) -> String {
    let mut said = String::new();
    let found = (0..120).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let output = site.run(&["audit", "verify"]);
        said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        said.contains(words)
    });
    assert!(found, "{said}");
    said
}

/// Changes the cloud's database behind its back.
pub(crate) fn sql(site: &OneBox, statement: &str) {
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
    // By what this device saw, or by what the gateway signed.
    verify_says(&site, "rewr");
    // A device that sees the log for the first time has the gateway's word alone.
    std::fs::remove_file(site.path("home/history.json")).unwrap();
    verify_says(&site, "signed: the cloud shows different people different histories");
}

/// A witness that others wrote, until it is dropped.
struct Others(Child);

impl Others {
    /// And its key and address.
    fn witnessing(log: &str) -> (Self, String, String) {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/witness.py"))
            .arg(log)
            .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/aics-tlog"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (key, port) = line.trim().split_once(' ').expect("key and port");
        (Others(child), key.to_owned(), format!("http://127.0.0.1:{port}"))
    }
}

impl Others {
    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([format!("-{signal}"), pid]).status().unwrap().success());
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whoever runs cloud and gateway alike, and has every key of the server, does
/// not get past a witness that somebody else runs.
#[test]
fn a_witness_of_others_signs_and_its_word_counts_by_the_roster() {
    let (mut site, log) = with_history();
    let log_key = site.succeed(&["audit", "key"]).trim().to_owned();
    let said = site.succeed(&["audit", "witness", "list"]);
    assert!(said.contains("Nobody outside") && said.contains(&log_key), "{said}");
    // A key that is none, or of a log.
    assert!(site.fail(&["audit", "witness", "add", &log_key]).contains("a witness's key is"));
    let (others, key, url) = Others::witnessing(&log_key);
    let settings =
        format!("[history]\nwitness_seconds = 1\n[[history.witnesses]]\nurl = \"{url}\"\nkey = \"{key}\"\n");
    std::fs::write(site.config(), settings).unwrap();
    site.terminate();
    site.start();

    // Asked by the server alone, it counts for nothing.
    let said = site.succeed(&["audit", "witness", "list"]);
    assert!(said.contains(&format!("lenskeep audit witness add {key}")), "{said}");
    assert!(!site.succeed(&["audit", "verify"]).contains("witness.example"));
    site.succeed(&["audit", "witness", "add", &key]);
    assert!(site.fail(&["audit", "witness", "add", &key]).contains("already"));
    let said = verify_says(&site, "witnessed by witness.example/others, up to entry");
    assert!(said.contains("in the log as signed"), "{said}");
    assert!(
        site.succeed(&["audit", "witness", "list"]).contains("witness.example/others  signed up to entry")
    );

    // Its word is kept from this device: the server says that it has signed nothing.
    others.signal("STOP");
    sql(&site, "UPDATE outside_witnesses SET size = 0, note = '', signed_at = 0");
    assert!(site.fail(&["audit", "verify"]).contains("shows no signature of witness.example/others"));
    others.signal("CONT");
    // Another key under its name is not put in its place unasked.
    let (_impostor, impostors_key, _) = Others::witnessing(&log_key);
    let error = site.fail(&["audit", "witness", "add", &impostors_key]);
    assert!(error.contains("another key") && error.contains(&key), "{error}");

    // Another past, signed by the log's own key; the gateway and this device are made to forget.
    site.terminate();
    sql(&site, "UPDATE history SET action = 'live', leaf = REPLACE(leaf, 'sign_in', 'live') WHERE seq = 0");
    sql(&site, "DELETE FROM history_logs");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::remove_file(site.data().join("gateway/history-witness.json")).unwrap();
    std::fs::remove_file(site.path("home/history.json")).unwrap();
    sql(&site, "DELETE FROM history_witnesses");
    sql(&site, "DELETE FROM outside_witnesses");
    site.start();
    verify_says(&site, "witness.example/others has seen another history");
    // Who is asked no more still stands in the roster, and is missed.
    site.terminate();
    std::fs::remove_file(site.config()).unwrap();
    site.start();
    verify_says(&site, "not witnessed by witness.example/others: the server does not ask it");
    assert!(site.run(&["audit", "verify"]).status.code() != Some(0));
    site.succeed(&["audit", "witness", "remove", "witness.example/others"]);
    assert!(
        site.fail(&["audit", "witness", "remove", "witness.example/others"]).contains("names no witness")
    );
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
