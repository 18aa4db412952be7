//! The simulated camera of Axis, heard and moved by a client that others wrote:
//! what it is for the gateway, it is as those cameras are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
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
    orders: ChildStdin,
    said: mpsc::UnboundedReceiver<Value>,
}

impl Client {
    fn start(camera: &Running, password: &str) -> Self {
        Self::run("axis_client.py", camera, password)
    }

    fn run(program: &str, camera: &Running, password: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = root.join("../../.cache/axis");
        assert!(installed.exists(), "axis is not on this machine: cargo xtask install test");
        let url: url::Url = camera.stream_url().unwrap().parse().unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut process = Command::new("python3")
            .arg(root.join("tests/it").join(program))
            .args([&address, "admin", password])
            .env("PYTHONPATH", installed)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let (output, (say, said)) = (process.stdout.take().unwrap(), mpsc::unbounded_channel());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(serde_json::from_str(&line).unwrap());
            }
        });
        Client { process, orders, said }
    }

    /// What the camera answers.
    async fn orders(&mut self, order: Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        self.says().await
    }

    async fn says(&mut self) -> Value {
        timeout(Duration::from_secs(60), self.said.recv()).await.expect("a word within a minute").unwrap()
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

#[tokio::test]
async fn a_client_of_others_moves_the_simulated_camera_as_one_of_axis() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let options = OnvifOptions { vapix: true, ptz: true, auth, ..OnvifOptions::default() };
        let camera = camera(options, None).await;
        let mut stranger = Client::run("axis_ptz_client.py", &camera, "hunter3");
        assert_eq!(stranger.orders(json!({ "move": "home" })).await["status"], 401);

        let mut client = Client::run("axis_ptz_client.py", &camera, "hunter2");
        let done = json!({ "status": 204, "text": "" });
        let right = json!({ "continuous_pantilt_move": [50, 0], "continuous_zoom_move": 100 });
        assert_eq!(client.orders(right).await, done);
        assert!(camera.position().1, "it moves");
        let halt = json!({ "continuous_pantilt_move": [0, 0], "continuous_zoom_move": 0 });
        assert_eq!(client.orders(halt).await, done);
        let (at, moves) = camera.position();
        assert!(!moves && at.pan > 0.0 && at.zoom > 0.0, "{at:?}");
        let presets = "Preset Positions for camera 1\r\npresetposno1=Gate";
        assert_eq!(client.orders(json!({ "query": "presetposcam" })).await["text"], presets);
        assert_eq!(client.orders(json!({ "go_to_server_preset_name": "Gate" })).await, done);
        assert_eq!(camera.position().0.pan, 0.6);
        let nowhere = client.orders(json!({ "go_to_server_preset_name": "Wall" })).await;
        assert_eq!(nowhere, json!({ "status": 200, "text": "Error:\r\nNo such preset\r\n" }));
        assert_eq!(client.orders(json!({ "move": "home" })).await, done);
        assert_eq!(camera.position().0.pan, 0.0);
    }
}
