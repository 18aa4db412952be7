use std::process::Command;
use std::time::Duration;

use crate::support::{OneBox, ffprobe};

fn seconds(n: u64) {
    std::thread::sleep(Duration::from_secs(n));
}

#[test]
fn from_a_camera_to_a_file_that_plays() {
    let (mut site, camera) = OneBox::with_camera();
    let watched = site.succeed(&["camera", "watch", &camera, "--seconds", "5", "--json"]);
    let watched: serde_json::Value = serde_json::from_str(&watched).unwrap();
    assert!(watched["pictures"].as_u64().unwrap() > 30, "{watched}");

    // A graceful end closes the recording; after it, the archive is complete.
    site.terminate();
    site.start();
    let list = site.recordings(&camera, 1);
    assert_eq!(list["recordings"][0]["available"], true, "{list}");

    let out = site.path("out.mp4");
    site.succeed(&[
        "export",
        "--camera",
        &camera,
        "--from",
        "10m",
        "--reason",
        "a parcel",
        out.to_str().unwrap(),
    ]);
    let streams = ffprobe(&out, "stream=codec_name,width,height");
    assert!(streams.contains("codec_name=h264|width=1280|height=720"), "{streams}");
    let decoded =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&out).args(["-f", "null", "-"]).output();
    let decoded = decoded.unwrap();
    assert!(
        decoded.status.success() && decoded.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&decoded.stderr)
    );
    // What is there is not overwritten.
    let error = site.fail(&["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()]);
    assert!(error.contains("could not be made"), "{error}");

    let recordings = site.data().join("gateway/recordings");
    let words = site.succeed(&["verify", recordings.to_str().unwrap()]);
    assert!(words.contains("genuine") && !words.contains("REFUSED"), "{words}");
}

#[test]
fn a_killed_recorder_loses_a_second_at_most_and_says_so() {
    let (mut site, camera) = OneBox::with_camera();
    seconds(8);
    site.kill();
    seconds(3);
    site.start();
    // The recording that was cut off is closed, forwarded and listed.
    let list = site.recordings(&camera, 1);
    let recording = &list["recordings"][0];
    let kept_ms = recording["duration_ms"].as_u64().unwrap();
    assert!(kept_ms > 5_000, "{kept_ms} ms of about 8 s are left");
    seconds(3);
    site.terminate();
    site.start();
    let list = site.recordings(&camera, 2);
    let gaps = list["gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap["reason"] == "restarted"), "{list}");
    let recordings = site.data().join("gateway/recordings");
    let words = site.succeed(&["verify", recordings.to_str().unwrap()]);
    assert!(!words.contains("REFUSED"), "{words}");
}

#[test]
fn an_altered_recording_is_refused() {
    let (mut site, camera) = OneBox::with_camera();
    seconds(4);
    site.terminate();
    let folder = site.data().join(format!("gateway/recordings/{camera}/main"));
    let day = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let altered = site.path("altered.lkr");
    std::fs::write(&altered, bytes).unwrap();
    let output = site.run(&["verify", altered.to_str().unwrap(), file.to_str().unwrap()]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    assert_eq!((words.matches("REFUSED").count(), words.matches("genuine  ").count()), (1, 1), "{words}");
}

#[test]
fn a_reader_that_goes_is_no_error() {
    let site = OneBox::new();
    let link = site.link.clone().unwrap();
    site.succeed(&["device", "new", "--link", &link]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = site
        .command(&["camera", "list"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn mistakes_are_named_with_their_remedy() {
    let site = OneBox::new();
    let error = site.fail(&["camera", "list"]);
    assert!(error.contains("device new --link"), "{error}");
    let error = site.fail(&["device", "new", "--link", "http://localhost:1/setup"]);
    assert!(error.contains("copy it whole"), "{error}");
    let error = site.fail(&["up", "--listen", "0.0.0.0:8470"]);
    assert!(error.contains("demand TLS"), "{error}");

    let link = site.link.clone().unwrap();
    site.succeed(&["device", "new", "--link", &link]);
    let error = site.fail(&["device", "new", "--link", &link]);
    assert!(error.contains("holds a device already"), "{error}");
    let error = site.fail(&["camera", "check", "http://127.0.0.1/"]);
    assert!(error.contains("rtsp://"), "{error}");
    let error = site.fail(&["camera", "check", "rtsp://127.0.0.1:9/stream"]);
    assert!(error.contains("127.0.0.1:9"), "{error}");
    // Another person's link is spent.
    std::fs::remove_dir_all(site.path("home")).unwrap();
    let error = site.fail(&["device", "new", "--link", &link]);
    assert!(!error.contains("token="), "{error}");
    std::fs::write(site.path("passphrase"), "short").unwrap();
    let error = site.fail(&["device", "new", "--link", &link]);
    assert!(error.contains("shorter than"), "{error}");
}

#[test]
fn a_gateway_on_another_machine_joins_by_code() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let site = OneBox::new();
    let link = site.link.clone().unwrap();
    let without_gateway = link.split('&').next().unwrap();
    site.succeed(&["device", "new", "--link", without_gateway]);
    let mut adding =
        site.command(&["gateway", "add"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let code = BufReader::new(adding.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let code = seal::enrolment::Code::parse(&code).unwrap();
    let port: u16 = without_gateway.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    let url = format!("https://localhost:{}", port + 1).parse().unwrap();
    let local = gateway::LocalSection { enabled: false, ..Default::default() };
    let config = gateway::Config { data: site.path("remote"), local, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let enrolment = gateway::Enrolment::from_code(url, code);
    let running = runtime.block_on(Box::pin(gateway::start(config, Some(enrolment)))).unwrap();
    assert!(adding.wait().unwrap().success());
    let mut enrolled = running.enrolled();
    runtime.block_on(async { enrolled.wait_for(|enrolled| *enrolled).await.map(|_| ()) }).unwrap();
    runtime.block_on(running.shutdown()).unwrap();
}
