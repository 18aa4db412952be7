//! Events on their way to systems that the gateway's configuration names.

mod receiver;

use std::path::Path;
use std::process::{Command, Stdio};

use model::EventKind;
use model::wire::StreamState;
use model::{CameraId, Rendition};

pub(super) use self::receiver::write_secret;
use self::receiver::{Answer, Receiver, SECRET};
use super::events::{MOTION, has, listens, site};
use super::process::{Process, write_config};
use super::{Site, until};

const CROSSED: &str = "tns1:RuleEngine/LineDetector/Crossed";

/// A site whose camera is listened to, and which tells these.
async fn telling(receivers: &[(&str, &Receiver)]) -> Site {
    let mut site = site().await;
    site.webhooks =
        receivers.iter().map(|(name, receiver)| receiver.section(name, site.folder.path())).collect();
    site.add_camera().await;
    site.restart().await;
    listens(&site).await;
    site
}

fn crosses(site: &Site, rules: &[&str]) {
    for rule in rules {
        site.simulated.raise(CROSSED, rule, None);
    }
}

fn command(site: &Site, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lenskeep-gateway"));
    command.arg("--config").arg(write_config(site)).arg("webhooks").args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_what_began_and_ended_as_others_verify_it() {
    let receiver = Receiver::start().await;
    let site = telling(&[("alarm", &receiver)]).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    until("it is told that it began", || receiver.taken().len() == 1).await;
    site.simulated.raise(MOTION, "Yard", Some(false));
    until("it is told that it ended", || receiver.taken().len() == 2).await;
    let [began, ended] = &receiver.taken()[..] else { panic!() };
    assert_eq!((&began["type"], &ended["type"]), (&"event.began".into(), &"event.ended".into()));
    let (began, ended) = (&began["data"], &ended["data"]);
    assert_eq!(began["camera"], site.camera.to_string());
    assert_eq!((&began["camera_name"], &began["kind"]), (&"Door".into(), &"motion".into()));
    assert_eq!((&began["rule"], &began["ended_at"]), (&"Yard".into(), &serde_json::Value::Null));
    assert_eq!(began["event"], ended["event"]);
    assert_eq!(began["began_at"], ended["began_at"]);
    assert!(ended["ended_at"].as_str() > ended["began_at"].as_str());
    assert_eq!(ended["cursor"].as_i64(), began["cursor"].as_i64().map(|cursor| cursor + 1));

    let got = &receiver.got()[0];
    let verifies = |body: &str, signature: &str, secret: &str| {
        let verified = Command::new("python3")
            .arg("-c")
            .arg(VERIFY)
            .args([body, got.header("webhook-id"), got.header("webhook-timestamp"), signature, secret])
            .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/standardwebhooks"))
            .output()
            .unwrap();
        let said = text(&verified.stdout);
        assert!(verified.status.success(), "{said}{}", text(&verified.stderr));
        said.trim() == "verified"
    };
    let signature = got.header("webhook-signature");
    assert!(verifies(&got.body, signature, SECRET));
    assert!(!verifies(&got.body.replace("Door", "Gate"), signature, SECRET), "another body");
    let ended_signature = receiver.got()[1].header("webhook-signature").to_owned();
    assert!(!verifies(&got.body, &ended_signature, SECRET), "the signature of another message");
    assert!(!verifies(&got.body, signature, "whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "another secret");
    assert!(!got.headers.values().any(|value| text(value.as_bytes()).contains("MfKQ9r8")));
}

/// The libraries of the specification; `verified`, or `refused`.
const VERIFY: &str = "
import sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
body, id, timestamp, signature, secret = sys.argv[1:]
headers = {'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature}
try:
    Webhook(secret).verify(body, headers)
    print('verified')
except WebhookVerificationError:
    print('refused')
";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_while_the_receiver_was_away_comes_in_order_also_after_a_kill() {
    let receiver = Receiver::start().await;
    receiver.always(Some(Answer::Status(503)));
    let mut site = telling(&[("alarm", &receiver)]).await;
    site.stop().await;
    site.cloud.forget_status();
    let process = Process::start(&site);
    until("the program links", || site.cloud.last_status().is_some()).await;
    listens(&site).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    crosses(&site, &["one", "two", "three"]);
    until("all of it waits on the disk", || {
        let listed = text(&command(&site, &["list"]).stdout);
        listed.contains("4 waiting") && listed.contains("it answered 503")
    })
    .await;
    process.kill();
    site.cloud.forget_status();
    receiver.always(None);
    let process = Process::start(&site);
    until("all of it arrives", || receiver.rules().len() >= 5).await;
    let rules = receiver.rules();
    assert_eq!(rules[..4], ["Yard", "one", "two", "three"]);
    let taken = receiver.taken();
    let (began, ended) = (&taken[0], &taken[4]);
    assert_eq!(
        (&ended["type"], &ended["data"]["event"]),
        (&"event.ended".into(), &began["data"]["event"]),
        "nobody would have said that it ended"
    );
    let cursors: Vec<i64> = taken.iter().map(|body| body["data"]["cursor"].as_i64().unwrap()).collect();
    assert!(cursors.is_sorted(), "{cursors:?}");
    until("it is on the disk that it took them", || {
        text(&command(&site, &["list"]).stdout).contains("0 waiting, 0 dropped")
    })
    .await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_follows_no_redirect_and_reads_no_answer() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let site = telling(&[("alarm", &receiver)]).await;
    receiver.next([Answer::Redirect(elsewhere.address), Answer::Endless]);
    crosses(&site, &["one"]);
    until("it is taken at the second try", || receiver.rules() == ["one"]).await;
    crosses(&site, &["two"]);
    until("an answer without an end holds nothing up", || receiver.rules() == ["one", "two"]).await;
    assert!(elsewhere.got().is_empty(), "nobody else is told");
    let [refused, taken, ..] = &receiver.got()[..] else { panic!() };
    assert_eq!(refused.header("webhook-id"), taken.header("webhook-id"), "the same message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_holds_up_no_other_and_no_recording() {
    let (silent, receiver) = (Receiver::start().await, Receiver::start().await);
    silent.always(Some(Answer::Silence));
    let mut site = telling(&[("silent", &silent), ("alarm", &receiver)]).await;
    crosses(&site, &["one", "two"]);
    until("it is asked", || silent.got().len() == 1).await;
    until("the other is told", || receiver.rules() == ["one", "two"]).await;
    let before = site.objects().len();
    until("more is recorded and forwarded", || site.objects().len() >= before + 2).await;
    assert!(has(&site, Rendition::Main, StreamState::Recording));
    // A try that is under way does not keep the gateway from ending.
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_told_nothing_more_until_a_restart() {
    let receiver = Receiver::start().await;
    let mut site = telling(&[("alarm", &receiver)]).await;
    receiver.next([Answer::Status(410)]);
    crosses(&site, &["one"]);
    until("it is off", || text(&command(&site, &["list"]).stdout).contains("410 (gone)")).await;
    until("the cloud is told so", || {
        let streams = site.cloud.last_status().map(|(_, streams)| streams).unwrap_or_default();
        streams.iter().any(|stream| stream.reason.as_ref().is_some_and(|reason| reason.contains("is off")))
    })
    .await;
    crosses(&site, &["two"]);
    until("it waits", || text(&command(&site, &["list"]).stdout).contains("2 waiting")).await;
    assert_eq!(receiver.got().len(), 1);
    site.restart().await;
    until("both are told", || receiver.rules() == ["one", "two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_again_and_skips_nothing() {
    let receiver = Receiver::start().await;
    let site = telling(&[("alarm", &receiver)]).await;
    crosses(&site, &["one", "two", "three"]);
    until("all are told", || receiver.rules().len() == 3).await;
    until("that is on the disk", || text(&command(&site, &["list"]).stdout).contains("0 waiting")).await;
    let cursors: Vec<i64> =
        receiver.taken().iter().map(|body| body["data"]["cursor"].as_i64().unwrap()).collect();
    let refused = |since: String, name: &str| {
        let done = command(&site, &["replay", "--name", name, "--since", &since]);
        assert!(!done.status.success(), "{since}");
        text(&done.stderr)
    };
    assert!(refused((cursors[2] + 1).to_string(), "alarm").contains("has taken nothing after"));
    assert!(refused(i64::MAX.to_string(), "alarm").contains("has taken nothing after"));
    assert!(refused("1' OR 1=1".into(), "alarm").contains("is no cursor"));
    assert!(refused("0".into(), "other").contains("no webhook `other`"));

    let done = command(&site, &["replay", "--name", "alarm", "--since", &cursors[0].to_string()]);
    assert!(done.status.success() && text(&done.stdout).contains("2 events"), "{}", text(&done.stdout));
    until("two are told again", || receiver.rules().len() == 5).await;
    assert_eq!(receiver.rules()[3..], ["two", "three"]);
    let ids: Vec<String> = receiver.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids[1..3], ids[3..5], "whoever has them already can know");

    assert!(command(&site, &["replay", "--name", "alarm", "--since", "1h"]).status.success());
    until("all are told again", || receiver.rules().len() == 8).await;
    crosses(&site, &["four"]);
    until("it goes on", || receiver.rules().last().is_some_and(|rule| rule == "four")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_the_cameras_and_kinds_that_it_asked_for_alone() {
    let (lines, others) = (Receiver::start().await, Receiver::start().await);
    let mut site = telling(&[("lines", &lines), ("others", &others)]).await;
    site.webhooks[0].kinds = Some(vec![EventKind::Line]);
    site.webhooks[1].cameras = Some([CameraId::from_random([9; 16])].into());
    site.restart().await;
    listens(&site).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    crosses(&site, &["one"]);
    until("the line is told", || lines.rules() == ["one"]).await;
    assert!(others.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_reaches_the_webhook_bounded_and_recording_goes_on() {
    let receiver = Receiver::start().await;
    let site = telling(&[("alarm", &receiver)]).await;
    for number in 0..500 {
        site.simulated.raise(CROSSED, &format!("rule {number}"), None);
    }
    until("what is kept of it is told", || receiver.taken().len() >= gateway_core::events::BEGINNINGS_MAX)
        .await;
    let before = site.objects().len();
    until("more is recorded", || site.objects().len() >= before + 2).await;
    assert!(receiver.taken().len() <= 2 * gateway_core::events::BEGINNINGS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_can_read_starts_no_gateway() {
    let receiver = Receiver::start().await;
    let mut site = Site::enrolled().await;
    site.stop().await;
    let section = receiver.section("alarm", site.folder.path());
    let refused = async |text: &str, mode: u32| {
        write_secret(&section.secret_file, text, mode);
        let config = gateway::Config { webhooks: vec![section.clone()], ..site.config() };
        let error = Box::pin(gateway::start(config, None)).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("[[webhooks]] with name = \"alarm\": secret_file = "), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("MfKQ"), "{error}");
        error
    };
    assert!(refused(SECRET, 0o644).await.contains("chmod g-w,o-rwx"));
    assert!(refused("hunter2", 0o600).await.contains("`whsec_`"));
    assert!(refused("whsec_aHVudGVyMg==", 0o600).await.contains("7 bytes"));
}
