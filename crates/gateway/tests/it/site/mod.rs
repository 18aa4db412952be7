//! A whole gateway with a camera, against a cloud that the test plays: it may
//! say whatever it likes.

mod administrator;
mod asked;
mod cameras;
mod durability;
mod events;
mod ext4;
mod finding;
mod footage;
mod forwarding;
mod hostile;
mod kills;
mod leaks;
mod local;
mod locks;
mod mqtt;
mod process;
mod ptz;
mod ptz_axis;
mod quiet;
mod scripted_cloud;
mod seek;
mod settings;
mod several;
mod stills;
mod tls_listener;
mod trouble;
mod webhooks;
mod witness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway::{
    Config, DiscoverySection, Enrolment, HistorySection, LocalSection, MqttSection, RecordingSection,
    Running, WebhookSection,
};
use model::wire::ToGateway;
use model::{CameraAccess, CameraId, Rendition};
use seal::command::{Command, CommandResult};
use seal::roster::{Camera, Statement};
use tempfile::TempDir;
use tokio::time::Instant;

use administrator::Administrator;
use scripted_cloud::ScriptedCloud;

/// A test that waits so long has failed. What a store refused again and again is
/// offered after two minutes at the latest.
const PATIENCE: Duration = Duration::from_secs(150);

struct Site {
    folder: TempDir,
    cloud: Arc<ScriptedCloud>,
    administrator: Administrator,
    simulated: camera_sim::Running,
    camera: CameraId,
    gateway: Option<Running>,
    enrolment: Enrolment,
    /// How long recordings are.
    recording_seconds: u64,
    /// What is left free of the disk.
    free_mebibytes_min: u64,
    /// Told of events after the next start.
    webhooks: Vec<WebhookSection>,
    mqtt: Option<MqttSection>,
    /// How cameras are looked for, after the next start.
    discovery: DiscoverySection,
    /// In the roster.
    camera_name: &'static str,
}

impl Site {
    /// Enrolled and connected, without a camera.
    async fn enrolled() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let administrator = Administrator::new();
        let cloud = ScriptedCloud::start(administrator.shared()).await;
        let enrolment = Enrolment {
            url: cloud.url(),
            secret: administrator.secret(),
            ca: cloud.ca(),
            anchor: Some(administrator.roster().anchor()),
        };
        let options =
            camera_sim::Options { main: crate::rtsp::support::pictures(), sub: None, ..Default::default() };
        let simulated = camera_sim::start(options).await.unwrap();
        let mut site = Site {
            folder,
            cloud,
            administrator,
            simulated,
            camera: CameraId::from_random([7; 16]),
            gateway: None,
            enrolment,
            recording_seconds: 2,
            free_mebibytes_min: RecordingSection::default().free_mebibytes_min,
            webhooks: Vec::new(),
            mqtt: None,
            discovery: DiscoverySection { targets: Vec::new(), interfaces: None },
            camera_name: "Door",
        };
        site.start().await;
        let cloud = site.cloud.clone();
        until("the gateway links", || cloud.last_status().is_some()).await;
        site
    }

    /// Enrolled, with the simulated camera configured, bound and recording.
    async fn recording() -> Self {
        let site = Self::enrolled().await;
        site.add_camera().await;
        let cloud = site.cloud.clone();
        until("the camera records", || {
            cloud.last_status().is_some_and(|(_, streams)| {
                streams.iter().any(|stream| stream.state == model::wire::StreamState::Recording)
            })
        })
        .await;
        site
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("gateway")
    }

    fn config(&self) -> Config {
        Config {
            data: self.data(),
            name: Some("Test".to_owned()),
            recording: RecordingSection {
                seconds: self.recording_seconds,
                free_mebibytes_min: self.free_mebibytes_min,
                ..Default::default()
            },
            local: LocalSection { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Default::default() },
            history: HistorySection { witness_seconds: 1 },
            webhooks: self.webhooks.clone(),
            mqtt: self.mqtt.clone(),
            discovery: self.discovery.clone(),
            ..Default::default()
        }
    }

    async fn start(&mut self) {
        let starting = gateway::start(self.config(), Some(self.enrolment.clone()));
        self.gateway = Some(Box::pin(starting).await.unwrap());
    }

    /// Ends the gateway, and waits until another run of it has linked up.
    async fn restart(&mut self) {
        self.stop().await;
        self.cloud.forget_status();
        self.start().await;
        until("the gateway links again", || self.cloud.last_status().is_some()).await;
    }

    /// Ends the gateway as SIGTERM does.
    async fn stop(&mut self) {
        self.gateway.take().unwrap().shutdown().await.unwrap();
    }

    async fn add_camera(&self) {
        let access = self.simulated.access();
        let result = self.put_camera(&access).await;
        assert!(result.ok, "{:?}", result.error);
        self.bind_camera();
    }

    fn bind_camera(&self) {
        self.bind(self.camera);
        self.cloud.send(ToGateway::RosterChanged);
    }

    /// Says in the roster that this gateway is to record a camera.
    fn bind(&self, camera: CameraId) {
        let gateway = self.administrator.gateway().id;
        let camera = Camera {
            id: camera,
            name: self.camera_name.into(),
            gateway,
            serial: None,
            certificate: None,
            groups: Default::default(),
        };
        self.administrator.state(Statement::BindCamera { camera });
    }

    async fn put_camera(&self, access: &CameraAccess) -> CommandResult {
        self.put_camera_as(self.camera, access).await
    }

    async fn put_camera_as(&self, camera: CameraId, access: &CameraAccess) -> CommandResult {
        let nonce = self.administrator.nonce();
        let sealed = self.administrator.seal(access, camera, &nonce);
        self.order_as(nonce, Command::PutCamera { camera, sealed }).await
    }

    /// Has the gateway carry out a command for the configuration that it has.
    async fn order(&self, command: Command) {
        self.cloud.forget_status();
        until("the gateway says how it is set", || self.cloud.last_status().is_some()).await;
        let result = self.order_as(self.administrator.nonce(), command).await;
        assert!(result.ok, "{:?}", result.error);
    }

    async fn order_as(&self, nonce: String, command: Command) -> CommandResult {
        let gateway = self.administrator.gateway();
        let (state, _) = self.cloud.last_status().unwrap();
        let envelope = self.administrator.command(gateway.id, nonce.clone(), state, command);
        let result = self.cloud.command(envelope).await;
        let key = seal::keys::VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
        CommandResult::verify(&result, gateway.id, key, &nonce).unwrap()
    }

    /// Recordings of pictures that the cloud has got, whole, by name.
    fn objects(&self) -> Vec<(String, Vec<u8>)> {
        self.recordings(false)
    }

    fn recordings(&self, of_events: bool) -> Vec<(String, Vec<u8>)> {
        let all = self.cloud.objects().into_iter().filter(|(name, _)| name.ends_with(".lkr"));
        all.filter(|(name, _)| name.contains("/events/") == of_events).collect()
    }

    fn watch(&self, stream: u32) {
        self.cloud.send(ToGateway::Watch { stream, camera: self.camera, rendition: Rendition::Main });
    }
}

/// Waits for something that others bring about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
