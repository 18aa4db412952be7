//! Cameras that are read for secrets which leaked into their settings and logs.

use camera_sim::{Credentials, Fault, OnvifAuth, OnvifOptions, Options};
use model::{CameraAccess, OnvifUrl, Secret};
use seal::answer::Answer;
use seal::command::Command;
use seal::findings::{Findings, LeakSeverity};

use super::{Site, until};

const PASSWORD: &str = "lighthouse";
const SECRET: &str = "north-gate-7-Harbour";

fn axis(fault: Option<Fault>) -> Options {
    let onvif_options = OnvifOptions {
        vapix: true,
        auth: OnvifAuth::Md5,
        parameters: vec![format!("root.SMTP.Password={SECRET}")],
        log: vec![format!("upload to ftp://backup:{SECRET}@192.0.2.9/clips failed")],
        ..OnvifOptions::default()
    };
    Options {
        main: crate::rtsp::support::pictures(),
        credentials: Some(Credentials { username: "root".into(), password: Secret::new(PASSWORD) }),
        onvif: Some(([127, 0, 0, 1], 0).into()),
        onvif_options,
        fault,
        ..Options::default()
    }
}

async fn site(fault: Option<Fault>, password: &str) -> Site {
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(axis(fault)).await.unwrap();
    let stream = OnvifUrl::parse(&site.simulated.stream_url().unwrap()).unwrap();
    let password = Some(Secret::new(password));
    let access = CameraAccess { onvif_url: Some(stream), password, ..site.simulated.access() };
    // Not in the roster: nothing is recorded of it, and nothing else is asked of it.
    let result = site.put_camera(&access).await;
    assert!(result.ok, "{:?}", result.error);
    site
}

impl Site {
    async fn findings(&self, command: Command) -> Findings {
        let result = self.order_as(self.administrator.nonce(), command).await;
        assert!(result.ok && result.report.is_none(), "{:?}", result.error);
        let Answer::Findings(findings) = self.open(&result) else { panic!("findings") };
        findings
    }

    async fn listed(&self) -> Findings {
        self.findings(Command::ListFindings { after: None, seen: None }).await
    }

    /// Once nothing is being read any more.
    async fn swept(&self) -> Findings {
        let mut page = self.findings(Command::SweepCameras { camera: None }).await;
        while page.running.is_some() || page.waiting > 0 {
            page = self.findings(Command::ListFindings { after: None, seen: Some(page.version) }).await;
        }
        page
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaked_is_told_to_who_asks_and_kept_without_the_secret() {
    let mut site = site(None, PASSWORD).await;
    let before = site.listed().await;
    assert_eq!((before.cameras.len(), before.cameras[0].swept_at), (1, None));

    let page = site.swept().await;
    let [swept] = &page.cameras[..] else { panic!("{page:?}") };
    assert!(swept.swept_at.is_some() && swept.read > 0 && page.next.is_none());
    let error = swept.error.as_deref().unwrap();
    assert!(error.starts_with("access log: the camera answered"), "{error}");
    let of = |place: &str| swept.findings.iter().find(|leak| leak.place == place);
    let setting = of("parameters").unwrap();
    assert_eq!(setting.parameter.as_deref(), Some("root.SMTP.Password"));
    assert!(setting.severity >= LeakSeverity::Medium && !setting.remedy.is_empty());
    assert!(of("system log").is_some() && of("server report").is_some());

    for file in std::fs::read_dir(site.data()).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let leaks = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!leaks, "{}", file.display());
        }
    }
    site.restart().await;
    assert_eq!(site.listed().await.cameras, page.cameras);
    let again = site.swept().await;
    assert_eq!(again.cameras[0].findings, page.cameras[0].findings, "also since when");
    let requests = site.simulated.onvif_requests();
    site.order(Command::RemoveCamera { camera: site.camera }).await;
    assert!(site.swept().await.cameras.is_empty());
    assert_eq!(site.simulated.onvif_requests(), requests, "it is no camera of this site any more");
}

/// A camera locks users out: a wrong password is tried once each time that somebody
/// asks, and what was known stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_tried_once_and_told() {
    let site = site(None, "lighthous").await;
    let before = site.simulated.onvif_requests();
    let page = site.swept().await;
    let error = page.cameras[0].error.as_deref().unwrap();
    assert!(error.contains("refuses user name or password"), "{error}");
    assert_eq!(page.cameras[0].swept_at, None);
    assert_eq!(site.simulated.onvif_requests() - before, 2, "one to be asked for a digest, and one with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_camera_is_bounded_and_told() {
    for fault in [Fault::VapixHuge, Fault::OnvifRedirect, Fault::VapixGarbage] {
        let site = site(Some(fault), PASSWORD).await;
        let page = site.swept().await;
        let swept = &page.cameras[0];
        match fault {
            Fault::VapixGarbage => assert_eq!((&swept.error, swept.findings.len()), (&None, 0)),
            _ => assert!(swept.error.is_some(), "{fault:?}: {swept:?}"),
        }
        assert!(swept.error.as_ref().is_none_or(|error| error.len() <= 256));
    }
}

/// One that accepts and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_stopped_while_a_camera_keeps_silent() {
    let site = site(None, PASSWORD).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/vapix/ws-data-stream", silent.local_addr().unwrap());
    let stream = OnvifUrl::parse(&url).unwrap();
    let access = CameraAccess { onvif_url: Some(stream), ..site.simulated.access() };
    assert!(site.put_camera(&access).await.ok);
    let page = site.findings(Command::SweepCameras { camera: Some(site.camera) }).await;
    assert!(page.running.is_some() || page.waiting > 0, "{page:?}");
    until("it is asked", || silent.accept().is_ok()).await;
    let mut page = site.findings(Command::StopSweep {}).await;
    while page.running.is_some() {
        page = site.findings(Command::ListFindings { after: None, seen: Some(page.version) }).await;
    }
    assert_eq!((page.waiting, page.cameras[0].swept_at), (0, None));
}

/// Whatever its make, by ONVIF: a log as text, and a backup in base64.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_speaks_onvif_is_read_by_it() {
    let mut site = Site::enrolled().await;
    let mut options = axis(None);
    options.onvif_options.vapix = false;
    site.simulated = camera_sim::start(options).await.unwrap();
    let service = OnvifUrl::parse(&site.simulated.onvif_url().unwrap()).unwrap();
    let access = CameraAccess { onvif_url: Some(service), ..site.simulated.access() };
    assert!(site.put_camera(&access).await.ok);
    let page = site.swept().await;
    let swept = &page.cameras[0];
    let places: Vec<&str> = swept.findings.iter().map(|leak| leak.place.as_str()).collect();
    assert!(places.contains(&"ONVIF system log"), "{swept:?}");
    assert!(places.iter().any(|place| place.starts_with("backup")), "{swept:?}");
    assert!(swept.error.as_deref().unwrap().contains("access log: "), "{swept:?}");
}
