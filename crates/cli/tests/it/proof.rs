//! Exports with a proof, as a stranger takes them: with nothing but the file
//! and the gateway's key.

use std::path::Path;
use std::process::Command;

use crate::support::{OneBox, ffprobe};

/// Somebody who has no device, no roster and no server.
pub(crate) fn stranger(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lenskeep"))
        .args(arguments)
        .env("LENSKEEP_HOME", folder.join("nobody"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_stranger_verifies_an_export_and_opens_nothing_else() {
    let (mut site, camera) = OneBox::with_camera();
    // A stop closes the recording that is open.
    site.succeed(&["camera", "watch", &camera, "--seconds", "5", "--json"]);
    site.terminate();
    site.start();
    site.recordings(&camera, 1);
    let path = |name: &str| site.path(name).to_str().unwrap().to_owned();
    let (film, proof) = (path("film.mp4"), path("film.lkproof"));
    let export = ["export", "--camera", &camera, "--from", "10m"];
    let with = |more: &[&str]| [export.as_slice(), more].concat().iter().map(|s| (*s).to_owned()).collect();
    let run = |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        site.run(&arguments)
    };
    let refused = run(with(&["--proof", &path("film.txt"), &film]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("*.lkproof"));
    std::fs::remove_file(&film).unwrap_or_default();
    let exported = run(with(&["--no-sound", "--proof", &proof, &film]));
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    assert!(String::from_utf8_lossy(&exported.stdout).contains("needs, by another way"));
    assert!(!ffprobe(Path::new(&film), "stream=codec_type").contains("audio"), "the sound was left out");
    // A proof is not written over.
    assert!(!run(with(&["--proof", &proof, &path("again.mp4")])).status.success());

    let said = site.succeed(&["verify", &proof]);
    assert!(
        said.contains("genuine  part 1 of") && said.contains("camera Door") && said.contains("Not proven"),
        "{said}"
    );
    let key = site.succeed(&["gateway", "list"]).split_whitespace().last().unwrap().to_owned();
    // Without the cloud, without a device, without a roster.
    site.terminate();
    let folder = site.path("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    let out = folder.join("out.mp4").to_str().unwrap().to_owned();
    let (good, said) = stranger(&folder, &["verify", "--gateway-key", &key, "--out", &out, &proof]);
    assert!(good && said.contains(&camera) && said.contains("withheld: 0 of pictures"), "{said}");
    assert_eq!(
        std::fs::read(&out).unwrap(),
        std::fs::read(&film).unwrap(),
        "the pictures of the proof are the film's"
    );
    let (good, said) = stranger(&folder, &["verify", &proof]);
    assert!(!good && said.contains("--gateway-key"), "{said}");
    // A film that cannot be written says nothing against the proof.
    let (good, said) = stranger(&folder, &["verify", "--gateway-key", &key, "--out", &out, &proof]);
    assert!(!good && said.contains("is genuine, but") && !said.contains("REFUSED"), "{said}");

    // Another gateway's key; a proof with one bit changed anywhere; one that was cut off.
    let other = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let (good, said) = stranger(&folder, &["verify", "--gateway-key", other, &proof]);
    assert!(!good && said.contains("REFUSED") && said.contains("did not sign the header"), "{said}");
    let bytes = std::fs::read(&proof).unwrap();
    // The same once more would be a longer film.
    let file = folder.join("twice.lkproof");
    std::fs::write(&file, [bytes.as_slice(), &bytes].concat()).unwrap();
    let (good, said) = stranger(&folder, &["verify", "--gateway-key", &key, file.to_str().unwrap()]);
    assert!(!good && said.contains("shows again"), "{said}");
    for part in 1..9 {
        let mut changed = bytes.clone();
        changed[bytes.len() * part / 9] ^= 4;
        let file = folder.join("changed.lkproof");
        std::fs::write(&file, changed).unwrap();
        let (good, said) = stranger(&folder, &["verify", "--gateway-key", &key, file.to_str().unwrap()]);
        assert!(!good && said.contains("REFUSED"), "{part}: {said}");
    }
    let file = folder.join("short.lkproof");
    std::fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    let (good, said) = stranger(&folder, &["verify", "--gateway-key", &key, file.to_str().unwrap()]);
    assert!(!good && said.contains("is cut off"), "{said}");
}
