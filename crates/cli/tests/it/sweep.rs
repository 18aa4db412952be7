//! `lenskeep sweep` and `lenskeep firmware`, run as people run them.

use std::path::Path;
use std::process::{Command, Output};

use camera_sim::{Credentials, OnvifAuth, OnvifOptions, Options};
use model::Secret;

fn lenskeep(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lenskeep")).args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const SECRET: &str = "Nq7vY2xLw9";

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
    for expected in
        ["Dome 3", "telnetd is started", "CVE-2022-1", "left out: ", "1 vulnerabilities of 1 files"]
    {
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
