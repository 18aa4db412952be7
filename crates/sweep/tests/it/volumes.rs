//! Cards and images of them: encrypted or not, and what footage lies open.

use std::ops::ControlFlow;

use sha2::{Digest as _, Sha256};
use sweep::journal::{Done, Journal};
use sweep::read::ReadAt;
use sweep::report::{Form, Report, Swept};
use sweep::{Baseline, Finding, Limits, Lock, Notice, Places, Rules, Severity, Sweep, Totals, Volume};

use crate::exfat;
use crate::support::sh;
use crate::{NOW, ids};

/// 2026-11-28T20:59:04Z.
const WRITTEN: i64 = 1_795_899_544;
const SECRET: &str = "rtsp://admin:Zebra77crossing@10.0.0.1/live\n";

struct Told {
    volumes: Vec<Volume>,
    found: Vec<Finding>,
    skipped: Vec<(Vec<String>, String)>,
    totals: Totals,
}

fn told(name: &str, source: &dyn ReadAt, limits: Limits) -> Told {
    let rules = Rules::built_in();
    let (mut volumes, mut found, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let totals = Sweep { rules: &rules, limits, now: NOW }.input(name, source, &mut |notice| {
        match notice {
            Notice::Volume(volume) => volumes.push(volume),
            Notice::Found(finding) => found.push(finding),
            Notice::Skipped { chain, why } => skipped.push((chain.to_vec(), why)),
            Notice::Read(_) | Notice::Part { .. } => {}
        }
        ControlFlow::Continue(())
    });
    Told { volumes, found, skipped, totals }
}

fn written(told: &Told, form: Form) -> String {
    Report {
        findings: &told.found,
        volumes: &told.volumes,
        skipped: &told.skipped,
        totals: told.totals,
        show_secrets: false,
        is_whole: true,
        places: &Places::default(),
        swept: Swept::default(),
    }
    .write(form)
}

fn volumes(bytes: &[u8]) -> Vec<Volume> {
    told("card", &bytes.to_vec(), Limits::default()).volumes
}

/// What begins like a film of each kind; a picture is smaller.
fn mkv() -> Vec<u8> {
    let mut film =
        b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x88matroska\x18\x53\x80\x67".to_vec();
    film.resize(50_000, 7);
    film
}

fn mp4() -> Vec<u8> {
    let mut film = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2\0\0\x10\0moov\0\0\0\x6cmvhd".to_vec();
    film.resize(20_000, 3);
    film
}

fn jpeg() -> Vec<u8> {
    let mut picture = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01".to_vec();
    picture.resize(9_000, 5);
    picture
}

fn stream() -> Vec<u8> {
    (0..40).flat_map(|packet| [&[0x47, 0x40, packet, 0x10][..], &[packet; 184]].concat()).collect()
}

const AXIS: &str = "20261128/21/20261128_215904_1F91_ACCC8E012345/20261128_21/20261128_215904_6A9C.mkv";

/// Makes an image of these files, all written at one time, by a line of the shell.
fn image(files: &[(&str, Vec<u8>)], line: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, data) in files {
        let path = folder.path().join("tree").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, data).expect("a file");
    }
    let times = format!("find tree -exec touch -d @{WRITTEN} {{}} +;");
    sh(folder.path(), &format!("export TZ=UTC; mkdir -p tree; {times} {line}"));
    std::fs::read(folder.path().join("out")).expect("what the tool made")
}

const EXT4: &str = "mke2fs -q -t ext4 -U 6c1f8a52-0b5d-4c3a-9a77-51d1e4b0c001 -d tree out 16M";
const ENCRYPTING: &str = "mke2fs -q -t ext4 -O encrypt -d tree out 16M";
const FAT32: &str =
    "truncate -s 40M out; mkfs.fat -F 32 -i 1234abcd out >/dev/null; mcopy -m -i out -s tree/* ::";

fn card() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (AXIS, mkv()),
        ("clips/one.mp4", mp4()),
        // Footage by what it is, and not by its name.
        ("notes.txt", stream()),
        ("x.mp4", b"This is a text about films, and no film.\n".repeat(20)),
        ("param.txt", SECRET.as_bytes().to_vec()),
    ]
}

#[test]
fn an_open_card_is_told_with_the_footage_on_it() {
    for (line, kind, id) in [
        (EXT4, "ext4", "UUID 6c1f8a52-0b5d-4c3a-9a77-51d1e4b0c001"),
        (FAT32, "FAT32", "serial number 1234-ABCD"),
    ] {
        let told = told("card", &image(&card(), line), Limits::default());
        let [volume] = &told.volumes[..] else { panic!("{line}: {:?}", told.volumes) };
        assert_eq!((volume.kind.as_str(), volume.id.as_deref()), (kind, Some(id)));
        assert_eq!((&volume.lock, volume.severity()), (&Lock::Open, Severity::High), "{line}");
        assert_eq!(volume.files, 5, "{line}");
        let footage = &volume.footage;
        assert_eq!((footage.recordings, footage.pictures, footage.bytes), (3, 0, 50_000 + 20_000 + 40 * 188));
        assert_eq!((footage.since, footage.until), (Some(WRITTEN), Some(WRITTEN)), "{line}");
        assert_eq!(footage.layout.as_deref(), Some("cameras of Axis"));
        assert!(
            footage.examples.contains(&AXIS.to_owned()) && footage.examples.contains(&"notes.txt".to_owned())
        );
        assert!(!footage.examples.contains(&"x.mp4".to_owned()));
        assert_eq!(ids(&told.found), ["url-credentials"], "secrets are found as before");
    }
}

#[test]
fn an_exfat_card_says_when_in_utc() {
    let mut card = exfat::empty("4M", "");
    let root = card.root;
    card.file(root, "DCIM.bin", &jpeg(), false);
    let [volume] = &volumes(&card.data)[..] else { panic!("one volume") };
    assert_eq!((volume.kind.as_str(), volume.footage.pictures), ("exFAT", 1));
    assert_eq!(volume.footage.until, Some(WRITTEN));
}

/// Where a file system lies on the card, and in an image on the card, and in a packed one.
#[test]
fn a_file_system_is_told_once() {
    let inner = image(&card(), EXT4);
    let line = "truncate -s 60M out; mkfs.fat -F 32 out >/dev/null; mcopy -i out -s tree/* ::";
    let outer = image(&[("backup/disk.img", inner)], line);
    let told = volumes(&outer);
    let chains: Vec<_> = told.iter().map(|volume| volume.chain.clone()).collect();
    assert_eq!(chains, [vec!["card", "backup/disk.img"], vec!["card"]]);
}

#[test]
fn each_partition_is_told_by_itself() {
    let card = image(
        &card(),
        &format!(
            "{EXT4}; mv out fs; head -c 8M /dev/urandom > noise; truncate -s 64M out;\
             printf 'label: gpt\\nstart=2048,size=32768\\nstart=40960,size=16384\\nstart=61440,size=2048\\n' | sfdisk -q out;\
             dd if=fs of=out seek=2048 conv=notrunc status=none; dd if=noise of=out seek=40960 conv=notrunc status=none"
        ),
    );
    let told = volumes(&card);
    let [open, noise, empty] = &told[..] else { panic!("{told:?}") };
    assert_eq!(open.chain, ["card", "partition 1"]);
    assert_eq!((open.footage.recordings, open.severity()), (3, Severity::High));
    let Lock::Perhaps(why) = &noise.lock else { panic!("{noise:?}") };
    assert!(why.contains("7.99") && why.contains("64 samples"), "{why}");
    assert_eq!((noise.chain[1].as_str(), noise.severity()), ("partition 2", Severity::Info));
    assert_eq!((empty.kind.as_str(), &empty.lock), ("nothing but zeros", &Lock::Unknown));
}

#[test]
fn an_image_of_noise_is_told_and_a_file_of_noise_is_not() {
    let mut random = fastrand::Rng::with_seed(8);
    let noise: Vec<u8> = (0..2 << 20).map(|_| random.u8(..)).collect();
    let of = |name, bytes: &Vec<u8>| told(name, bytes, Limits::default()).volumes;
    assert!(matches!(of("card.img", &noise)[..], [Volume { lock: Lock::Perhaps(_), .. }]));
    assert!(of("noise.bin", &noise).is_empty());
    // What is packed is no noise, nor is a text in the midst of it.
    let mut text = noise.clone();
    text[1 << 20..(1 << 20) + (128 << 10)].fill(b'x');
    text[1 << 20..(1 << 20) + (128 << 10)].chunks_mut(2).for_each(|pair| pair[0] = b'y');
    assert!(of("card.img", &text).is_empty());
    let skewed: Vec<u8> = noise.iter().map(|byte| if *byte == 0 { 1 } else { *byte }).collect();
    assert!(of("card.img", &skewed).is_empty());
}

/// LUKS2 on disk (cryptsetup's LUKS2 specification, 2.1 and 3), with a payload of noise.
fn luks2(cipher: &str, payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 16 << 10];
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    head[8..16].copy_from_slice(&(16_u64 << 10).to_be_bytes());
    head[72..78].copy_from_slice(b"sha256");
    head[168..204].copy_from_slice(b"0b6d1c3e-77aa-4b1e-8c55-2f1f6a9d0e11");
    let json = format!(
        "{{\"keyslots\":{{}},\"tokens\":{{}},\"segments\":{{\"0\":{{\"type\":\"crypt\",\"offset\":\"32768\",\"size\":\"dynamic\",\
         \"iv_tweak\":\"0\",\"encryption\":\"{cipher}\",\"sector_size\":512}}}},\"digests\":{{}},\
         \"config\":{{\"json_size\":\"12288\",\"keyslots_size\":\"0\"}}}}"
    );
    head[4096..4096 + json.len()].copy_from_slice(json.as_bytes());
    let sum: [u8; 32] = Sha256::digest(&head).into();
    head[448..480].copy_from_slice(&sum);
    head.resize(32 << 10, 0);
    [head, payload.to_vec()].concat()
}

/// LUKS1 (on-disk format 1.2.3).
fn luks1(payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 4096];
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
    head[8..11].copy_from_slice(b"aes");
    head[40..51].copy_from_slice(b"xts-plain64");
    head[72..78].copy_from_slice(b"sha256");
    head[104..108].copy_from_slice(&8_u32.to_be_bytes());
    head[108..112].copy_from_slice(&64_u32.to_be_bytes());
    head[168..204].copy_from_slice(b"0b6d1c3e-77aa-4b1e-8c55-2f1f6a9d0e11");
    for slot in 0..8 {
        let state: u32 = if slot == 0 { 0x00ac_71f3 } else { 0x0000_dead };
        head[208 + slot * 48..212 + slot * 48].copy_from_slice(&state.to_be_bytes());
    }
    [head, payload.to_vec()].concat()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(9);
    (0..bytes).map(|_| random.u8(..)).collect()
}

#[test]
fn an_encrypted_card_is_told_with_its_cipher() {
    for (card, kind) in
        [(luks2("aes-xts-plain64", &noise(1 << 20)), "LUKS2"), (luks1(&noise(1 << 20)), "LUKS1")]
    {
        let told = told("card", &card, Limits::default());
        let [volume] = &told.volumes[..] else { panic!("{:?}", told.volumes) };
        assert_eq!(volume.kind, kind);
        assert_eq!(volume.id.as_deref(), Some("UUID 0b6d1c3e-77aa-4b1e-8c55-2f1f6a9d0e11"));
        assert_eq!(volume.lock, Lock::Encrypted("aes-xts-plain64".to_owned()));
        assert_eq!(volume.severity(), Severity::Info);
        assert_eq!(told.skipped.len(), 1, "what is in there was not read: {:?}", told.skipped);
    }
    // One that was just made: nothing was written yet.
    let fresh = luks2("aes-xts-plain64", &[0; 1 << 20]);
    assert!(matches!(volumes(&fresh)[..], [Volume { lock: Lock::Encrypted(_), .. }]));
}

/// The attack: a header says that all is encrypted, and footage and secrets lie behind it.
#[test]
fn a_header_that_lies_hides_nothing() {
    let plain = image(&card(), EXT4);
    let told = told("card", &luks2("aes-xts-plain64", &plain), Limits::default());
    let [header, open] = &told.volumes[..] else { panic!("{:?}", told.volumes) };
    assert!(matches!(&header.lock, Lock::Perhaps(why) if why.contains("no noise")), "{header:?}");
    assert_eq!((open.footage.recordings, open.severity()), (3, Severity::High));
    assert_eq!(ids(&told.found), ["url-credentials"]);
    // Footage between header and noise.
    let mut between = luks2("aes-xts-plain64", &noise(1 << 20));
    between.splice(32 << 10..32 << 10, mkv());
    let json = between.windows(5).position(|five| five == b"32768").expect("an offset");
    between[json..json + 5].copy_from_slice(b"90112");
    between.truncate(90_112 + (1 << 20));
    let mut head = between[..16 << 10].to_vec();
    head[448..512].fill(0);
    between[448..480].copy_from_slice(&Sha256::digest(&head));
    let told = volumes(&between);
    assert!(matches!(&told[0].lock, Lock::Perhaps(why) if why.contains("lies before")), "{told:?}");
    // Noise that does not follow the header, and a header with nothing behind it.
    let mut far = luks1(&noise(1 << 20));
    far[104..108].copy_from_slice(&(1_u32 << 20).to_be_bytes());
    for card in [far, luks1(&[])] {
        let told = volumes(&card);
        assert!(matches!(&told[0].lock, Lock::Perhaps(why) if why.contains("does not follow")), "{told:?}");
    }
    // No encryption by its own word.
    let null = volumes(&luks2("cipher_null-ecb", &noise(1 << 20)));
    assert!(matches!(&null[0].lock, Lock::Perhaps(why) if why.contains("no encryption")), "{null:?}");
    // A sum that is not right, a header that is cut off, JSON that nests.
    let mut wrong = luks2("aes-xts-plain64", &noise(1 << 20));
    wrong[5000] ^= 1;
    assert!(volumes(&wrong).is_empty());
    for cut in [8, 100, 591, 4096, 5000, 16 << 10] {
        volumes(&luks2("aes-xts-plain64", &[])[..cut]);
    }
    let deep = "[".repeat(5000);
    assert!(volumes(&luks2(&deep, &[])).is_empty());
    // Words about LUKS are none.
    assert!(volumes(b"LUKS\xba\xbe\0\x02 is how it begins").is_empty());
}

#[test]
fn bitlocker_and_file_systems_that_are_not_read_are_told() {
    let sector = |name: &[u8]| {
        let mut card = noise(2 << 20);
        card[..512].fill(0);
        card[..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
        card[3..3 + name.len()].copy_from_slice(name);
        card[510..512].copy_from_slice(&[0x55, 0xaa]);
        card
    };
    let [volume] = &volumes(&sector(b"-FVE-FS-"))[..] else { panic!("one volume") };
    assert_eq!(volume.lock, Lock::Encrypted("BitLocker".to_owned()));
    let of = |bytes: &Vec<u8>| told("card.img", bytes, Limits::default()).volumes;
    // Nobody looked whether they encrypt what they hold.
    let mut apfs = vec![1; 2 << 20];
    apfs[32..36].copy_from_slice(b"NXSB");
    for (kind, bytes) in [("NTFS", sector(b"NTFS    ")), ("APFS", apfs)] {
        let told = told("card.img", &bytes, Limits::default());
        let [volume] = &told.volumes[..] else { panic!("one volume") };
        assert_eq!(
            (volume.kind.as_str(), &volume.lock, volume.rule()),
            (kind, &Lock::Unread, "unread-volume")
        );
        assert!(told.totals.unread == 1 && !told.totals.closed, "{:?}", told.totals);
        for form in [Form::Text, Form::Json, Form::Sarif, Form::Csv, Form::Html] {
            let text = written(&told, form);
            assert!(text.contains("whether it is encrypted is unknown"), "{form:?}: {text}");
            assert!(!text.contains("not encrypted"), "{form:?}: {text}");
        }
    }
    let mut disk = vec![0; 2 << 20];
    disk[0x210..0x210 + 18].copy_from_slice(b"HIKVISION@HANGZHOU");
    let [recorder] = &of(&disk)[..] else { panic!("one volume") };
    assert_eq!((recorder.rule(), recorder.severity()), ("open-recorder-disk", Severity::Medium));
    assert!(recorder.facts().iter().any(|fact| fact.starts_with("not looked at")));
    // BitLocker To Go is a FAT, in which a program lies that reads the rest.
    let line = "truncate -s 4M out; mkfs.fat out >/dev/null; mcopy -i out -s tree/* ::";
    let mut to_go = image(&[("COV 0000. BL", noise(3 << 20))], line);
    to_go[424..440].copy_from_slice(&[
        0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01,
    ]);
    assert_eq!(volumes(&to_go)[0].lock, Lock::Encrypted("BitLocker To Go".to_owned()));
    // The attack: sixteen bytes on a card that lies open.
    let mut lie = image(&card(), FAT32);
    lie[424..440].copy_from_slice(&to_go[424..440]);
    let [volume] = &volumes(&lie)[..] else { panic!("one volume") };
    assert!(matches!(&volume.lock, Lock::Perhaps(why) if why.contains("no noise")), "{volume:?}");
    assert_eq!((volume.footage.recordings, volume.severity()), (3, Severity::High));
}

#[test]
fn files_that_are_encrypted_one_by_one_are_counted() {
    let mut ecryptfs = vec![0, 0, 0, 0, 0, 0, 0x10, 0, 0x12, 0x34, 0x56, 0x78];
    ecryptfs.extend((0x1234_5678_u32 ^ 0x3c81_b7f5).to_be_bytes());
    ecryptfs.extend(noise(12_288));
    let card = image(
        &[("one", ecryptfs), ("two", noise(5000))],
        &format!("{ENCRYPTING}; debugfs -w -R 'set_inode_field two flags 0x80800' out 2>/dev/null"),
    );
    let [volume] = &volumes(&card)[..] else { panic!("one volume") };
    assert_eq!((volume.encrypted, volume.has_footage()), (2, false), "{volume:?}");
    // The attack: the flag in a file system that cannot encrypt.
    let files = [("param.txt", [SECRET.as_bytes(), &[b' '; 5000]].concat()), ("etc/a.mkv", mkv())];
    let flags = "debugfs -w -R 'set_inode_field param.txt flags 0x80800' out 2>/dev/null; \
        debugfs -w -R 'set_inode_field etc flags 0x80800' out 2>/dev/null";
    let told = told("card", &image(&files, &format!("{EXT4}; {flags}")), Limits::default());
    let [volume] = &told.volumes[..] else { panic!("one volume") };
    assert_eq!((volume.encrypted, volume.footage.recordings), (0, 1), "{volume:?}");
    assert_eq!(told.found[0].location.chain, ["card", "param.txt"]);
}

#[test]
fn pages_of_a_system_are_no_footage() {
    let card = image(&[("usr/share/www/logo.jpg", jpeg()), ("var/www/a.jpg", jpeg())], EXT4);
    assert_eq!(volumes(&card)[0].severity(), Severity::Info);
    // A film is one wherever it lies.
    let card = image(&[("usr/lib/libc.so", mp4())], EXT4);
    assert_eq!(volumes(&card)[0].severity(), Severity::High);
}

#[test]
fn beyond_a_limit_files_are_still_counted_and_that_is_told() {
    let names: Vec<String> = (0..60).map(|number| format!("{number:02}.mkv")).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), mkv())).collect();
    for line in [EXT4, FAT32] {
        let card = image(&files, line);
        let told_all = told("card", &card, Limits { total_bytes: 200_000, ..Limits::default() });
        assert_eq!(told_all.volumes[0].footage.recordings, 60, "{line}");
        assert_eq!(told_all.volumes[0].footage.bytes, 60 * 50_000, "{line}");
        assert!(told_all.totals.unpacked < 600_000, "{}", told_all.totals.unpacked);
        assert!(told_all.skipped.iter().any(|(_, why)| why == "larger than the limit"));
        // The attack: a million files. Their number ends the walk, which is told.
        let told = told("card", &card, Limits { entries: 20, ..Limits::default() });
        let volume = &told.volumes[0];
        assert!((1..=20).contains(&volume.footage.recordings), "{line}: {volume:?}");
        assert_eq!(volume.unread, ["more entries than the limit"], "{line}");
    }
}

/// The attack: sizes and times that cannot be.
#[test]
fn claims_of_a_file_system_stay_within_it() {
    let card = image(
        &[("a.mkv", mkv())],
        &format!(
            "{EXT4}; debugfs -w -R 'set_inode_field a.mkv size 0x7000000000000000' out 2>/dev/null;\
             debugfs -w -R 'set_inode_field a.mkv mtime @0x7fffffff' out 2>/dev/null"
        ),
    );
    let [volume] = &told("card", &card, Limits { total_bytes: 1 << 20, ..Limits::default() }).volumes[..]
    else {
        panic!("one volume")
    };
    assert_eq!(volume.footage.bytes, 16 << 20);
    assert!(volume.facts().join(" ").contains("2038-01-19"), "{:?}", volume.facts());
}

#[test]
fn every_report_tells_of_cards_and_of_names_that_mean_no_good() {
    let name = "\u{1b}[2J\u{202e}<script>\"=cmd,.mkv";
    let told = told("=card", &image(&[(name, mkv())], EXT4), Limits::default());
    let write = |form| written(&told, form);
    for form in [Form::Text, Form::Json, Form::Sarif, Form::Csv, Form::Html] {
        let text = write(form);
        assert!(text.contains("footage"), "{form:?}: {text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{form:?}");
        assert!(form != Form::Html || !text.contains("<script>"), "{text}");
    }
    assert!(write(Form::Csv).contains("\"'=card\""), "{}", write(Form::Csv));
    let sarif: serde_json::Value = serde_json::from_str(&write(Form::Sarif)).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"open-footage".into(), &"error".into()));
    let json: serde_json::Value = serde_json::from_str(&write(Form::Json)).expect("JSON");
    assert_eq!(json["volumes"][0]["footage"]["recordings"], 1);
}

#[test]
fn a_card_that_is_known_stays_known_under_another_name_until_there_is_more_on_it() {
    let bytes = image(&card(), EXT4);
    let first = told("/dev/sdb", &bytes, Limits::default()).volumes;
    let again = told("/dev/mmcblk0", &bytes, Limits::default()).volumes;
    assert_eq!(first[0].fingerprint("card"), again[0].fingerprint("card"));
    let text = Baseline::default().with(&[], &first, true);
    let known = Baseline::read(&text, NOW).expect("its own form");
    assert!(known.knows_volume(&again[0]));
    let ends = text.replace("\"rule\"", "\"until\": 1795824001, \"reason\": \"on its way\", \"rule\"");
    assert!(!Baseline::read(&ends, NOW + 1).expect("its own form").knows_volume(&again[0]));
    // One that was empty is in no baseline, and so is told once footage is on it.
    let empty = volumes(&image(&[], EXT4));
    let text = Baseline::default().with(&[], &empty, true);
    assert_eq!(empty[0].fingerprint("card"), first[0].fingerprint("card"));
    assert!(!Baseline::read(&text, NOW).expect("its own form").knows_volume(&first[0]));
}

#[test]
fn a_journal_keeps_what_was_said_of_a_card() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let rules = Rules::built_in();
    let volumes = volumes(&image(&card(), FAT32));
    let mut journal = Journal::open(&path, &["x"], &rules, NOW).expect("a new one");
    journal.put("card", "1", &Done { volumes: volumes.clone(), ..Done::default() }).expect("room");
    drop(journal);
    let mut journal = Journal::open(&path, &["x"], &rules, NOW).expect("its own");
    assert_eq!(journal.take("card", "1").expect("done").volumes, volumes);
}

/// The attack: a film that begins as a file of eCryptfs does, in eight bytes that are free
/// there.
#[test]
fn a_film_is_not_called_encrypted_for_eight_bytes() {
    let (mut lie, marker) = (mp4(), 0x1234_5678_u32);
    lie.splice(8..16, [marker.to_be_bytes(), (marker ^ 0x3c81_b7f5).to_be_bytes()].concat());
    let card = image(&[("a.mp4", lie)], EXT4);
    let [volume] = &volumes(&card)[..] else { panic!("one volume") };
    assert_eq!((volume.footage.recordings, volume.encrypted), (1, 0), "{volume:?}");
}

/// So few clusters are of FAT16 by the specification; tools write 32 bits all the same, and
/// whoever puts the card in reads them.
#[test]
fn a_small_fat_of_32_bits_is_read() {
    // Tools copy into none that is so small, so one that was larger is made shorter.
    let mut small = image(&card(), FAT32);
    small.truncate(4 << 20);
    small[32..36].copy_from_slice(&8192_u32.to_le_bytes());
    let told = told("card", &small, Limits::default());
    let [volume] = &told.volumes[..] else { panic!("{:?}", told.volumes) };
    assert_eq!((volume.kind.as_str(), volume.footage.recordings), ("FAT32", 3));
    assert_eq!(ids(&told.found), ["url-credentials"]);
}

/// The attack: an image of QEMU that says it is encrypted, a boot sector of BitLocker, and
/// plain text behind either.
#[test]
fn what_only_says_that_it_is_encrypted_is_so_perhaps() {
    let mut disk = vec![b' '; 1 << 20];
    disk[..72].fill(0);
    disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    disk[20..24].copy_from_slice(&16_u32.to_be_bytes());
    disk[32..36].copy_from_slice(&1_u32.to_be_bytes());
    let mut boot = vec![b' '; 1 << 20];
    boot.chunks_mut(7).for_each(|some| some[0] = b'.');
    boot[..11].copy_from_slice(b"\xeb\x58\x90-FVE-FS-");
    boot[510..512].copy_from_slice(&[0x55, 0xaa]);
    for mut card in [disk, boot] {
        card[5000..5000 + SECRET.len()].copy_from_slice(SECRET.as_bytes());
        let told = told("card", &card, Limits::default());
        assert!(matches!(told.volumes[..], [Volume { lock: Lock::Perhaps(_), .. }]), "{:?}", told.volumes);
        assert_eq!(ids(&told.found), ["url-credentials"], "it hides nothing");
    }
}
