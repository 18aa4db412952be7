//! The whole line with Azure Blob Storage in the middle (Azurite over HTTPS,
//! with OAuth): camera, gateway, user-delegation SAS, blob, confirmation, export.

use cloud::{CredentialKind, StoreKind};
use model::Timestamp;

use crate::support::{Device, ffprobe};
use azurite::{ACCOUNT, Azurite};

#[expect(dead_code, reason = "shared with the cloud's tests, which look at the token itself")]
#[path = "../../../cloud/tests/it/support/azurite.rs"]
pub(crate) mod azurite;

fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_go_to_azure_and_come_back_to_the_device() {
    let azurite = Azurite::start().await;
    let folder = tempfile::tempdir().unwrap();
    let any_port = "127.0.0.1:0".parse().unwrap();
    let mut config = cloud::Config { data: folder.path().join("cloud"), ..Default::default() };
    (config.listen.viewers, config.listen.gateways, config.listen.metrics) = (any_port, any_port, any_port);
    let store = &mut config.store;
    store.kind = StoreKind::Azure;
    store.account = Some(ACCOUNT.to_owned());
    store.endpoint = Some(azurite.endpoint().parse().unwrap());
    store.credential = CredentialKind::TokenFile;
    store.token_file = Some(azurite.token_file("mint"));
    store.read_token_file = Some(azurite.token_file("read"));
    store.ca_file = Some(azurite.ca_file());
    let cloud = Box::pin(cloud::start(config)).await.unwrap();

    let secret = seal::enrolment::Secret::from_bytes(fresh()[..16].try_into().unwrap());
    let enrolment = gateway::Enrolment {
        url: format!("https://localhost:{}", cloud.gateway_addr.port()).parse().unwrap(),
        secret: secret.clone(),
        ca: cloud.ca_sha256,
        anchor: None,
    };
    let mut config = gateway::Config { data: folder.path().join("gateway"), ..Default::default() };
    config.recording.seconds = 2;
    config.store.ca_file = Some(azurite.ca_file());
    let gateway = Box::pin(gateway::start(config, Some(enrolment))).await.unwrap();
    let simulated = camera_sim::start(camera_sim::Options::default()).await.unwrap();

    let hex: String = secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let token = cloud.set_up_token.clone().unwrap();
    let link = format!("{}setup#token={}&gateway={hex}", cloud.public_url, token.expose());
    let url = simulated.url(model::Rendition::Main).to_string();
    let out = folder.path().join("out.mp4");
    let home = folder.path().to_owned();
    let exported = tokio::task::spawn_blocking(move || {
        let device = Device::new(&home);
        device.succeed(&["device", "new", "--link", &link]);
        device.succeed(&["camera", "add", "--name", "Door", &url]);
        let camera = device.first_camera();
        let list = device.recordings(&camera, 2);
        device.succeed(&["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()]);
        (list, ffprobe(&out, "stream=codec_name,width"))
    });
    let (list, streams) = exported.await.unwrap();
    assert!(streams.contains("codec_name=h264|width=1280"), "{streams}");
    assert_eq!(list["recordings"][0]["available"], true);
    // The cloud's own disk holds nothing of it.
    assert!(!folder.path().join("cloud/store").exists());
    gateway.shutdown().await.unwrap();
    cloud.shutdown().await;
}
