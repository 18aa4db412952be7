//! The simulated event stream, heard by a client of cameras of Axis that others
//! wrote: what it tells the gateway, it tells as those cameras do.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use camera_sim::{OnvifAuth, OnvifOptions, Running};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::camera;

const PORT: &str = "tns1:Device/tnsaxis:IO/Port";
const GUARD: &str = "tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1";

/// `axis`, in a process of its own.
struct Client {
    process: Child,
    said: mpsc::UnboundedReceiver<Value>,
}

impl Client {
    fn start(camera: &Running, password: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = root.join("../../.cache/axis");
        assert!(installed.exists(), "axis is not on this machine: cargo xtask install test");
        let url: url::Url = camera.stream_url().unwrap().parse().unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut process = Command::new("python3")
            .arg(root.join("tests/it/axis_client.py"))
            .args([&address, "admin", password])
            .env("PYTHONPATH", installed)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, (say, said)) = (process.stdout.take().unwrap(), mpsc::unbounded_channel());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(serde_json::from_str(&line).unwrap());
            }
        });
        Client { process, said }
    }

    async fn says(&mut self) -> Value {
        timeout(Duration::from_secs(20), self.said.recv()).await.expect("a word within 20 s").unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_client_of_others_hears_the_simulated_camera_as_one_of_axis() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let camera = camera(OnvifOptions { vapix: true, auth, ..OnvifOptions::default() }, None).await;
        let mut stranger = Client::start(&camera, "hunter3");
        assert_eq!(stranger.says().await, json!({ "signal": "failed" }));
        assert_eq!(camera.pull_points(), (0, 0));

        camera.raise(PORT, "1", Some(true));
        let mut client = Client::start(&camera, "hunter2");
        assert_eq!(client.says().await, json!({ "signal": "playing" }));
        let port = |state: &str, is_tripped: bool| json!({ "topic": PORT, "id": "1", "state": state, "is_tripped": is_tripped });
        assert_eq!(client.says().await, port("1", true), "what lasts already is told");
        camera.raise(PORT, "1", Some(false));
        assert_eq!(client.says().await, port("0", false));
        camera.raise(GUARD, "", Some(true));
        let guard = json!({ "topic": GUARD, "id": "Device1Scenario1", "state": "1", "is_tripped": true });
        assert_eq!(client.says().await, guard);
    }
}
