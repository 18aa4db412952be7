//! Figures of one live stream to many viewers over TLS, printed and not judged:
//! `cargo xtask bench --only fan-out` runs it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use rustls::pki_types::CertificateDer;
use seal::recording::flags;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::footage::Epoch;
use crate::support::{Gateway, World};

/// Opened all at once, because tickets do not last; then some leave.
const VIEWERS: [usize; 3] = [200, 50, 1];
const MEASURED: Duration = Duration::from_secs(20);
const SETTLING: Duration = Duration::from_secs(3);
/// A picture of 2 Mbit/s at 25 a second.
const PICTURE: usize = 10_000;
const PICTURES_PER_SECOND: u64 = 25;
/// `_SC_CLK_TCK` of Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Threads of the server, by which its processor time is told from that of the viewers.
const SERVER: &str = "server";

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

/// Processor time of the server's threads so far, in seconds (proc(5), fields 14 and 15).
fn server_cpu() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let ticks = threads.filter_map(|thread| {
        // One that has just ended has nothing to read.
        let text = std::fs::read_to_string(thread.join("stat")).ok()?;
        let (before, after) = text.rsplit_once(')')?;
        let is_server = before.ends_with(&format!("({SERVER}"));
        let field = |number: usize| after.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
        is_server.then_some(field(14)? + field(15)?)
    });
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

#[test]
#[ignore = "measures, and judges nothing"]
fn figures_of_fan_out() {
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new());
    let server = runtime(SERVER);
    let world = server.block_on(World::on_sqlite());
    runtime("viewers").block_on(measure(&server, world));
}

#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn measure(server: &Runtime, world: World) {
    let mut organisation = world.found().await;
    let mut gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let path = format!("/api/v1/cameras/{camera}/live?rendition=main");
    let mut tickets = Vec::new();
    for _ in 0..VIEWERS[0] {
        let given = organisation.api(&world).post(&path, &json!({})).await;
        tickets.push(given.body["ticket"].as_str().unwrap().to_owned());
    }
    // The server once more, with TLS: tickets are rows of its database.
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().clone();
    let restarting = server.spawn(async move {
        world
            .restarted_with(|config| {
                let [certificate_file, key_file] =
                    ["viewers.pem", "viewers.key"].map(|name| config.data.join(name));
                std::fs::write(&certificate_file, certificate.pem()).unwrap();
                std::fs::write(&key_file, key.serialize_pem()).unwrap();
                config.listen.tls_certificate = Some(certificate_file);
                config.listen.tls_key = Some(key_file);
            })
            .await
    });
    let world = restarting.await.unwrap();
    gateway.base = format!("https://localhost:{}", world.running.gateway_addr.port());
    let mut link = gateway.link().await;

    let (origin, cookie) = (world.origin(), organisation.admin.cookie.clone());
    let address = world.running.viewer_addr;
    let mut viewers: Vec<JoinSet<()>> = Vec::new();
    for ticket in tickets {
        let mut viewer = JoinSet::new();
        let url = format!("wss://localhost:{}{path}&ticket={ticket}", address.port());
        let (origin, cookie, der) = (origin.clone(), cookie.clone(), der.clone());
        viewer.spawn(async move {
            let mut request = url.into_client_request().unwrap();
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
            request.headers_mut().insert("origin", origin.parse().unwrap());
            let tcp = TcpStream::connect(address).await.unwrap();
            let tls = connector(der).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
            let (mut socket, _) = tokio_tungstenite::client_async(request, tls).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                assert!(!matches!(message, Message::Text(_)), "chunks were skipped: {message}");
            }
        });
        viewers.push(viewer);
    }
    let watch = link.text().await;
    let stream = watch["stream"].as_u64().unwrap() as u32;
    let epoch = Epoch::new(organisation.org, camera);
    let roster = organisation.roster;
    let sending = tokio::spawn(async move {
        let mut header = Vec::new();
        let mut writer = epoch.begin(&gateway, &roster, &mut header);
        link.header(stream, &header).await;
        let mut pace = tokio::time::interval(Duration::from_millis(1_000 / PICTURES_PER_SECOND));
        for picture in 0_u32.. {
            pace.tick().await;
            let mut chunk = Vec::new();
            let flag =
                if u64::from(picture).is_multiple_of(PICTURES_PER_SECOND) { flags::KEY_FRAME } else { 0 };
            let number = writer.seal(0, flag, picture * 3_600, &[&[7; PICTURE]], &mut chunk).unwrap();
            link.chunk(stream, number, &chunk).await;
        }
    });
    let mut before = None;
    for count in VIEWERS {
        viewers.truncate(count);
        tokio::time::sleep(SETTLING).await;
        let (cpu, begun) = (server_cpu(), Instant::now());
        tokio::time::sleep(MEASURED).await;
        let percent = (server_cpu() - cpu) / begun.elapsed().as_secs_f64() * 100.0;
        let there = viewers.iter_mut().filter_map(|viewer| viewer.try_join_next()).count();
        assert_eq!(there, 0, "no viewer has ended");
        println!(
            "{count} viewers over TLS: {percent:.1} % of a core, {:.3} % for each",
            percent / count as f64
        );
        if let Some((more, more_percent)) = before.replace((count, percent)) {
            let each = (more_percent - percent) / (more - count) as f64;
            println!(
                "  between {count} and {more}: {each:.3} % for each more, {:.0} to a core",
                100.0 / each
            );
        }
    }
    // First, or they would be told that the gateway is gone.
    drop(viewers);
    sending.abort();
}

fn connector(certificate: CertificateDer<'static>) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}
