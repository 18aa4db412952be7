//! Cameras that are looked for, asked and looked at, good and bad: what reaches
//! the device that asked, and nobody else.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command as Process;

use camera_sim::{Credentials, Discovery, Fault, OnvifOptions, Options};
use gateway::DiscoverySection;
use model::{CameraAccess, OnvifUrl, Secret};
use seal::answer::{Addressed, Answer, CameraQuestion, Cause, Found, open_answer, seal_question};
use seal::command::{Command, CommandResult};
use seal::keys::KemPublic;

use super::Site;

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn options(fault: Option<Fault>) -> Options {
    Options {
        main: crate::rtsp::support::pictures(),
        sub: Some(crate::rtsp::support::pictures()),
        credentials: Some(Credentials { username: "admin".into(), password: Secret::new("hunter2") }),
        onvif: Some(FREE),
        onvif_options: OnvifOptions {
            discovery: Some(Discovery { listen: FREE, interface: None }),
            ..OnvifOptions::default()
        },
        name: "Gate \u{202e}& <yard>".into(),
        fault,
        ..Options::default()
    }
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("cameras of tests have IPv4"),
    }
}

/// A site whose gateway asks one simulated camera at its own address.
async fn site(options: Options) -> Site {
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    let targets = vec![v4(site.simulated.discovery_addr.unwrap())];
    site.discovery = DiscoverySection { targets, interfaces: None };
    site.restart().await;
    site
}

impl Site {
    pub(super) fn open(&self, result: &CommandResult) -> Answer {
        let gateway = self.administrator.gateway().id;
        let (org, device) = (result.org, self.administrator.device_id());
        let sealed = result.answer.as_ref().unwrap_or_else(|| panic!("an answer: {:?}", result.error));
        let addressed = Addressed { org, gateway, device, nonce: &result.nonce };
        open_answer(sealed, &self.administrator.keys().kem, addressed).unwrap()
    }

    async fn find(&self) -> Found {
        let result = self.order_as(self.administrator.nonce(), Command::FindCameras {}).await;
        let Answer::Found(found) = self.open(&result) else { panic!("found cameras") };
        found
    }

    async fn ask_camera(&self, url: &OnvifUrl, password: &str) -> Answer {
        let question = CameraQuestion {
            onvif_url: url.clone(),
            username: Some("admin".into()),
            password: Some(Secret::new(password)),
            certificate: None,
        };
        let (gateway, nonce) = (self.administrator.gateway(), self.administrator.nonce());
        let kem = KemPublic::from_bytes(&gateway.kem.0).unwrap();
        let to = (self.administrator.roster().org(), gateway.id);
        let sealed = seal_question(&question, &kem, to, &nonce, [8; 64]);
        let result = self.order_as(nonce, Command::AskCamera { sealed }).await;
        assert!(result.ok && result.report.is_none());
        self.open(&result)
    }

    async fn look_at(&self, access: &CameraAccess) -> Answer {
        let nonce = self.administrator.nonce();
        let sealed = self.administrator.seal(access, self.camera, &nonce);
        let result = self.order_as(nonce, Command::LookAtCamera { camera: self.camera, sealed }).await;
        assert!(result.ok && result.report.is_none());
        self.open(&result)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_found_asked_looked_at_and_added() {
    let site = site(options(None)).await;
    let found = site.find().await;
    let [camera] = found.cameras.as_slice() else { panic!("{found:?}") };
    assert_eq!(camera.onvif_urls[0].to_string(), site.simulated.onvif_url().unwrap());
    assert_eq!(
        (camera.name.as_deref(), camera.hardware.as_deref()),
        (Some("Gate & <yard>"), Some("camera-sim"))
    );
    assert_eq!((camera.camera, found.asked, found.more), (None, 1, false));

    let Answer::Offer(offer) = site.ask_camera(&camera.onvif_urls[0], "hunter2").await else {
        panic!("an offer")
    };
    assert_eq!(offer.manufacturer.as_deref(), Some("Lenskeep"));
    assert!(offer.clock_off_seconds.unwrap() < 60);
    let urls: Vec<_> = offer.profiles.iter().map(|profile| profile.url.to_string()).collect();
    let access = site.simulated.access();
    assert_eq!(urls, [access.url.to_string(), access.sub_url.clone().unwrap().to_string()]);
    let main = &offer.profiles[0];
    assert_eq!((main.codec.as_str(), main.width, main.frames_per_second), ("H264", 320, Some(20)));

    let Answer::Look(look) = site.look_at(&access).await else { panic!("a look") };
    let main = look.main.unwrap();
    assert!((15..=25).contains(&main.frames_per_second), "{main:?}");
    assert!(
        main.bits_per_second > 10_000 && main.key_frame_every_ms.is_some_and(|every| every <= 1_100),
        "{main:?}"
    );
    assert_eq!(look.events.unwrap().error, None);
    let picture = look.picture.unwrap();
    assert!(
        picture.codec.starts_with("avc1.") && picture.description.is_some() && !picture.data.0.is_empty()
    );

    site.add_camera().await;
    assert_eq!(site.find().await.cameras[0].camera, Some(site.camera), "it is known from now on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_opens_to_the_device_that_asked_alone_and_for_its_question() {
    let site = site(options(None)).await;
    let result = site.order_as(site.administrator.nonce(), Command::FindCameras {}).await;
    let sealed = result.answer.as_ref().unwrap();
    let port = site.simulated.discovery_addr.unwrap().port().to_string();
    let address = site.simulated.onvif_url().unwrap();
    let words = serde_json::to_string(&result).unwrap();
    assert!(!words.contains(&address) && !words.contains(&port), "the cloud reads no address");
    let keys = site.administrator.keys();
    let (gateway, device) = (site.administrator.gateway().id, site.administrator.device_id());
    let right = Addressed { org: result.org, gateway, device, nonce: &result.nonce };
    assert!(open_answer(sealed, &keys.kem, right).is_ok());
    let other = "f".repeat(32);
    assert!(open_answer(sealed, &keys.kem, Addressed { nonce: &other, ..right }).is_err());
    let another = model::DeviceId::from_random([77; 16]);
    assert!(open_answer(sealed, &keys.kem, Addressed { device: another, ..right }).is_err());
    assert!(open_answer(sealed, &seal::keys::KemSecret::from_seed([9; 32]), right).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_device_leads_the_gateway_nowhere() {
    let site = site(options(Some(Fault::DiscoveryElsewhere))).await;
    let found = site.find().await;
    assert!(found.cameras.is_empty() && found.left_out > 0, "{found:?}");
    for (fault, cameras, more) in [
        (Fault::DiscoveryFlood, 32, true),
        (Fault::DiscoveryHuge, 0, false),
        (Fault::DiscoveryUnrelated, 0, false),
        (Fault::NoAnswer, 0, false),
    ] {
        site.simulated.set_fault(Some(fault));
        let found = site.find().await;
        assert_eq!((found.cameras.len(), found.more), (cameras, more), "{fault}");
    }
    site.simulated.set_fault(None);
    assert_eq!(site.find().await.cameras.len(), 1, "the next search is as good as any");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_a_camera_names_are_at_its_own_host() {
    let onvif_options =
        OnvifOptions { named: Some("http://169.254.169.254".into()), ..OnvifOptions::default() };
    for old_media in [false, true] {
        let onvif_options = OnvifOptions {
            discovery: Some(Discovery { listen: FREE, interface: None }),
            old_media,
            ..onvif_options.clone()
        };
        let site = site(Options { onvif_options, ..options(None) }).await;
        assert!(site.find().await.cameras.is_empty(), "it names another address as its own");
        let url = OnvifUrl::parse(&site.simulated.onvif_url().unwrap()).unwrap();
        let Answer::Offer(offer) = site.ask_camera(&url, "hunter2").await else { panic!("an offer") };
        assert_eq!(offer.profiles.len(), 2);
        assert!(offer.profiles.iter().all(|profile| profile.url.host() == "127.0.0.1"), "{offer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_camera_refuses_has_its_cause() {
    let site = site(options(None)).await;
    let url = OnvifUrl::parse(&site.simulated.onvif_url().unwrap()).unwrap();
    let cause = |answer: Answer| match answer {
        Answer::Refused(refused) => {
            assert!(!refused.error.contains("hunter") && !refused.error.is_empty(), "{}", refused.error);
            refused.cause
        }
        other => panic!("{other:?}"),
    };
    let asked = site.simulated.onvif_requests();
    assert_eq!(cause(site.ask_camera(&url, "hunter3").await), Cause::Password);
    assert_eq!(site.simulated.onvif_requests() - asked, 2, "a wrong password is tried once");
    for (fault, expected) in [
        (Fault::OnvifLocked, Cause::Locked),
        (Fault::OnvifNoRight, Cause::Right),
        (Fault::OnvifCutOff, Cause::NoOnvif),
        (Fault::OnvifRedirect, Cause::NoOnvif),
    ] {
        site.simulated.set_fault(Some(fault));
        assert_eq!(cause(site.ask_camera(&url, "hunter2").await), expected, "{fault}");
    }
    site.simulated.set_fault(None);
    let mut access = site.simulated.access();
    access.password = Some(Secret::new("hunter3"));
    assert_eq!(cause(site.look_at(&access).await), Cause::Password);
    site.simulated.set_fault(Some(Fault::SdpNoVideo));
    assert_eq!(cause(site.look_at(&site.simulated.access()).await), Cause::Codec);
    let gone = OnvifUrl::parse("http://127.0.0.1:9/onvif/device_service").unwrap();
    assert_eq!(cause(site.ask_camera(&gone, "hunter2").await), Cause::Unreachable);
    let access = CameraAccess { url: "rtsp://127.0.0.1:9/main".parse().unwrap(), ..site.simulated.access() };
    assert_eq!(cause(site.look_at(&access).await), Cause::NoRtsp);
}

/// Says that the test below runs in a network of its own.
const APART: &str = "LENSKEEP_TEST_NETWORK_OF_ITS_OWN";

/// Everybody in a network is asked. This machine's own is none of a test's
/// business, so it runs again in one where there is nobody else.
#[test]
#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
fn everybody_in_the_network_is_asked() {
    let script = "ip link set lo up && ip link add cameras type dummy && ip address add 192.0.2.1/24 dev cameras && \
                  ip link set cameras up && exec \"$@\"";
    let own = std::env::current_exe().unwrap();
    let name = "site::finding::in_a_network_of_its_own";
    let apart = |what: &[&std::ffi::OsStr]| {
        let mut process = Process::new("unshare");
        process.args(["-rn", "sh", "-c", script, "sh"]).args(what).env(APART, "1");
        process
    };
    let works = apart(&["true".as_ref()]).output().is_ok_and(|output| output.status.success());
    if !works {
        println!("skipped: this machine gives tests no network of their own");
        return;
    }
    let ended =
        apart(&[own.as_ref(), name.as_ref(), "--exact".as_ref(), "--nocapture".as_ref()]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_network_of_its_own() {
    if std::env::var_os(APART).is_none() {
        return;
    }
    let own = Ipv4Addr::new(192, 0, 2, 1);
    let free = SocketAddr::from((own, 0));
    let port = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3_702));
    let onvif_options = OnvifOptions {
        discovery: Some(Discovery { listen: port, interface: Some(own) }),
        ..OnvifOptions::default()
    };
    let options = Options { listen: free, onvif: Some(free), onvif_options, ..options(None) };
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    site.discovery = DiscoverySection::default();
    site.restart().await;
    let found = site.find().await;
    assert_eq!((found.cameras.len(), found.asked), (1, 1), "{found:?}");
    assert_eq!(found.cameras[0].address, "192.0.2.1");
}
