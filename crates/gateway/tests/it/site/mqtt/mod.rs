//! Events on their way to an MQTT broker.

mod broker;
mod frigate;

use gateway::{MqttSection, ReceiverUrl};
use model::Rendition;
use model::wire::StreamState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use self::broker::{Broker, PASSWORD};
use super::events::{MOTION, has, listens, site};
use super::process::Process;
use super::{Site, until};

/// What would break out of topics, JSON and templates.
const HOSTILE: &str = "Door #+/$SYS \"}{{ states('x') }} é";

/// A site whose broker is told of its camera.
async fn telling(site: &mut Site, section: MqttSection) {
    site.mqtt = Some(section);
    site.add_camera().await;
    site.restart().await;
    listens(site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn home_assistant_finds_a_camera_and_its_sensor_is_on_while_an_event_lasts() {
    let mut site = site().await;
    site.camera_name = HOSTILE;
    let broker = Broker::start(site.folder.path()).await;
    let subscriber = broker.subscribe();
    telling(&mut site, broker.section()).await;
    let (camera, gateway) = (site.camera, site.administrator.gateway().id);
    subscriber.sees(&format!("{gateway}/availability"), "online").await;
    subscriber.sees(&format!("{camera}/availability"), "online").await;
    subscriber.sees(&format!("{camera}/motion"), "OFF").await;
    let found = subscriber.last(&format!("homeassistant/device/{camera}/config")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["device"]["name"], HOSTILE);
    let sensor = &found["components"]["motion"];
    assert_eq!((&sensor["device_class"], &sensor["payload_on"]), (&"motion".into(), &"ON".into()));
    assert_eq!(sensor["state_topic"], format!("lenskeep/{gateway}/{camera}/motion"));

    site.simulated.raise(MOTION, "Yard", Some(true));
    subscriber.sees(&format!("{camera}/motion"), "ON").await;
    site.simulated.raise(MOTION, "Yard", Some(false));
    subscriber.sees(&format!("{camera}/motion"), "OFF").await;
    until("both are told as events", || subscriber.events().len() == 2).await;
    let [began, ended] = &subscriber.events()[..] else { panic!() };
    assert_eq!((&began["type"], &ended["type"]), (&"event.began".into(), &"event.ended".into()));
    assert_eq!(began["data"]["event"], ended["data"]["event"]);
    assert_eq!(began["data"]["camera_name"], HOSTILE);
    for (topic, _) in subscriber.all() {
        assert!(topic.chars().all(|c| c.is_ascii_alphanumeric() || "_/".contains(c)), "{topic}");
    }
    // Who comes later is told what holds, and no event of before.
    let later = broker.subscribe();
    later.sees(&format!("{camera}/motion"), "OFF").await;
    later.sees(&format!("{gateway}/availability"), "online").await;
    assert!(later.events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_ca_or_that_refuses_the_password_is_told_nothing() {
    let mut site = site().await;
    let broker = Broker::start(site.folder.path()).await;
    let subscriber = broker.subscribe();
    let good = broker.section();
    let other = site.folder.path().join("other.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    std::fs::write(&other, certificate.pem()).unwrap();
    telling(&mut site, MqttSection { ca_file: Some(other), ..good.clone() }).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;

    let wrong = site.folder.path().join("wrong");
    super::webhooks::write_secret(&wrong, "another password", 0o600);
    site.mqtt = Some(MqttSection { password_file: Some(wrong), ..good.clone() });
    site.restart().await;
    listens(&site).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(subscriber.all(), []);

    site.mqtt = Some(good);
    site.restart().await;
    subscriber.sees(&format!("{}/availability", site.camera), "online").await;
    assert!(!subscriber.all().iter().any(|(_, payload)| payload.contains(PASSWORD)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_is_told_what_holds_now_and_what_happened_meanwhile() {
    let mut site = site().await;
    let mut broker = Broker::start(site.folder.path()).await;
    telling(&mut site, broker.section()).await;
    let camera = site.camera;
    let motion = format!("{camera}/motion");
    let before = broker.subscribe();
    site.simulated.raise(MOTION, "Yard", Some(true));
    before.sees(&motion, "ON").await;
    broker.stop();
    site.simulated.raise(MOTION, "Yard", Some(false));
    site.simulated.raise("tns1:RuleEngine/LineDetector/Crossed", "Gate", None);
    let recorded = site.objects().len();
    until("recording goes on without the broker", || site.objects().len() >= recorded + 3).await;
    // It keeps nothing over a restart.
    broker.run().await;
    let after = broker.subscribe();
    after.sees(&motion, "OFF").await;
    after.sees(&format!("{camera}/availability"), "online").await;
    let state = |topic: &str| after.last(topic);
    assert!(state(&format!("device/{camera}/config")).is_some());
    site.simulated.raise(MOTION, "Shed", Some(true));
    after.sees(&motion, "ON").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_is_offline_and_its_sensors_are_off_afterwards() {
    let mut site = site().await;
    let broker = Broker::start(site.folder.path()).await;
    telling(&mut site, broker.section()).await;
    site.stop().await;
    let subscriber = broker.subscribe();
    let availability = format!("{}/availability", site.administrator.gateway().id);
    subscriber.sees(&availability, "offline").await;
    site.cloud.forget_status();
    let process = Process::start(&site);
    subscriber.sees(&availability, "online").await;
    listens(&site).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    let motion = format!("{}/motion", site.camera);
    subscriber.sees(&motion, "ON").await;
    process.kill();
    subscriber.sees(&availability, "offline").await;
    site.simulated.raise(MOTION, "Yard", Some(false));
    site.cloud.forget_status();
    let process = Process::start(&site);
    subscriber.sees(&motion, "OFF").await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_reaches_the_broker_bounded_and_recording_goes_on() {
    let mut site = site().await;
    let broker = Broker::start(site.folder.path()).await;
    telling(&mut site, broker.section()).await;
    let subscriber = broker.subscribe();
    subscriber.sees(&format!("{}/availability", site.camera), "online").await;
    for number in 0..500 {
        site.simulated.raise("tns1:RuleEngine/LineDetector/Crossed", &format!("rule {number}"), None);
    }
    until("what is kept of it is told", || subscriber.events().len() >= gateway_core::events::BEGINNINGS_MAX)
        .await;
    subscriber.sees(&format!("{}/line", site.camera), "OFF").await;
    let before = site.objects().len();
    until("more is recorded", || site.objects().len() >= before + 2).await;
    assert!(subscriber.events().len() <= 2 * gateway_core::events::BEGINNINGS_MAX);
}

/// Brokers that answer garbage, answer endlessly, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_broker_gets_a_new_connection_and_nothing_else() {
    let connected = [0x20, 2, 0, 0];
    let message = [&connected[..], &[0x30, 0xff, 0xff, 0xff, 0x7f]].concat();
    let unasked = [&connected[..], &[0xd0, 0]].concat();
    for answer in [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), message, unasked, vec![0xd0]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = connections.clone();
        let broker = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut connect = [0; 512];
                    let _ = stream.read(&mut connect).await;
                    while stream.write_all(&answer).await.is_ok() {}
                });
            }
        });
        let mut site = site().await;
        let section = MqttSection {
            url: ReceiverUrl(format!("mqtt://127.0.0.1:{port}").parse().unwrap()),
            plain_mqtt: false,
            username: None,
            password_file: None,
            ca_file: None,
            topic_prefix: "lenskeep".to_owned(),
            discovery_prefix: String::new(),
            frigate: None,
        };
        telling(&mut site, section).await;
        site.simulated.raise(MOTION, "Yard", Some(true));
        until("it is connected to again", || connections.load(std::sync::atomic::Ordering::Relaxed) > 2)
            .await;
        let recorded = site.objects().len();
        until("recording goes on", || site.objects().len() > recorded).await;
        assert!(has(&site, Rendition::Main, StreamState::Recording));
        site.stop().await;
        broker.abort();
    }
}
