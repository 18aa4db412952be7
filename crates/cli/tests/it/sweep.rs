//! `lenskeep sweep` and `lenskeep firmware`, run as people run them.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use camera_sim::{Credentials, OnvifAuth, OnvifOptions, Options};
use model::Secret;

pub(crate) fn lenskeep(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lenskeep")).args(arguments).current_dir(folder).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) const SECRET: &str = "Nq7vY2xLw9";

#[test]
fn exit_codes_say_whether_something_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("param.txt", &format!("root.Network.IPAddress=192.0.2.7\nroot.SMTP.Password={SECRET}\n"));
    write("clean.txt", "root.Network.IPAddress=192.0.2.7\nroot.SMTP.Password=******\n");
    let found = lenskeep(folder.path(), &["sweep", "param.txt"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert!(
        said(&found).contains("root.SMTP.Password") && !said(&found).contains(SECRET),
        "{}",
        said(&found)
    );
    assert!(said(&lenskeep(folder.path(), &["sweep", "--show-secrets", "param.txt"])).contains(SECRET));
    assert_eq!(lenskeep(folder.path(), &["sweep", "clean.txt"]).status.code(), Some(0));
    assert_eq!(
        lenskeep(folder.path(), &["sweep", "--fail-on", "critical", "param.txt"]).status.code(),
        Some(0)
    );
    let missing = lenskeep(folder.path(), &["sweep", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2), "what is not there is no clean result");
    assert_eq!(lenskeep(folder.path(), &["sweep"]).status.code(), Some(2));

    let written = lenskeep(folder.path(), &["sweep", "--write-baseline", "known.json", "param.txt"]);
    assert_eq!(written.status.code(), Some(1));
    assert_eq!(
        lenskeep(folder.path(), &["sweep", "--baseline", "known.json", "param.txt"]).status.code(),
        Some(0)
    );
}

#[test]
fn what_was_named_and_cannot_be_read_is_told_and_changes_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("backups")).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    write("param.txt", format!("root.SMTP.Password={SECRET}\n").as_bytes());
    write("clean.txt", b"nothing\n");
    write("backups/locked", b"Salted__\x9c\xf3\x10\xe2\x07\xa1\xd3\xb4\x88\x91\xaa\xf0\x03\x04\x99\xe1");
    std::os::unix::fs::symlink("../clean.txt", folder.path().join("backups/link")).unwrap();
    let mut sector = vec![0x5a; 1 << 20];
    sector[..11].copy_from_slice(b"\xeb\x58\x90NTFS    ");
    sector[510..512].copy_from_slice(b"\x55\xaa");
    write("ntfs.img", &sector);
    write("old.wim", b"MSWIM\0\0\0");
    let missing = "not read: nowhere: No such file or directory";
    for (arguments, code, part) in [
        (&["clean.txt"][..], 0, "0 findings; 0 skipped"),
        (&["nowhere", "clean.txt"], 3, missing),
        (&["nowhere", "--format", "json", "clean.txt"], 3, "\"is_whole\": false"),
        (&["nowhere", "param.txt"], 1, missing),
        (&["nowhere", "param.txt"], 1, "root.SMTP.Password"),
        (&["nowhere"], 2, "nothing of what was named could be read"),
        (&["empty"], 2, "nothing of what was named could be read"),
        (&["-"], 2, "nothing of what was named could be read"),
        (&["empty", "clean.txt"], 3, "not read: empty: there is nothing in it to read"),
        (&["empty", "param.txt"], 1, "skipped   empty: there is nothing in it to read"),
        (&["/proc/self/mem", "clean.txt"], 3, "not read: /proc/self/mem: "),
        (&["/proc/self/status"], 0, "1 file or part"),
        (&["backups"], 0, "skipped   backups/locked: encrypted (OpenSSL)"),
        (&["--fail-on-unread", "backups"], 3, "skipped   backups/locked: encrypted (OpenSSL)"),
        (&["--fail-on-unread", "backups/link"], 0, "0 skipped"),
        (&["backups/locked"], 3, "not read: backups/locked: encrypted"),
        (&["old.wim"], 3, "not read: old.wim: encrypted, or not of a kind that is read"),
        (&["ntfs.img"], 0, "whether it is encrypted is unknown"),
        (&["--fail-on-unread", "ntfs.img"], 3, "whether it is encrypted is unknown"),
        (&["--fail-on", "grave", "clean.txt"], 2, "[possible values: info, low, medium, high, critical]"),
        (&["--help"], 0, "3  nothing found that counts, but something that was named could not be read"),
    ] {
        let output = lenskeep(folder.path(), &[&["sweep"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_baseline_overwrites_nothing_else_and_never_costs_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("param.txt"), format!("root.SMTP.Password={SECRET}\n")).unwrap();
    std::fs::write(path("notes.json"), "[1, 2").unwrap();
    let sweep = |more: &[&str]| lenskeep(folder.path(), &[&["sweep"], more].concat());
    let refused = sweep(&["--write-baseline", "notes.json", "param.txt"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("overwrites nothing but a baseline"), "{}", said(&refused));
    assert_eq!(said(&refused).matches("notes.json").count(), 1, "{}", said(&refused));
    assert_eq!(std::fs::read_to_string(path("notes.json")).unwrap(), "[1, 2");
    let nowhere = sweep(&["--write-baseline", "none/known.json", "param.txt"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));
    assert!(
        said(&nowhere).contains("there is no folder none") && nowhere.stdout.is_empty(),
        "before it began"
    );
    // With what is added while it is written, no file may be called that.
    let long = format!("{}.json", "k".repeat(250));
    let lost = sweep(&["--write-baseline", &long, "param.txt"]);
    assert_eq!(lost.status.code(), Some(2), "{}", said(&lost));
    for part in ["root.SMTP.Password", "1 finding: ", ".json was not written: File name too long"] {
        assert!(said(&lost).contains(part), "{part}: {}", said(&lost));
    }
    assert_eq!(sweep(&["--write-baseline", "known.json", "./param.txt"]).status.code(), Some(1));
    let noted = std::fs::read_to_string(path("known.json")).unwrap();
    let noted = noted.replace("\"place\"", "\"reason\": \"being replaced\", \"place\"");
    std::fs::write(path("known.json"), noted).unwrap();
    let absolute = path("param.txt").to_string_lossy().into_owned();
    for typed in ["param.txt", "./param.txt", absolute.as_str(), "."] {
        let known = sweep(&["--baseline", "known.json", typed]);
        assert_eq!(known.status.code(), Some(0), "{typed}: {}", said(&known));
    }
    assert_eq!(sweep(&["--write-baseline", "known.json", "param.txt"]).status.code(), Some(1));
    // A slip of the pen does not empty it.
    assert_eq!(sweep(&["--write-baseline", "known.json", "parma.txt"]).status.code(), Some(2));
    assert!(std::fs::read_to_string(path("known.json")).unwrap().contains("being replaced"));
}

#[test]
fn a_report_that_nobody_got_is_an_error_unless_nobody_wanted_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("param.txt"), format!("root.SMTP.Password={SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("clean.txt"), "nothing\n").unwrap();
    let run = |arguments: &[&str], stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lenskeep"));
        command.args(arguments).current_dir(folder.path()).stdout(stdout).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    for format in ["text", "json", "html"] {
        for name in ["param.txt", "clean.txt"] {
            let lost = run(&["sweep", "--format", format, name], full());
            assert_eq!(lost.status.code(), Some(2), "{format} {name}: {}", said(&lost));
            let why = "the report could not be written: No space left on device";
            assert!(said(&lost).contains(why), "{}", said(&lost));
        }
    }
    for (name, code) in [("param.txt", 1), ("clean.txt", 0), ("nowhere", 2)] {
        let unread = run(&["sweep", name], closed());
        assert_eq!(unread.status.code(), Some(code), "{name}: {}", said(&unread));
        assert!(!said(&unread).contains("pipe"), "{}", said(&unread));
    }
    let audit = ["firmware", "audit", "--format", "json", "clean.txt"];
    assert_eq!(run(&audit, full()).status.code(), Some(2));
    // As if somebody had read that nothing came out of it.
    assert_eq!(run(&audit, closed()).status.code(), Some(1));
    // Commands that print line by line.
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let check = ["policy", "check", policies.to_str().unwrap()];
    let lost = run(&check, full());
    assert_eq!(lost.status.code(), Some(1), "{}", said(&lost));
    assert!(said(&lost).contains("standard output could not be written: No space"), "{}", said(&lost));
    assert_eq!(run(&check, closed()).status.code(), Some(0));
}

#[test]
fn a_sweep_that_is_interrupted_says_so_in_each_form_and_tells_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("param.txt"), format!("root.SMTP.Password={SECRET}\n")).unwrap();
    let waiting = |format: &'static str| {
        let child = Command::new(env!("CARGO_BIN_EXE_lenskeep"))
            .args(["sweep", "--format", format, "param.txt", "-"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (format, child)
    };
    for (format, mut child) in ["text", "json", "sarif", "csv", "html"].map(waiting) {
        // Nobody writes, and nobody closes it.
        let pipe = child.stdin.take();
        let about =
            |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", child.id())).unwrap_or_default();
        let waits = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
            let mut names = tasks
                .flatten()
                .map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
            let caught = about("status");
            let caught = caught.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
            let is_caught = u64::from_str_radix(caught.trim(), 16).is_ok_and(|mask| mask & 2 != 0);
            is_caught && names.any(|name| name == "stdin\n")
        };
        let began = Instant::now();
        while !waits() {
            assert!(began.elapsed() < Duration::from_secs(300), "{format}: it does not wait");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        drop(pipe);
        assert_eq!(output.status.code(), Some(2), "{format}: {}", said(&output));
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(report.contains("interrupted: what was left of it"), "{format}: {report}");
        assert!(report.contains("root.SMTP.Password") || format == "sarif", "{format}: {report}");
        assert!(report.contains("param.txt"), "{format}: {report}");
    }
}

#[test]
fn an_open_card_fails_a_check_until_a_baseline_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut film = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska".to_vec();
    film.resize(50_000, 7);
    std::fs::write(folder.path().join("film.txt"), film).unwrap();
    let line = "truncate -s 40M card; mkfs.fat -F 32 card >/dev/null; mcopy -i card film.txt ::";
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let made = Command::new("sh").args(["-ec", line]).current_dir(folder.path()).env("PATH", path).status();
    assert!(made.unwrap().success());
    let found = lenskeep(folder.path(), &["sweep", "card"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    for words in
        ["FAT32, not encrypted: footage lies open", "1 recording ", "film.txt", "1 open card or disk: 1 high"]
    {
        assert!(said(&found).contains(words), "{words}: {}", said(&found));
    }
    let lenient = lenskeep(folder.path(), &["sweep", "--fail-on", "critical", "card"]);
    assert_eq!(lenient.status.code(), Some(0));
    lenskeep(folder.path(), &["sweep", "--write-baseline", "known.json", "card"]);
    std::fs::rename(folder.path().join("card"), folder.path().join("other")).unwrap();
    let known = lenskeep(folder.path(), &["sweep", "--baseline", "known.json", "other"]);
    assert_eq!(known.status.code(), Some(0), "{}", said(&known));
}

#[test]
fn a_camera_is_swept_without_its_password_in_any_output() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let onvif_options = OnvifOptions {
        vapix: true,
        auth: OnvifAuth::Md5,
        parameters: vec![format!("root.SMTP.Password={SECRET}")],
        log: vec![format!("upload to ftp://backup:{SECRET}@192.0.2.9/clips failed")],
        ..OnvifOptions::default()
    };
    let credentials = Some(Credentials { username: "root".into(), password: Secret::new("lighthouse") });
    let onvif = Some(([127, 0, 0, 1], 0).into());
    let options = Options { credentials, onvif, onvif_options, ..Options::default() };
    let camera = runtime.block_on(camera_sim::start(options)).unwrap();
    let url: url::Url = camera.onvif_url().unwrap().parse().unwrap();
    let url = format!("http://127.0.0.1:{}", url.port().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "lighthouse\n").unwrap();
    let sweep = |more: &[&str]| {
        let arguments = ["sweep", "--camera", &url, "--username", "root", "--password-file", "password"];
        lenskeep(folder.path(), &[&arguments, more].concat())
    };
    let found = sweep(&[]);
    let text = said(&found);
    assert_eq!(found.status.code(), Some(1), "{text}");
    for place in ["127.0.0.1: parameters", "127.0.0.1: system log", "127.0.0.1: server report"] {
        assert!(text.contains(place), "{place}: {text}");
    }
    assert!(text.contains("skipped   127.0.0.1: access log: the camera answered"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("lighthouse"), "{text}");

    std::fs::write(folder.path().join("password"), "wrong").unwrap();
    let refused = sweep(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("refuses user name or password"), "{}", said(&refused));
}

#[test]
fn an_image_is_audited_kept_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root/etc/init.d");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("rcS"), "#!/bin/sh\ntelnetd\n").unwrap();
    std::fs::write(folder.path().join("root/busybox"), b"\0BusyBox v1.30.1 (2021)\0").unwrap();
    let pack = |name: &str| {
        let done =
            Command::new("tar").args(["-cf", name, "root"]).current_dir(folder.path()).status().unwrap();
        assert!(done.success());
    };
    pack("old.bin");
    std::fs::write(root.join("rcS"), "#!/bin/sh\n").unwrap();
    pack("new.bin");
    let cve = r#"{"cveMetadata":{"cveId":"CVE-2022-1"},"containers":{"cna":{"affected":[{"vendor":"n/a","product":"busybox",
        "versions":[{"version":"0","lessThan":"1.35","status":"affected"}]}]}}}"#;
    std::fs::create_dir(folder.path().join("advisories")).unwrap();
    std::fs::write(folder.path().join("advisories/cve.json"), cve).unwrap();
    std::fs::write(folder.path().join("advisories/other.json"), "{}").unwrap();

    let audit = |more: &[&str]| lenskeep(folder.path(), &[&["firmware", "audit"], more].concat());
    let old = audit(&["--model", "Dome 3", "--advisories", "advisories", "old.bin"]);
    let text = said(&old);
    assert_eq!(old.status.code(), Some(1), "{text}");
    for expected in [
        "Dome 3",
        "telnetd is started",
        "CVE-2022-1",
        "left out: ",
        "1 vulnerability of 1 file of advisories",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for (image, report, code) in [("old.bin", "old.json", 1), ("new.bin", "new.json", 0)] {
        let output = audit(&["--format", "json", image]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        std::fs::write(folder.path().join(report), output.stdout).unwrap();
    }
    let compared = lenskeep(folder.path(), &["firmware", "compare", "old.json", "new.json"]);
    assert!(
        compared.status.success() && said(&compared).contains("- telnetd in root/etc/init.d/rcS"),
        "{}",
        said(&compared)
    );
    for bad in [
        &["firmware", "compare", "old.bin", "new.json"][..],
        &["firmware", "audit", "root"],
        &["firmware", "audit", "none"],
    ] {
        let output = lenskeep(folder.path(), bad);
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {}", said(&output));
    }
}

/// Starts it, kills it once it has written some inputs into its journal, and says how many.
pub(crate) fn killed(folder: &Path, arguments: &[&str], journal: &str) -> usize {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lenskeep"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines =
        || std::fs::read(folder.join(journal)).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
    let began = Instant::now();
    while lines() < 4 {
        assert!(child.try_wait().unwrap().is_none(), "it came to its end before it was killed");
        assert!(began.elapsed() < Duration::from_secs(300), "it does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines() - 1
}

#[test]
fn a_sweep_that_is_killed_goes_on_and_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("card")).unwrap();
    for number in 0..60 {
        let noise = (0..40_000).map(|line| format!("line {line}: {:x}\n", (line ^ number) * 0x9e37_79b1_u64));
        let secret = format!("root.SMTP.Password={SECRET}{number}\n");
        std::fs::write(folder.path().join(format!("card/{number}.txt")), noise.collect::<String>() + &secret)
            .unwrap();
    }
    std::fs::write(folder.path().join("card/damaged.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03damaged").unwrap();
    std::os::unix::fs::symlink("0.txt", folder.path().join("card/link")).unwrap();
    let plain = lenskeep(folder.path(), &["sweep", "--format", "json", "card"]);
    assert_eq!(plain.status.code(), Some(1), "{}", said(&plain));

    let arguments = ["sweep", "--format", "json", "--resume", "journal", "card"];
    let done = killed(folder.path(), &arguments, "journal");
    assert!(done >= 3);
    let journal = std::fs::read_to_string(folder.path().join("journal")).unwrap();
    assert!(!journal.contains(SECRET), "{journal}");
    let other = lenskeep(folder.path(), &["sweep", "--resume", "journal", "card/0.txt"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("it is of another sweep"), "{}", said(&other));
    let shown = lenskeep(folder.path(), &["sweep", "--show-secrets", "--resume", "journal", "card"]);
    assert_eq!(shown.status.code(), Some(2), "it does not know them any more");

    let went_on = lenskeep(folder.path(), &arguments);
    assert_eq!(went_on.status.code(), Some(1), "{}", said(&went_on));
    assert!(said(&went_on).contains("inputs are done"), "{}", said(&went_on));
    assert_eq!(String::from_utf8_lossy(&went_on.stdout), String::from_utf8_lossy(&plain.stdout));
    assert!(!folder.path().join("journal").exists(), "it came to its end");
}

#[test]
fn rules_of_several_makers_are_taken_from_a_folder_and_what_is_left_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    write(
        "rules/acme.yml",
        "rules:\n  - {name: ACME, id: a.1, pattern: 'acme_([0-9a-z]{16})'}\n  - {name: B, id: a.2, pattern: '(?<=x)acme'}\n",
    );
    write("rules/other.toml", "[[rules]]\nid = 'b'\nregex = 'othr_([0-9a-z]{16})'\n");
    write("rules/README", "no rules");
    write("text", "acme_q7w3e9r1t5y8u2i4 othr_q7w3e9r1t5y8u2i5\n");
    let found = lenskeep(folder.path(), &["sweep", "--rules", "rules", "text"]);
    let text = said(&found);
    for part in ["2 findings", "skipped   rules › a.2: its expression is refused: look-around"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    write("rules/bad.yml", "rules: [*a]\n");
    let refused = lenskeep(folder.path(), &["sweep", "--rules", "rules", "text"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("rules/bad.yml: line 1"), "{}", said(&refused));
}
