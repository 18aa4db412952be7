//! A site whose cloud is gone: the command line asks the gateway itself.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gateway::{Config, Enrolment, LocalSection, RecordingSection, Running};
use model::{CameraId, Rendition};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{OneBox, ffprobe};

const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud, and a gateway that outlives it, with a camera.
pub(crate) struct Site {
    pub(crate) cloud: OneBox,
    pub(crate) camera: String,
    runtime: Runtime,
    gateway: Option<Running>,
    config: Config,
    simulated: camera_sim::Running,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::after(|_| {})
    }

    /// Something is done to the cloud before there is a camera.
    pub(crate) fn after(prepare: impl FnOnce(&OneBox)) -> Self {
        let cloud = OneBox::new();
        prepare(&cloud);
        let link = cloud.link.clone().unwrap();
        cloud.succeed(&["device", "new", "--link", link.split('&').next().unwrap()]);
        let mut adding =
            cloud.command(&["gateway", "add"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let code = BufReader::new(adding.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let code = seal::enrolment::Code::parse(&code).unwrap();
        let url = format!("https://localhost:{}", cloud.viewer_port() + 1).parse().unwrap();
        let config = Config {
            data: cloud.path("remote"),
            recording: RecordingSection { seconds: 2, ..Default::default() },
            local: LocalSection { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Default::default() },
            ..Default::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let enrolment = Enrolment::from_code(url, code);
        let gateway = runtime.block_on(Box::pin(gateway::start(config.clone(), Some(enrolment)))).unwrap();
        assert!(adding.wait().unwrap().success());
        let simulated = runtime.block_on(camera_sim::start(Default::default())).unwrap();
        let url = simulated.url(Rendition::Main).to_string();
        cloud.succeed(&["camera", "add", "--name", "Door", &url]);
        let camera = cloud.first_camera();
        Site { cloud, camera, runtime, gateway: Some(gateway), config, simulated }
    }

    pub(crate) fn address(&self) -> String {
        let mut address = self.gateway.as_ref().unwrap().local_address();
        let listening = async { address.wait_for(Option::is_some).await.map(|address| *address) };
        self.runtime.block_on(listening).unwrap().unwrap().to_string()
    }

    /// The gateway's process ends without a last word.
    pub(crate) fn kill_gateway(&mut self) {
        self.gateway = None;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        std::mem::replace(&mut self.runtime, runtime).shutdown_timeout(Duration::from_secs(5));
    }

    /// And begins again.
    pub(crate) fn start_gateway(&mut self) {
        let config = self.config.clone();
        let started = Instant::now();
        self.gateway = loop {
            // The lock goes with the last of the old one's threads.
            match self.runtime.block_on(Box::pin(gateway::start(config.clone(), None))) {
                Ok(gateway) => break Some(gateway),
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error:#}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
    }
}

#[test]
fn a_site_without_its_cloud_shows_its_people_what_is_theirs() {
    let mut site = Site::new();
    let address = site.address();
    let camera = site.camera.clone();
    // Asked for by address, while the cloud is there; from then on it is known.
    let list = site.cloud.succeed(&["camera", "list", "--json", "--local", &address]);
    assert!(list.contains(&camera), "{list}");
    site.cloud.kill();

    let output = site.cloud.run(&["camera", "list", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("from the site itself"), "{said}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["cameras"][0]["id"], *camera);
    assert_eq!(list["cameras"][0]["streams"][0]["state"], "recording", "{list}");

    site.cloud.recordings(&camera, 2);
    let out = site.cloud.path("out.mp4");
    let range = ["--camera", &camera, "--from", "10m"];
    let exporting = [&["export"], &range[..], &["--reason", "no line", out.to_str().unwrap()]].concat();
    site.cloud.succeed(&exporting);
    assert!(ffprobe(&out, "stream=codec_name").contains("codec_name=h264"));
    let watching = ["camera", "watch", &camera, "--seconds", "4", "--json"];
    let watched: Value = serde_json::from_str(&site.cloud.succeed(&watching)).unwrap();
    assert!(watched["pictures"].as_u64().unwrap() > 20, "{watched}");

    // What needs the cloud says so; what is not there, too.
    let error = site.cloud.fail(&["gateway", "add"]);
    assert!(error.contains("cannot be reached"), "{error}");
    let error = site.cloud.fail(&["gateway", "add", "--local", &address]);
    assert!(error.contains("goes through the cloud"), "{error}");
    let error = site.cloud.fail(&["camera", "list", "--local", "127.0.0.1:1"]);
    assert!(error.contains("127.0.0.1:1"), "{error}");
    let nobody = CameraId::from_random([9; 16]).to_string();
    let error = site.cloud.fail(&["recording", "list", "--camera", &nobody, "--local", &address]);
    assert!(error.contains("nothing here that this device may open"), "{error}");

    // The gateway is killed, the cloud comes back: the history has all of it, once.
    site.kill_gateway();
    site.start_gateway();
    site.cloud.start();
    let begun = Instant::now();
    loop {
        let history = site.cloud.succeed(&["audit", "show"]);
        let count = |action: &str| history.lines().filter(|line| line.contains(action)).count();
        if count("local_live") > 0 {
            let counts =
                ["local_journal_begins", "local_export", "local_live", "local_journal_gap"].map(count);
            assert_eq!(counts, [1, 1, 1, 0], "{history}");
            assert!(count("local_login") >= 4 && count("local_playback") >= 2, "{history}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for the site's journal: {history}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let gateway = site.gateway.take().unwrap();
    site.runtime.block_on(gateway.shutdown()).unwrap();
    drop(site.simulated);
}
