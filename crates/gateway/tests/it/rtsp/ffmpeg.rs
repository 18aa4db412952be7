//! ffprobe and ffmpeg as clients of the simulator, so that it is measured by
//! somebody else's idea of RTSP.

use camera_sim::{Identity, Options, Prepared};
use camera_sim::{Pictures, Running};
use model::Rendition;

use super::support::{options, program, pull};

fn with_credentials(url: &model::CameraUrl) -> String {
    url.to_string().replacen("://", "://admin:hunter2@", 1)
}

async fn ffprobe(url: String, arguments: &'static [&'static str]) -> String {
    let run = move || {
        let output = program("ffprobe", "ffmpeg")
            .args(["-v", "error", "-of", "csv=p=0", "-show_entries"])
            .arg("stream=codec_name,width,height,sample_rate")
            .args(arguments)
            .arg(url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_reads_the_simulator_in_every_way() {
    let camera = camera_sim::start(Options {
        sub: Some(super::support::pictures()),
        audio: true,
        rtsps: Some((([127, 0, 0, 1], 0).into(), Identity::generate().unwrap())),
        ..options()
    })
    .await
    .unwrap();
    let expected = "h264,320,180\npcm_mulaw,8000\n";
    let tcp = &["-rtsp_transport", "tcp"];
    let udp = &["-rtsp_transport", "udp"];
    let main = with_credentials(&camera.url(Rendition::Main));
    assert_eq!(ffprobe(main.clone(), tcp).await, expected);
    assert_eq!(ffprobe(main, udp).await, expected);
    let secure = with_credentials(&camera.rtsps_url(Rendition::Sub).unwrap());
    assert_eq!(ffprobe(secure, tcp).await, expected);
}

/// What ffmpeg wrote plays, and what the source pulls from it is its length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_h265_is_played_to_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loop.h265");
    let output = program("ffmpeg", "ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=20", "-t", "1"])
        .args(["-c:v", "libx265", "-x265-params", "log-level=none:bframes=0:keyint=10:open-gop=0"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let main = Pictures::Prepared(Prepared::read(&file, 20).unwrap());
    let camera: Running = camera_sim::start(Options { main, ..options() }).await.unwrap();
    let limits = gateway::rtsp::Limits::default();
    let mut source = super::support::connect(&camera.access(), &limits).await.unwrap();
    let (tracks, _, units) = pull(&mut source, 25).await;
    assert!(tracks[0].codec.starts_with("hvc1."), "{}", tracks[0].codec);
    let keys = units.iter().filter(|unit| unit.key_frame).count();
    assert_eq!(keys, 3, "one in ten pictures");
}
