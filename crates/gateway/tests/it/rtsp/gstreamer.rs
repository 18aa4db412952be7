//! GStreamer's RTSP server as the camera.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gateway::rtsp::{Limits, RtspSource, SourceError, Transport, probe_certificate};
use model::{CameraAccess, Rendition, Secret};

use super::support::{lost, pull, quick, watch};

const PACKAGES: &str = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-rtsp \
     gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
     gstreamer1.0-plugins-ugly gstreamer1.0-libav";

/// Ends when it is dropped, because its standard input closes.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // A server that does not listen to its input is ended the hard way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/gstreamer_server.py");
        // Debian's interpreter: others do not see Debian's gi.
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("/usr/bin/python3: {error}; apt-get install python3 {PACKAGES}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).unwrap();
        let port = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("GStreamer's RTSP server does not start; apt-get install {PACKAGES}"));
        Server { process, port }
    }

    fn access(&self, scheme: &str) -> CameraAccess {
        CameraAccess {
            url: format!("{scheme}://127.0.0.1:{}/camera", self.port).parse().unwrap(),
            sub_url: None,
            username: Some("admin".into()),
            password: Some(Secret::new("hunter2")),
            certificate: None,
            onvif_url: None,
        }
    }
}

/// Codecs of both tracks, from a stream that ran for some pictures.
async fn codecs(access: &CameraAccess, transport: Transport) -> Vec<String> {
    let mut source = watch(access, Rendition::Main, transport).await;
    let (tracks, _, units) = pull(&mut source, 40).await;
    assert!(units[0].key_frame);
    assert_eq!((tracks[0].width, tracks[0].height), (320, 240));
    for track in &tracks {
        let times: Vec<_> = units.iter().filter(|u| u.track == track.id).map(|u| u.time).collect();
        assert!(times.len() > 1 && times.is_sorted(), "{}: {times:?}", track.codec);
    }
    tracks.into_iter().map(|track| track.codec).collect()
}

#[tokio::test]
async fn h264_and_aac_with_digest() {
    let server = Server::start(&["--video", "h264", "--audio", "aac", "--digest", "admin:hunter2"]);
    let codecs = codecs(&server.access("rtsp"), Transport::Tcp).await;
    assert!(codecs[0].starts_with("avc1.") && codecs[1] == "mp4a.40.2", "{codecs:?}");
    let wrong = CameraAccess { password: Some(Secret::new("x")), ..server.access("rtsp") };
    assert_eq!(lost(&wrong, &quick()).await, SourceError::Unauthorized);
}

#[tokio::test]
async fn h265_and_a_law_with_basic() {
    let server = Server::start(&["--video", "h265", "--audio", "alaw", "--basic", "admin:hunter2"]);
    let codecs = codecs(&server.access("rtsp"), Transport::Tcp).await;
    assert!(codecs[0].starts_with("hvc1.") && codecs[1] == "alaw", "{codecs:?}");
}

#[tokio::test]
async fn h264_and_u_law_over_udp() {
    let server = Server::start(&["--video", "h264", "--audio", "ulaw"]);
    let codecs = codecs(&server.access("rtsp"), Transport::Udp).await;
    assert!(codecs[0].starts_with("avc1.") && codecs[1] == "ulaw", "{codecs:?}");
}

#[tokio::test]
async fn a_camera_without_tcp_is_pulled_over_udp() {
    let server = Server::start(&["--video", "h264", "--udp-only"]);
    let access = server.access("rtsp");
    let error = lost(&access, &quick()).await;
    assert!(matches!(error, SourceError::Refused { status: 461, .. }), "{error}");
    let limits = Limits::default();
    let mut source = Box::pin(RtspSource::connect_any(&access, Rendition::Main, &limits)).await.unwrap();
    let (tracks, ..) = pull(&mut source, 10).await;
    assert!(tracks[0].codec.starts_with("avc1."));
}

#[tokio::test]
async fn rtsps_with_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("camera.pem");
    write_certificate(&file);
    let file = file.to_str().unwrap();
    let server = Server::start(&["--video", "h264", "--digest", "admin:hunter2", "--certificate", file]);
    let found = probe_certificate("127.0.0.1", server.port, &quick()).await.unwrap();
    let access = CameraAccess { certificate: Some(found), ..server.access("rtsps") };
    assert!(codecs(&access, Transport::Tcp).await[0].starts_with("avc1."));
}

/// Certificate and key in one file, as GLib reads them.
fn write_certificate(file: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["camera.local".into()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut out = std::fs::File::create(file).unwrap();
    out.write_all((certificate.pem() + &key.serialize_pem()).as_bytes()).unwrap();
}
