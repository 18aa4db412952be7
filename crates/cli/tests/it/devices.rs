//! A second command line comes by a link, and is handed on what was recorded
//! before it came.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use crate::support::{Device, OneBox, ffprobe};

/// `device add` until it shows a code, and `device join` likewise.
struct Pairing {
    adding: Child,
    added: Vec<String>,
    joining: Child,
    joined: BufReader<std::process::ChildStdout>,
    shown: String,
}

impl Pairing {
    fn of(site: &OneBox, other: &Device) -> Self {
        let mut adding = site
            .command(&["device", "add"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(adding.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let command = lines.next().unwrap();
        let link = command.split('\'').nth(1).unwrap().to_owned();
        let mut joining = other
            .command(&["device", "join", &link, "--name", "Office"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut joined = BufReader::new(joining.stdout.take().unwrap());
        let added = vec![lines.next().unwrap()];
        std::thread::spawn(move || lines.for_each(drop));
        let mut shown = String::new();
        joined.read_line(&mut shown).unwrap();
        Pairing { adding, added, joining, joined, shown: shown.trim().to_owned() }
    }

    fn answer(&mut self, word: &str) -> (bool, bool) {
        writeln!(self.adding.stdin.take().unwrap(), "{word}").unwrap();
        (self.adding.wait().unwrap().success(), self.joining.wait().unwrap().success())
    }
}

#[test]
fn another_command_line_joins_and_opens_the_past() {
    let (mut site, camera) = OneBox::with_camera();
    std::thread::sleep(std::time::Duration::from_secs(5));
    // The epoch ends with the process: what comes later is granted no key of it.
    site.terminate();
    site.start();
    site.recordings(&camera, 1);

    let folder = site.path("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Device::new(&folder);
    let mut turned_away = Pairing::of(&site, &other);
    assert_eq!(turned_away.added, [turned_away.shown.clone()], "both show the same code");
    assert!(turned_away.shown.starts_with("Code: "), "{}", turned_away.shown);
    assert_eq!(turned_away.answer("n"), (false, false));

    let mut pairing = Pairing::of(&site, &other);
    assert_eq!(pairing.added, [pairing.shown.clone()]);
    assert_eq!(pairing.answer("y"), (true, true));
    let mut last = String::new();
    pairing.joined.read_line(&mut last).unwrap();
    let device = last.split(' ').next().unwrap();
    assert!(device.starts_with("dev_"), "{last}");

    // It sees the camera, and cannot open what was before it.
    assert_eq!(other.first_camera(), camera);
    let out = site.path("before.mp4");
    let to = site.recordings(&camera, 1)["recordings"][0]["started_at"].as_u64().unwrap() + 2_000;
    let to = cloud_time(to);
    let export = ["export", "--camera", &camera, "--from", "10m", "--to", &to, out.to_str().unwrap()];
    let refused = other.fail(&export);
    assert!(refused.contains("open-past"), "{refused}");
    let said = site.succeed(&["device", "open-past", device]);
    assert!(said.contains("opens the recordings of"), "{said}");
    other.succeed(&export);
    assert!(ffprobe(&out, "stream=codec_name").contains("h264"));
    site.succeed(&["camera", "group", &camera, "yard", "entrances"]);
    let devices = site.succeed(&["device", "list"]);
    assert!(devices.contains(device) && devices.contains("Office") && devices.contains("administrator"));
    let renewed = site.succeed(&["device", "renew", device]);
    assert!(renewed.contains("is renewed until 20"), "{renewed}");
    let refused = other.fail(&["device", "renew"]);
    assert!(refused.contains("administrators"), "{refused}");
    let again = site.succeed(&["device", "open-past", device, "--from", "1h"]);
    assert!(again.contains("more epochs"), "{again}");
}

fn cloud_time(ms: u64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[test]
fn people_are_shared_with_and_devices_shut_out_from_the_command_line() {
    let (site, camera) = OneBox::with_camera();
    let listed = site.succeed(&["person", "list"]);
    let me = listed.split(' ').next().unwrap().to_owned();
    assert!(listed.contains("watches all cameras; 1 devices"), "{listed}");

    let share = ["person", "share", &me, "--camera", &camera, "--until", "2099-01-01"];
    let told = site.succeed(&share);
    assert!(told.contains(&format!("watches {camera} until 2099-01-01T23:59:59Z")), "{told}");
    let stranger = "usr_00000000000000000000000000000001";
    let unknown = "cam_00000000000000000000000000000001";
    for (arguments, said) in [
        (vec![me.as_str()], "--all"),
        (vec![&me, "--all", "--camera", &camera], "cannot be used with"),
        (vec![&me, "--camera", unknown], "is not a camera of this organisation"),
        (vec![&me, "--group", "yard"], "no camera is in the group `yard`"),
        (vec![&me, "--all", "--until", "2020-01-01"], "lies in the past"),
        (vec![&me, "--all", "--until", "tomorrow"], "write 2026-12-24"),
        (vec![stranger, "--all"], "has no device in the roster"),
    ] {
        let told = site.fail(&[&["person", "share"][..], &arguments].concat());
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    assert!(site.fail(&["person", "remove", &me]).contains("that is you"));
    assert!(site.fail(&["person", "remove", stranger]).contains("nobody in the roster"));

    // The link of an invitation names the organisation, and what both will compare.
    let mut inviting =
        site.command(&["person", "invite", "Grace", "--all"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut link = String::new();
    BufReader::new(inviting.stdout.take().unwrap()).read_line(&mut link).unwrap();
    inviting.kill().unwrap();
    inviting.wait().unwrap();
    assert!(
        link.contains("/join#token=") && link.contains("&anchor=") && link.contains("&pairing="),
        "{link}"
    );

    let own = site.succeed(&["device", "list"]).split(' ').next().unwrap().to_owned();
    assert!(site.fail(&["device", "revoke", &own]).contains("no administrator would remain"));
    let folder = site.path("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Device::new(&folder);
    let mut pairing = Pairing::of(&site, &other);
    assert_eq!(pairing.answer("y"), (true, true));
    let mut last = String::new();
    pairing.joined.read_line(&mut last).unwrap();
    let device = last.split(' ').next().unwrap();
    other.succeed(&["camera", "list"]);
    assert!(site.succeed(&["device", "revoke", device]).contains("is shut out"));
    other.fail(&["camera", "list"]);
    assert!(site.fail(&["device", "renew", device]).contains("was shut out"));
}
