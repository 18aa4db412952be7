//! Witnesses outside the organisation (C2SP tlog-witness), between two servers
//! over real HTTP: one signs what goes on from what it signed, and nothing else;
//! the other believes no answer that the witness did not sign.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use cloud::OutsideWitnessSection;
use model::{Hash, PersonId};
use reqwest::StatusCode;
use seal::keys::SigningKey;
use seal::tlog::{Checkpoint, LogKey, Submission, sign, sign_witnessed};
use serde_json::{Value, json};

use crate::live::until;
use crate::support::{Gateway, Organisation, World, fresh, fresh_id, now};

/// A server with an organisation, and another one that witnesses its history.
async fn two_servers() -> (World, Organisation, World) {
    let ours = World::on_sqlite().await;
    let organisation = ours.found().await;
    let log = head(&ours, &organisation).await["key"].as_str().unwrap().to_owned();
    let theirs = World::with(None, |config| config.witness.logs = vec![log]).await;
    let key = cloud::witness_key(&theirs.config).unwrap();
    let ours = ours.restarted_with(|config| ask(config, &theirs.origin(), &key)).await;
    (ours, organisation, theirs)
}

fn ask(config: &mut cloud::Config, origin: &str, key: &str) {
    let url = format!("{origin}/witness").parse().unwrap();
    config.history.witness_seconds = 1;
    config.history.witnesses = vec![OutsideWitnessSection { url, key: key.to_owned(), ca_file: None }];
}

async fn head(world: &World, organisation: &Organisation) -> Value {
    organisation.api(world).get("/api/v1/history/checkpoint").await.body
}

/// Makes the history longer by an entry.
async fn write_down(world: &World, organisation: &Organisation) {
    let invite = json!({ "person": PersonId::from_random(fresh_id()), "person_name": "Somebody" });
    let invited = organisation.api(world).post("/api/v1/invitations", &invite).await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.body);
}

async fn outside(world: &World, organisation: &Organisation) -> Value {
    head(world, organisation).await["outside"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_signs_the_history_as_it_grows() {
    let (ours, organisation, theirs) = two_servers().await;
    until(async || outside(&ours, &organisation).await["size"] != 0).await;
    let shown = outside(&ours, &organisation).await;
    let witness = LogKey::parse_cosigner(&cloud::witness_key(&theirs.config).unwrap()).unwrap();
    assert_eq!(
        (&shown["name"], &shown["key"]),
        (&witness.name.clone().into(), &witness.cosigner_key().into())
    );
    let log = LogKey::parse(head(&ours, &organisation).await["key"].as_str().unwrap()).unwrap();
    let note = shown["note"].as_str().unwrap();
    let first = Checkpoint::verify(note, &log).unwrap();
    assert_eq!(Checkpoint::witnessed(note, std::slice::from_ref(&witness)).unwrap().len(), 1);

    let grown = async || {
        write_down(&ours, &organisation).await;
        outside(&ours, &organisation).await["size"].as_u64().unwrap() > first.size
    };
    until(grown).await;
    // Both start anew, and go on from where they were.
    let theirs = theirs.restarted_with(|_| {}).await;
    let ours = ours.restarted_with(|config| ask(config, &theirs.origin(), &witness.cosigner_key())).await;
    let before = outside(&ours, &organisation).await["size"].as_u64().unwrap();
    let grown = async || {
        write_down(&ours, &organisation).await;
        outside(&ours, &organisation).await["size"].as_u64().unwrap() > before
    };
    until(grown).await;
    let shown = outside(&ours, &organisation).await;
    assert_eq!((&shown["conflict"], &shown["trouble"]), (&Value::Null, &Value::Null), "{shown}");
}

/// What gateways put into the headers of recordings: with the time of somebody
/// who is neither gateway nor cloud.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_shown_what_the_witness_outside_signed() {
    let (ours, mut organisation, theirs) = two_servers().await;
    let gateway = Gateway::enrolled(&ours, &mut organisation).await;
    let witness = LogKey::parse_cosigner(&cloud::witness_key(&theirs.config).unwrap()).unwrap();
    let offered = async |old: u64| {
        let answer = gateway.get(&format!("/gateway/v1/history/checkpoint?old={old}")).await;
        let offer: model::wire::LogOffer = serde_json::from_value(answer.body).unwrap();
        let checkpoint = Checkpoint::verify(&offer.note, &LogKey::parse(&offer.key).unwrap()).unwrap();
        let signed = Checkpoint::witnessed(&offer.note, std::slice::from_ref(&witness)).unwrap();
        (checkpoint, offer.proof, !signed.is_empty())
    };
    until(async || outside(&ours, &organisation).await["size"] != 0).await;
    let (first, _, is_signed) = offered(0).await;
    assert!(is_signed);
    let goes_on = async || {
        write_down(&ours, &organisation).await;
        let (next, proof, is_signed) = offered(first.size).await;
        let at = |checkpoint: &Checkpoint| (checkpoint.size, checkpoint.root);
        assert!(seal::tlog::verify_consistency(at(&first), at(&next), &proof));
        next.size > first.size && is_signed
    };
    until(goes_on).await;
    // Who has seen more than the witness is not held back by it.
    let (newest, ..) = offered(u64::MAX >> 12).await;
    assert!(newest.size >= first.size);
}

/// Whoever runs the server puts back its data folder, or rewrites the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_put_back_is_caught_by_the_witness_outside() {
    let (ours, organisation, theirs) = two_servers().await;
    until(async || outside(&ours, &organisation).await["size"] != 0).await;
    let copy = ours.config.data.with_file_name("copy");
    let copied = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    };
    let ours = ours.restarted_with(|config| copied(&config.data, &copy)).await;
    let old = outside(&ours, &organisation).await["size"].as_u64().unwrap();
    let grown = async || {
        write_down(&ours, &organisation).await;
        outside(&ours, &organisation).await["size"].as_u64().unwrap() > old + 3
    };
    until(grown).await;

    let ours = ours.restarted_with(|config| copied(&copy, &config.data)).await;
    until(async || outside(&ours, &organisation).await["conflict"] != Value::Null).await;
    assert_eq!(outside(&ours, &organisation).await["conflict"], "cut_off");
    let told = organisation.api(&ours).get("/api/v1/history?action=history_conflict").await.body;
    let entry = told["entries"][0].clone();
    let witness = LogKey::parse_cosigner(&cloud::witness_key(&theirs.config).unwrap()).unwrap();
    assert_eq!((&entry["actor"], &entry["resource"]), (&witness.name.into(), &"cut_off".into()));

    // As long as the witness's, it is another one.
    let longer = async || {
        write_down(&ours, &organisation).await;
        outside(&ours, &organisation).await["conflict"] == "rewritten"
    };
    until(longer).await;
}

struct Log {
    secret: SigningKey,
    key: LogKey,
}

impl Log {
    fn new(name: &str) -> Self {
        let secret = SigningKey::from_seed(fresh());
        let key = LogKey { name: name.to_owned(), key: secret.verifying_key() };
        Log { secret, key }
    }

    fn note(&self, size: u64, root: u8) -> String {
        let checkpoint = Checkpoint { origin: self.key.name.clone(), size, root: Hash([root; 32]) };
        sign(&checkpoint, &self.secret)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_refuses_each_lie_as_the_protocol_says() {
    let (log, stranger) = (Log::new("lenskeep/org_1"), Log::new("lenskeep/org_2"));
    let world = World::with(None, |config| config.witness.logs = vec![log.key.verifier_key()]).await;
    let impostor =
        Log { key: LogKey { name: log.key.name.clone(), ..stranger.key.clone() }, ..Log::new("x") };
    let post = async |body: String| {
        // As logs ask: no cookie, no header of ours.
        let response = world.client.post(format!("{}/witness/add-checkpoint", world.origin())).body(body);
        let response = response.send().await.unwrap();
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
    };
    let submitted = async |old: u64, proof: &[u8], note: String| {
        let proof = proof.iter().map(|byte| Hash([*byte; 32])).collect();
        post(Submission { old, proof, note }.to_text()).await
    };
    assert_eq!(submitted(0, &[], stranger.note(5, 1)).await.0, 404);
    assert_eq!(submitted(0, &[], impostor.note(5, 1)).await.0, 403);
    assert_eq!(post("old x\n\n".to_owned() + &log.note(5, 1)).await.0, 400);
    assert_eq!(post(String::new()).await.0, 400);
    assert_eq!(post("old 0\n\n".to_owned() + &"x".repeat(30_000)).await.0, 413);
    assert_eq!(post("old 0\n\n".to_owned() + &log.note(5, 1).replace("\n5\n", "\n05\n")).await.0, 400);
    assert_eq!(submitted(6, &[], log.note(5, 1)).await.0, 400);
    assert_eq!(submitted(0, &[9], log.note(5, 1)).await.0, 422);

    // Two first ones at once: one is signed.
    let (one, other) = tokio::join!(submitted(0, &[], log.note(5, 1)), submitted(0, &[], log.note(6, 2)));
    let statuses = [one.0, other.0];
    assert!(statuses == [200, 409] || statuses == [409, 200], "{statuses:?}");
    let (signed, size) = if one.0 == 200 { (one, 5) } else { (other, 6) };
    let root = if size == 5 { 1 } else { 2 };
    let witness = LogKey::parse_cosigner(&cloud::witness_key(&world.config).unwrap()).unwrap();
    let cosigned = log.note(size, root) + &signed.2;
    assert_eq!(Checkpoint::witnessed(&cosigned, &[witness]).unwrap().len(), 1, "{}", signed.2);

    // The same again is signed again; another of that size, or a way that
    // does not lead there, is not, and neither is a step back.
    assert_eq!(submitted(size, &[], log.note(size, root)).await.0, 200);
    assert_eq!(submitted(size, &[], log.note(size, 7)).await.0, 422);
    assert_eq!(submitted(size, &[3, 4], log.note(9, 7)).await.0, 422);
    assert_eq!(submitted(size, &[], log.note(3, 7)).await.0, 400);
    let elsewhere = (409, "text/x.tlog.size".to_owned(), format!("{size}\n"));
    assert_eq!(submitted(0, &[], log.note(9, 7)).await, elsewhere);
    assert_eq!(submitted(3, &[3], log.note(4, 7)).await, elsewhere);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_witness_did_not_sign_counts_for_nothing() {
    let ours = World::on_sqlite().await;
    let organisation = ours.found().await;
    let witness = Log::new("w.example");
    // Answers whatever it is told to, and counts.
    type Says = Arc<Mutex<(StatusCode, &'static str, String, u32)>>;
    let says: Says = Arc::new(Mutex::new((StatusCode::OK, "text/plain", String::new(), 0)));
    async fn answer(State(says): State<Says>) -> Response {
        let mut says = says.lock().unwrap();
        says.3 += 1;
        let (status, kind, text, _) = says.clone();
        (status, [(header::CONTENT_TYPE, kind), (header::LOCATION, "/elsewhere")], text).into_response()
    }
    let router = axum::Router::new().fallback(answer).with_state(says.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let ours = ours.restarted_with(|config| ask(config, &origin, &witness.key.cosigner_key())).await;
    // Asked once more after the answer that follows what was said before.
    let say = async |status: StatusCode, kind: &'static str, text: String| {
        *says.lock().unwrap() = (status, kind, text, 0);
        until(async || says.lock().unwrap().3 >= 2).await;
    };

    let stranger = SigningKey::from_seed(fresh());
    // Once it grows no more, since reading it is written down, too.
    let settled = async || {
        let before = head(&ours, &organisation).await["size"].clone();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        head(&ours, &organisation).await["size"] == before
    };
    until(settled).await;
    let head = head(&ours, &organisation).await;
    let log = LogKey::parse(head["key"].as_str().unwrap()).unwrap();
    let shown = Checkpoint::verify(head["note"].as_str().unwrap(), &log).unwrap();
    let other = Checkpoint { root: Hash([1; 32]), ..shown.clone() };
    let line = |of: &Checkpoint, key: &SigningKey, at| sign_witnessed(of, "w.example", key, at);
    let late = now().plus_ms(24 * model::Timestamp::HOUR);
    let (plain, size) = ("text/plain", "text/x.tlog.size");
    for (status, kind, text, told) in [
        (StatusCode::OK, plain, String::new(), "not signed with the key"),
        (StatusCode::OK, plain, "no line".to_owned(), "not signed with the key"),
        (StatusCode::OK, plain, line(&shown, &stranger, now()), "not signed with the key"),
        (StatusCode::OK, plain, line(&other, &witness.secret, now()), "not signed with the key"),
        (StatusCode::OK, plain, line(&shown, &witness.secret, late), "in the future"),
        (StatusCode::OK, plain, "x".repeat(100_000), "more than"),
        (StatusCode::CONFLICT, plain, "7\n".to_owned(), "409 without the size"),
        (StatusCode::CONFLICT, size, "many\n".to_owned(), "409 without the size"),
        (StatusCode::NOT_FOUND, plain, String::new(), "does not know the log"),
        (StatusCode::FORBIDDEN, plain, String::new(), "another key for the log"),
        (StatusCode::FOUND, plain, String::new(), "302"),
        (StatusCode::SERVICE_UNAVAILABLE, plain, String::new(), "503"),
    ] {
        say(status, kind, text).await;
        let shown = outside(&ours, &organisation).await;
        assert!(shown["trouble"].as_str().unwrap().contains(told), "{told}: {shown}");
        assert_eq!(
            (&shown["size"], &shown["note"], &shown["conflict"]),
            (&0.into(), &"".into(), &Value::Null)
        );
    }
    // What it signs is taken at last, and shown as it signed it.
    *says.lock().unwrap() = (StatusCode::OK, plain, line(&shown, &witness.secret, now()), 0);
    until(async || outside(&ours, &organisation).await["size"] == shown.size).await;
    assert_eq!(outside(&ours, &organisation).await["trouble"], Value::Null);

    // A size that the log does not have is a history that is not shown here. It
    // stands in the history once, however often it is said.
    let far = format!("{}\n", u64::MAX >> 12);
    write_down(&ours, &organisation).await;
    say(StatusCode::CONFLICT, "text/x.tlog.size; charset=utf-8", far).await;
    assert_eq!(outside(&ours, &organisation).await["conflict"], "cut_off");
    say(StatusCode::UNPROCESSABLE_ENTITY, plain, String::new()).await;
    assert_eq!(outside(&ours, &organisation).await["conflict"], "rewritten");
    let told = organisation.api(&ours).get("/api/v1/history?action=history_conflict").await.body;
    assert_eq!(told["entries"].as_array().unwrap().len(), 1, "{told}");
}
