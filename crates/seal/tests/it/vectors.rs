//! The shared vectors. Everything in them follows from fixed seeds, so they are
//! compared byte by byte; the web app's tests read the same files.

use model::wire::Envelope;
use model::{Base64, Hash};
use seal::command::SiteCommand;
use seal::enrolment::{Code, Secret};
use seal::pairing::{Nonce, Pairing};
use serde_json::{Value, json};

use crate::fixture::{
    Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org, other_camera_id,
};

fn check(name: &str, value: &Value) {
    let path = format!("{}/tests/it/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
    }
    // As values: the order of keys around the vectors is the serialiser's whim.
    let committed: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(committed == *value, "{name}: the format changed; that is a new version, not a new vector");
}

fn base64(bytes: &[u8]) -> Base64 {
    bytes.to_vec().into()
}

#[test]
fn roster() {
    let log = Log::populated();
    let (seq, head) = log.roster.head();
    check(
        "roster",
        &json!({
            "seen_at": T0.plus_ms(10_000),
            "statements": log.envelopes,
            "anchor": log.roster.anchor(),
            "head": { "seq": seq, "hash": head },
            "state": log.roster.state(),
            "may_open": [
                { "device": device_id(1), "camera": other_camera_id(), "at": T0, "answer": true },
                { "device": device_id(2), "camera": camera_id(), "at": T0, "answer": true },
                { "device": device_id(2), "camera": other_camera_id(), "at": T0, "answer": false },
                { "device": device_id(2), "camera": camera_id(), "at": T0.plus_ms(31 * 86_400_000), "answer": false },
            ],
            "cases": crate::roster_cases::all(),
        }),
    );
}

#[test]
fn keys_and_sealing() {
    let (kem, sign) = gateway_keys();
    let sealed = seal::sealed::seal(&kem.public(), "info", b"aad", b"message", [7; 64]);
    let recovery = seal::keyring::DeviceKeys::from_recovery(&[0x42; 32]);
    check(
        "keys",
        &json!({
            "kem_seed": base64(kem.seed()),
            "kem_public": kem.public().to_base64(),
            "sign_seed": base64(sign.seed()),
            "sign_public": sign.verifying_key().to_base64(),
            "hpke": { "info": "info", "aad": "aad", "plaintext": "message", "sealed": sealed },
            "recovery": {
                "entropy": base64(&[0x42; 32]),
                "kem_seed": base64(recovery.kem.seed()),
                "sign_seed": base64(recovery.sign.seed()),
            },
        }),
    );
}

#[test]
fn command() {
    let command = crate::command::put_camera();
    let envelope = command.sign(device_id(1), &keys(1).sign);
    check(
        "command",
        &json!({ "command": command, "envelope": envelope, "gateway_kem_seed": base64(gateway_keys().0.seed()) }),
    );
}

#[test]
fn hour() {
    let hour = crate::hour::hour();
    let envelope = hour.sign(&gateway_keys().1);
    let hash = seal::sha256(&envelope.payload.0);
    check(
        "hour",
        &json!({ "envelope": envelope, "hash": hash, "object": hour.object_name(hash), "statement": hour }),
    );
}

/// What a gateway finds out for a device, and how it is asked.
#[test]
fn answer() {
    let command = crate::answer::ask_camera();
    let addressed = crate::answer::addressed();
    let answers = crate::answer::answers().into_iter().map(|answer| {
        let sealed = seal::answer::seal_answer(&answer, &keys(1).kem.public(), addressed, [5; 64]);
        json!({ "answer": answer, "sealed": sealed })
    });
    check(
        "answer",
        &json!({
            "command": command,
            "envelope": command.sign(device_id(1), &keys(1).sign),
            "question": crate::answer::question(),
            "gateway_kem_seed": base64(gateway_keys().0.seed()),
            "device": device_id(1),
            "device_kem_seed": base64(keys(1).kem.seed()),
            "answers": answers.collect::<Vec<_>>(),
        }),
    );
}

/// Orders without anything sealed in them.
#[test]
fn settings() {
    let orders = crate::command::settings().map(|command| {
        let order = SiteCommand { command, ..crate::command::put_camera() };
        json!({ "command": order, "envelope": order.sign(device_id(1), &keys(1).sign) })
    });
    check("command-settings", &json!({ "orders": orders }));
}

/// What two administrators sign, on top of a roster that demands it, and what
/// must not count as two.
#[test]
fn command_of_several() {
    let log = crate::command::two_of_three();
    let command = crate::command::put_camera();
    let signed_by = |devices: &[u8]| crate::command::signed_by(&command, devices);
    let mut forged = signed_by(&[1, 2]);
    forged.signatures[1].keyid = device_id(3).to_string();
    let refused: [(&str, Envelope, Option<u32>); 4] = [
        ("the same person with two devices", signed_by(&[1, 4]), Some(1)),
        ("one of two", signed_by(&[3]), Some(1)),
        ("a watcher beside two", signed_by(&[1, 3, 2]), None),
        ("a signature in another's name", forged, None),
    ];
    let refused =
        refused.map(|(why, envelope, agree)| json!({ "why": why, "envelope": envelope, "agree": agree }));
    check(
        "command-several",
        &json!({
            "now": T0, "anchor": log.roster.anchor(), "statements": log.envelopes, "hash":
                seal::sha256(&signed_by(&[1]).payload.0),
            "needed": 2, "envelope": signed_by(&[1, 3]), "people": [crate::fixture::ada(), crate::fixture::cem()],
            "state_after": command.state_after(), "refused": refused,
        }),
    );
}

#[test]
fn action() {
    for (name, action) in
        [("action", crate::action::export()), ("service-account", crate::action::service_account())]
    {
        let envelope = action.sign(device_id(1), &keys(1).sign);
        let hash = seal::sha256(&envelope.payload.0);
        check(
            name,
            &json!({ "action": action, "envelope": envelope, "hash": hash, "sign_seed": base64(keys(1).sign.seed()) }),
        );
    }
}

#[test]
fn tlog() {
    let (note, log, witness) = crate::tlog::note();
    let log_of_700 = crate::tlog::Log::of(700);
    let root = |size: u64| crate::tlog::Log::of(size).edge.root();
    let consistency = [1, 2, 3, 255, 256, 257, 699, 700].map(|old| {
        let proof = log_of_700.proof(seal::tlog::consistency(old, 700).unwrap());
        json!({ "old": old, "root": root(old), "proof": proof })
    });
    let inclusion = [0, 1, 255, 256, 511, 699].map(|index| {
        let proof = log_of_700.proof(seal::tlog::inclusion(index, 700).unwrap());
        json!({ "index": index, "leaf": base64(&crate::tlog::leaf(index)), "proof": proof })
    });
    check(
        "tlog",
        &json!({
            "note": note, "key": log.verifier_key(), "size": 700, "root": log_of_700.edge.root(),
            "witness": witness.name, "witness_key": witness.key.to_base64(),
            "witness_verifier_key": witness.cosigner_key(),
            "consistency": consistency, "inclusion": inclusion,
        }),
    );
}

#[test]
fn epoch_grant() {
    let key = |byte: u8| base64(&[byte; 32]);
    check(
        "epoch-grant",
        &json!({
            "device": device_id(2),
            "device_kem_seed": base64(keys(2).kem.seed()),
            "gateway": gateway(),
            "envelope": crate::grant::grant_for(2, &gateway_keys().1),
            "keys": [
                { "camera": camera_id(), "video": key(0x11), "audio": key(0x22) },
                { "camera": other_camera_id(), "video": key(0x33), "audio": null },
            ],
        }),
    );
}

#[test]
fn past_grant() {
    let key = |byte: u8| base64(&[byte; 32]);
    check(
        "past-grant",
        &json!({
            "device": device_id(2),
            "device_kem_seed": base64(keys(2).kem.seed()),
            "gateway": gateway_id(),
            "envelope": crate::grant::handed_on(),
            "keys": [{ "camera": camera_id(), "video": key(0x11), "audio": key(0x22) }],
        }),
    );
}

#[test]
fn local() {
    let (_, key) = gateway_keys();
    check(
        "local",
        &json!({
            "org": org(),
            "gateway": gateway(),
            "device": device_id(1),
            "sign_seed": base64(keys(1).sign.seed()),
            "challenge": crate::local::hello().device_challenge,
            "certificate": crate::local::hello().certificate,
            "answer": crate::local::hello().sign(&key),
            "login": crate::local::login().sign(&keys(1).sign),
        }),
    );
}

#[test]
fn recording() {
    let (bytes, finished) = crate::recording::write();
    let chunks = crate::recording::chunks().into_iter().map(|(track, flags, time, plaintext)| {
        json!({ "track": track, "flags": flags, "time": time, "plaintext": base64(&plaintext) })
    });
    let name =
        seal::recording::object_name(org(), camera_id(), model::Rendition::Sub, T0, finished.footer.root);
    check(
        "recording",
        &json!({
            "file": base64(&bytes),
            "sha256": finished.sha256,
            "video_key": base64(&[0x11; 32]),
            "audio_key": base64(&[0x22; 32]),
            "gateway": gateway_id(),
            "header": crate::recording::header(),
            "footer": finished.footer,
            "object_name": name,
            "chunks": chunks.collect::<Vec<_>>(),
            "excerpt": base64(&crate::recording::excerpt()),
        }),
    );
}

#[test]
fn recording_of_events() {
    let (bytes, finished) = crate::recording::write_events();
    check(
        "recording-events",
        &json!({
            "file": base64(&bytes),
            "sha256": finished.sha256,
            "video_key": base64(&[0x11; 32]),
            "header": crate::recording::header_of_events(),
            "footer": finished.footer,
            "batches": crate::recording::batches(),
        }),
    );
}

/// As `recording.json`, begun after the checkpoint of `tlog.json`.
#[test]
fn recording_after_a_checkpoint() {
    let (bytes, finished) = crate::recording::write_with(crate::recording::header_with_checkpoint());
    check(
        "recording-checkpoint",
        &json!({
            "file": base64(&bytes),
            "sha256": finished.sha256,
            "header": crate::recording::header_with_checkpoint(),
            "footer": finished.footer,
        }),
    );
}

#[test]
fn enrolment() {
    let secret = Secret::from_bytes([0x77; 16]);
    let code = Code { secret: secret.clone(), ca: Hash([0xca; 32]), anchor: Hash([0xa5; 32]) };
    check(
        "enrolment",
        &json!({
            "secret": "77".repeat(16),
            "lookup": secret.lookup(),
            "gateway": gateway(),
            "gateway_mac": secret.gateway_mac(&gateway()),
            "anchor": Hash([0xa5; 32]),
            "add_gateway": Hash([0xad; 32]),
            "accept_mac": secret.accept_mac(Hash([0xa5; 32]), Hash([0xad; 32])),
            "ca": Hash([0xca; 32]),
            "code": code.to_text().as_str(),
        }),
    );
}

#[test]
fn pairing() {
    let nonce = Nonce(Hash([0x99; 32]));
    let (pairing, anchor) = (Pairing::new([0x77; 16], nonce), Hash([0xa5; 32]));
    let device = crate::fixture::device(2, crate::fixture::ben(), "Phone");
    check(
        "pairing",
        &json!({
            "text": pairing.to_text().as_str(),
            "lookup": pairing.lookup(),
            "nonce": nonce.0,
            "anchor": anchor,
            "device": device,
            "mac": pairing.mac(anchor, &device),
            "code": nonce.code(anchor, &device),
        }),
    );
}

#[test]
fn notices() {
    let order = crate::notice::order();
    let notice = crate::notice::notice();
    check(
        "notice",
        &json!({
            "gateway_kem_seed": base64(gateway_keys().0.seed()),
            "order": { "wishes": crate::notice::wishes(), "payload": order, "envelope": order.sign(&keys(2).sign) },
            "notice": { "text": notice, "sealed": notice.seal(&crate::notice::key(), &crate::notice::channel(), [5; 12]) },
            "still": {
                "id": crate::notice::still().id(),
                "picture": base64(&[0xff, 0xd8, 0xff, 0xd9]),
                "sealed": base64(&crate::notice::still().seal(&crate::notice::still_place(), &[0xff, 0xd8, 0xff, 0xd9]).unwrap()),
            },
        }),
    );
}

#[test]
fn capsule() {
    use seal::capsule::{DESCRIPTION, Piece};
    let (share, key) = (crate::capsule::share(), crate::capsule::key());
    let description = crate::capsule::description();
    let seal = |piece, plain: &[u8]| base64(&key.seal(share, piece, plain));
    check(
        "capsule",
        &json!({
            "share": share,
            "key": *key.to_link(),
            "access": key.access(share),
            "description": { "text": description, "sealed": seal(DESCRIPTION, &description.padded()) },
            "pieces": [
                { "file": 2, "number": 0, "plain": base64(b"proof"), "sealed": seal(Piece { file: 2, number: 0 }, b"proof") },
                { "file": 1, "number": 1, "plain": base64(b"end"), "sealed": seal(Piece { file: 1, number: 1 }, b"end") },
            ],
        }),
    );
}

#[test]
fn ptz() {
    let orders = crate::ptz::orders();
    let signed: Vec<_> = orders.iter().map(|order| order.sign(device_id(2), &keys(2).sign)).collect();
    let session = crate::ptz::session();
    check(
        "ptz",
        &json!({
            "session": { "statement": session, "envelope": session.sign(&gateway_keys().1) },
            "orders": orders.iter().zip(signed).map(|(order, envelope)| json!({ "order": order, "envelope": envelope })).collect::<Vec<_>>(),
        }),
    );
}

#[test]
fn bookmark() {
    use seal::bookmark::Lock;
    let locks = [None, Some(Lock { until: None }), Some(Lock { until: Some(T0.plus_ms(86_400_000)) })];
    let bookmarks = locks.map(|lock| {
        let bookmark = crate::bookmark::bookmark(lock);
        json!({ "bookmark": bookmark, "envelope": bookmark.sign(&keys(2).sign) })
    });
    let result = crate::bookmark::result();
    check(
        "bookmark",
        &json!({
            "video": base64(&crate::bookmark::VIDEO),
            "note": crate::bookmark::note(),
            "bookmarks": bookmarks,
            "result": { "result": result, "envelope": result.sign(&gateway_keys().1) },
        }),
    );
}
