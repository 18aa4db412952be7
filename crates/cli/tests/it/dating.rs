//! What an export proves of its time, and what it does not; and that a camera's
//! own signatures come through as they were.

use std::path::PathBuf;
use std::time::Duration;

use camera_sim::{Options, Pictures, Prepared};
use media::{CameraSignature, Codec, nal};
use model::{Hash, Rendition};
use seal::dating::Dating;
use seal::keys::SigningKey;
use seal::recording::Excerpt;
use seal::tlog::{Checkpoint, LogKey, sign};

use crate::proof::stranger;
use crate::support::OneBox;

/// An excerpt's bytes, and the dating after it.
type Part = (Vec<u8>, Option<Dating>);

fn parts(bytes: &[u8]) -> Vec<Part> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (_, after) = Excerpt::parse(rest).unwrap();
        let excerpt = rest[..rest.len() - after.len()].to_vec();
        let (dating, after) = match Dating::parse(after).unwrap() {
            Some((dating, after)) => (Some(dating), after),
            None => (None, after),
        };
        found.push((excerpt, dating));
        rest = after;
    }
    found
}

fn joined(parts: &[Part]) -> Vec<u8> {
    let bytes = |(excerpt, dating): &Part| {
        [excerpt.clone(), dating.as_ref().map(Dating::to_bytes).unwrap_or_default()].concat()
    };
    parts.iter().flat_map(bytes).collect()
}

/// Writes film and proof; what was said, and the proof.
fn exported(site: &OneBox, camera: &str, name: &str) -> (String, PathBuf, PathBuf) {
    let (film, proof) = (site.path(&format!("{name}.mp4")), site.path(&format!("{name}.lkproof")));
    let paths = [film.to_str().unwrap(), proof.to_str().unwrap()];
    let said = site.succeed(&["export", "--camera", camera, "--from", "10m", "--proof", paths[1], paths[0]]);
    (said, film, proof)
}

/// As soon as the history stands for all of it.
fn exported_and_dated(site: &OneBox, camera: &str) -> (String, PathBuf) {
    for n in 0..60 {
        let (said, _, proof) = exported(site, camera, &format!("film{n}"));
        if !said.contains("not in the history yet") {
            return (said, proof);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("waited in vain for the history");
}

#[test]
fn an_export_says_between_which_times_it_was_made() {
    let (mut site, camera) = OneBox::with_camera();
    std::fs::write(site.config(), "[history]\nrecordings_seconds = 1\n").unwrap();
    // In the second run the gateway sees the log; the third begins with what it has seen.
    for run in 1..=3 {
        site.terminate();
        site.start();
        site.succeed(&["camera", "watch", &camera, "--seconds", "4", "--json"]);
        site.recordings(&camera, run);
    }
    site.terminate();
    site.start();
    site.recordings(&camera, 4);
    // From then on this device knows the log.
    site.succeed(&["audit", "verify"]);
    let (said, proof) = exported_and_dated(&site, &camera);
    let log = site.succeed(&["audit", "key"]).trim().to_owned();
    assert!(said.contains(&format!("--log-key {log}")), "{said}");
    let said = site.succeed(&["verify", proof.to_str().unwrap()]);
    for words in ["not made before", "existed at", "by the word of whoever runs the cloud"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Recordings alone say what their headers hold.
    let recordings = site.data().join("gateway/recordings");
    let said = site.succeed(&["verify", recordings.to_str().unwrap()]);
    assert!(said.contains("made after the history had") && !said.contains("REFUSED"), "{said}");

    let key = site.succeed(&["gateway", "list"]).split_whitespace().last().unwrap().to_owned();
    site.terminate();
    let folder = site.path("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    let judge = |bytes: &[u8], more: &[&str]| {
        let file = folder.join("given.lkproof");
        std::fs::write(&file, bytes).unwrap();
        let arguments = [&["verify", "--gateway-key", &key], more, &[file.to_str().unwrap()]].concat();
        stranger(&folder, &arguments)
    };
    let bytes = std::fs::read(&proof).unwrap();
    let known = ["--log-key", log.as_str()];
    let (good, said) = judge(&bytes, &known);
    assert!(good && said.contains("existed at") && said.contains("no witness that is known here"), "{said}");
    assert!(!said.contains("proven only if"), "{said}");
    // Whoever does not know the log is told to ask.
    let (good, said) = judge(&bytes, &[]);
    assert!(good && said.contains("proven only if") && said.contains(&log), "{said}");

    let whole = parts(&bytes);
    let refused = |change: &dyn Fn(&mut [Part]), words: &str| {
        let mut changed = whole.clone();
        change(&mut changed);
        let (good, said) = judge(&joined(&changed), &known);
        assert!(!good && said.contains("REFUSED") && said.contains(words), "{words}: {said}");
    };
    let last = whole.len() - 1;
    // The dating of another recording; an entry that was changed; a history of somebody's own.
    refused(&|parts| parts[0].1 = whole[last].1.clone(), "");
    let path = |parts: &mut [Part]| {
        parts[0].1.as_mut().unwrap().stored.as_mut().unwrap().path.push(Hash([1; 32]));
    };
    refused(&path, "not in the batch");
    let entry = |parts: &mut [Part]| {
        let stored = parts[0].1.as_mut().unwrap().stored.as_mut().unwrap();
        stored.leaf = stored.leaf.replace("\"time\":1", "\"time\":2");
    };
    refused(&entry, "not in the log's checkpoint");
    let forger = SigningKey::from_seed([9; 32]);
    let name = LogKey::parse(&log).unwrap().name;
    let forged = |parts: &mut [Part]| {
        for dating in parts.iter_mut().filter_map(|(_, dating)| dating.as_mut()) {
            let genuine = LogKey::parse(&dating.log).unwrap();
            dating.log = LogKey { name: name.clone(), key: forger.verifying_key() }.verifier_key();
            for published in dating.stored.iter_mut().flat_map(|stored| &mut stored.checkpoints) {
                published.note = sign(&Checkpoint::verify(&published.note, &genuine).unwrap(), &forger);
            }
        }
    };
    refused(&forged, "by another log");
    // What was left out is said to be unproven.
    let mut bare = whole.clone();
    bare.iter_mut().for_each(|(_, dating)| *dating = None);
    let (good, said) = judge(&joined(&bare), &known);
    assert!(good && said.contains("not proven: that it existed at any time before now"), "{said}");
    assert!(said.contains("made after the history had"), "{said}");
}

/// One access unit of the synthetic stream, as the camera sends it.
fn picture(n: u8) -> Vec<Vec<u8>> {
    let signature = |known: CameraSignature| {
        // Longer than a packet: it travels in pieces.
        let body = [known.uuid().as_slice(), &[n + 1; 2_000]].concat();
        let sizes = [vec![0xff; body.len() / 255], vec![(body.len() % 255) as u8]].concat();
        [&[0x06, 0x05], sizes.as_slice(), &body, &[0x80]].concat()
    };
    let sps = vec![0x67, 0x4d, 0x00, 0x1f, 0x95, 0xa8, 0x14, 0x01, 0x6e, 0x40];
    let pps = vec![0x68, 0xee, 0x3c, 0x80];
    let slice = |kind: u8| [&[kind, 0x88], [n + 1; 600].as_slice()].concat();
    match n % 10 {
        0 => vec![sps, pps, signature(CameraSignature::AxisSignedVideo), slice(0x65)],
        5 => vec![signature(CameraSignature::OnvifMediaSigning), slice(0x41)],
        _ => vec![slice(0x41)],
    }
}

#[test]
fn a_cameras_own_signatures_come_through_as_they_were_and_are_told() {
    let site = OneBox::new();
    let link = site.link.clone().unwrap();
    site.succeed(&["device", "new", "--link", &link]);
    let pictures: Vec<Vec<Vec<u8>>> = (0..20).map(picture).collect();
    let stream: Vec<u8> =
        pictures.iter().flatten().flat_map(|unit| [&[0, 0, 0, 1], unit.as_slice()].concat()).collect();
    let prepared = Prepared::of_byte_stream(Codec::H264, &stream, 10).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options { main: Pictures::Prepared(prepared), sub: None, ..Options::default() };
    let simulated = runtime.block_on(camera_sim::start(options)).unwrap();
    site.succeed(&["camera", "add", "--name", "Yard", &simulated.url(Rendition::Main).to_string()]);
    let camera = site.first_camera();
    site.succeed(&["camera", "watch", &camera, "--seconds", "5", "--json"]);
    let mut site = site;
    site.terminate();
    site.start();
    site.recordings(&camera, 1);

    let (said, film, proof) = exported(&site, &camera, "signed");
    let told = "the camera's own signatures (Axis Signed Video, ONVIF Media Signing) are in the picture";
    assert!(said.contains(told) && said.contains("not checked by Lenskeep"), "{said}");
    let said = site.succeed(&["verify", proof.to_str().unwrap()]);
    assert!(said.contains(told), "{said}");

    // All that the camera sent of a picture, but for its parameter sets, stands in the film in one piece.
    let film = std::fs::read(film).unwrap();
    for sent in &pictures {
        let kept = sent.iter().filter(|unit| !matches!(unit[0], 0x67 | 0x68)).map(Vec::as_slice);
        let kept = nal::to_length_prefixed(kept);
        assert!(film.windows(kept.len()).any(|window| window == &kept[..]), "{:?}", &sent[0][..8]);
    }
}
