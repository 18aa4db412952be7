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
    fn of(site: &OneBox, other: &Device, whose: &[&str]) -> Self {
        let mut adding = site
            .command(&[&["device", "add"], whose].concat())
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

/// Lets another command line in, and answers its device's id.
pub(crate) fn let_in(site: &OneBox, other: &Device, whose: &[&str]) -> String {
    let mut pairing = Pairing::of(site, other, whose);
    assert_eq!(pairing.added, [pairing.shown.clone()], "both show the same code");
    assert_eq!(pairing.answer("y"), (true, true));
    let mut last = String::new();
    pairing.joined.read_line(&mut last).unwrap();
    last.split(' ').next().unwrap().to_owned()
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
    let mut turned_away = Pairing::of(&site, &other, &[]);
    assert_eq!(turned_away.added, [turned_away.shown.clone()], "both show the same code");
    assert!(turned_away.shown.starts_with("Code: "), "{}", turned_away.shown);
    assert_eq!(turned_away.answer("n"), (false, false));

    let device = let_in(&site, &other, &[]);
    let device = device.as_str();
    assert!(device.starts_with("dev_"), "{device}");

    // It sees the camera, and cannot open what was before it.
    assert_eq!(other.first_camera(), camera);
    let out = site.path("before.mp4");
    let to = site.recordings(&camera, 1)["recordings"][0]["started_at"].as_u64().unwrap() + 2_000;
    let to = cloud_time(to);
    let export = ["export", "--camera", &camera, "--from", "10m", "--to", &to, out.to_str().unwrap()];
    let refused = other.fail(&export);
    assert!(refused.contains("open-past"), "{refused}");
    // Nobody may be left who could hand it on; the sheet can.
    let by_sheet = |words: &str| {
        let file = site.path("words");
        std::fs::write(&file, words).unwrap();
        let mut command = site.command(&["device", "open-past", device, "--sheet"]);
        command.env("LENSKEEP_SHEET_FILE", file).output().unwrap()
    };
    let another = format!("{}art", "abandon ".repeat(23));
    let refused = by_sheet(&another);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another organisation's sheet"));
    let opened = by_sheet(&Sheet::of(&site).words);
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let said = String::from_utf8_lossy(&opened.stdout).into_owned();
    assert!(said.contains("opens the recordings of") && !said.contains(" 0 more"), "{said}");
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

/// What set-up had its administrator write down.
struct Sheet {
    words: String,
    organisation: String,
}

impl Sheet {
    fn of(site: &OneBox) -> Self {
        let said = std::fs::read_to_string(site.path("sheet")).unwrap();
        let (numbered, rest) =
            said.split_once("not shown again.").unwrap().1.split_once("Write this").unwrap();
        let numbered = numbered.split_once("let a new one in.").unwrap().1;
        let organisation = rest.lines().nth(1).unwrap().trim().to_owned();
        Sheet { words: numbered.trim().to_owned(), organisation }
    }
}

#[test]
fn the_recovery_sheet_lets_a_command_line_begin_again() {
    let (site, _) = OneBox::with_camera();
    let sheet = Sheet::of(&site);
    let folder = site.path("other");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(site.path("words"), &sheet.words).unwrap();
    let other = Device::new(&folder);
    let cloud = format!("http://localhost:{}", site.viewer_port());
    let recover = |organisation: &str| {
        let arguments = ["device", "recover", "--cloud", &cloud, "--fingerprint", organisation];
        let mut command = other.command(&arguments);
        command.env("LENSKEEP_SHEET_FILE", site.path("words")).output().unwrap()
    };
    let elsewhere = recover("0000 0000 0000 0000 0000");
    assert!(!elsewhere.status.success());
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("do not trust"));
    let begun = recover(&sheet.organisation);
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let said = String::from_utf8_lossy(&begun.stdout).into_owned();
    assert!(said.contains("becomes the administrator on 20"), "{said}");
    // Not before the 72 hours, and administrators can object meanwhile.
    let refused = other.fail(&["camera", "list"]);
    assert!(refused.contains("the recovery sheet lets this device in on"), "{refused}");
    let history = site.succeed(&["audit", "show", "--action", "use_sheet"]);
    assert_eq!(history.matches("use_sheet").count(), 2, "{history}");
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
    assert!(listed.contains("watches all cameras, with sound; 1 device"), "{listed}");

    let share = ["person", "share", &me, "--camera", &camera, "--until", "2099-01-01"];
    let told = site.succeed(&share);
    assert!(told.contains(&format!("watches {camera}, without sound, until 2099-01-01T23:59:59Z")), "{told}");
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
    let device = let_in(&site, &other, &[]);
    other.succeed(&["camera", "list"]);
    assert!(site.succeed(&["device", "revoke", &device]).contains("is shut out"));
    other.fail(&["camera", "list"]);
    assert!(site.fail(&["device", "renew", &device]).contains("was shut out"));
}
