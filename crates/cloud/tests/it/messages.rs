//! Every message of the cloud's WebSockets against whoever may not send it, or
//! not about this. The messages come from the types; one without an attack
//! here fails the test.

use model::wire::{FrameKind, FromGateway, LINK_FRAME_MAX, LISTED_MAX, Recording, ToGateway, ToViewer};
use model::{CameraId, Hash};
use reqwest::{Method, StatusCode};
use seal::command::{Command, CommandResult, SiteCommand};
use seal::ptz::{Movement, PtzOrder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::live::{Got, Link, Viewer, until};
use crate::support::footage::Epoch;
use crate::support::{Gateway, Organisation, World, fresh_id, now};

/// The names of a type's messages, as its own parser knows them.
fn names<T: DeserializeOwned>() -> Vec<String> {
    let unknown = serde_json::from_value::<T>(json!({ "type": "" })).err().unwrap().to_string();
    let (_, expected) = unknown.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_parsers_name_their_messages() {
    assert_eq!(
        names::<FromGateway>(),
        [
            "status",
            "watch_failed",
            "command_result",
            "settings",
            "recordings",
            "timeline",
            "ptz_session",
            "ptz_done",
            "ask_failed"
        ]
    );
    assert_eq!(
        names::<ToGateway>(),
        [
            "watch",
            "unwatch",
            "command",
            "roster_changed",
            "notices_changed",
            "locks_changed",
            "event",
            "list",
            "timeline",
            "find",
            "read",
            "ptz_open",
            "ptz_order"
        ]
    );
    assert_eq!(names::<ToViewer>(), ["waiting", "ended", "skipped"]);
}

/// A camera that Ada watches, its gateway, and another gateway of the same
/// organisation that tries what is not its own.
struct Scene {
    world: World,
    ours: Organisation,
    gateway: Gateway,
    link: Link,
    rogue: Gateway,
    rogues: Link,
    camera: CameraId,
    viewer: Viewer,
    stream: u64,
}

impl Scene {
    async fn new() -> Self {
        let world = World::on_sqlite().await;
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(&world, &mut ours).await;
        let rogue = Gateway::enrolled(&world, &mut ours).await;
        let camera = ours.bind_camera(&world, gateway.id).await;
        let mut viewer = Viewer::open(&world, &ours.admin.cookie, camera, &world.origin()).await.unwrap();
        assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));
        let mut link = gateway.link().await;
        let stream = link.text().await["stream"].as_u64().unwrap();
        let rogues = rogue.link().await;
        Scene { world, ours, gateway, link, rogue, rogues, camera, viewer, stream }
    }

    /// Everything that the rogue sent before has been taken: its state tells.
    async fn rogue_was_heard(&mut self) {
        let state = Hash(crate::support::fresh());
        self.rogues.status(state).await;
        let (api, id) = (self.ours.api(&self.world), self.rogue.id);
        until(async || {
            let listed = api.get("/api/v1/gateways").await.body["gateways"].clone();
            listed.as_array().unwrap().iter().any(|g| g["id"] == json!(id) && g["state"] == json!(state))
        })
        .await;
    }

    /// The viewer has had nothing of what the rogue sent: what comes next is
    /// the word of the camera's own gateway.
    async fn viewer_hears_the_own_gateway_alone(&mut self) {
        self.rogue_was_heard().await;
        let end = json!({ "type": "watch_failed", "stream": self.stream, "reason": "the camera is off" });
        self.link.say(&end).await;
        let ended = json!({ "type": "ended", "reason": "the camera is off" });
        assert_eq!(self.viewer.next().await, Got::Text(ended));
    }

    fn header(&self, by: &Gateway) -> Vec<u8> {
        let mut header = Vec::new();
        drop(Epoch::new(self.ours.org, self.camera).begin(by, &self.ours.roster, &mut header));
        header
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_gateway_speaks_of_what_is_not_its_own() {
    for name in names::<FromGateway>() {
        let mut scene = Scene::new().await;
        match name.as_str() {
            "status" => foreign_status(&mut scene).await,
            "watch_failed" => {
                let failed = json!({ "type": name, "stream": scene.stream, "reason": "not yours" });
                scene.rogues.say(&failed).await;
                scene.viewer_hears_the_own_gateway_alone().await;
            }
            "command_result" => answer_of_another(&mut scene).await,
            "settings" => foreign_settings(&mut scene).await,
            "recordings" => recordings_of_another(&mut scene).await,
            "timeline" => timeline_of_another(&mut scene).await,
            "ptz_session" => session_of_another(&mut scene).await,
            "ptz_done" => done_by_another(&mut scene).await,
            "ask_failed" => failure_of_another(&mut scene).await,
            name => panic!("{name} has no attack in this test"),
        }
    }
    for kind in (0..=u8::MAX).filter_map(FrameKind::of) {
        let mut scene = Scene::new().await;
        let stream = scene.stream as u32;
        let header = scene.header(&scene.rogue);
        match kind {
            // Signed by the rogue for this camera, and passed on by nobody:
            // neither from its own link, nor from the camera's gateway.
            FrameKind::Header => {
                scene.rogues.header(stream, &header).await;
                scene.rogue_was_heard().await;
                scene.link.header(stream, &header).await;
                scene.link.ended().await;
                scene.link = scene.gateway.link().await;
                scene.stream = scene.link.text().await["stream"].as_u64().unwrap();
            }
            FrameKind::Chunk => scene.rogues.chunk(stream, 0, &[0; 64]).await,
            FrameKind::Piece => {
                pieces_that_were_not_asked_for(&mut scene).await;
                continue;
            }
        }
        scene.viewer_hears_the_own_gateway_alone().await;
    }
}

async fn foreign_status(scene: &mut Scene) {
    let stream = json!({
        "camera": scene.camera, "rendition": "main", "state": "recording", "since": 0, "reason": null,
        "bits_per_second": 1, "codec": null, "width": 0, "height": 0, "has_audio": false,
    });
    let state = Hash([9; 32]);
    let status = json!({ "type": "status", "state": state, "version": "1", "cameras": [stream] });
    scene.rogues.say(&status).await;
    let api = scene.ours.api(&scene.world);
    until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
    assert_eq!(api.get("/api/v1/cameras").await.body["cameras"][0]["streams"], json!([]));
    scene.link.say(&status).await;
    until(async || api.get("/api/v1/cameras").await.body["cameras"][0]["streams"] != json!([])).await;
}

/// A gateway says how its own cameras are set, and of no others.
async fn foreign_settings(scene: &mut Scene) {
    let forwarding = json!({ "main": "never", "sub": "never", "short_in_events": false });
    let settings = json!({
        "state": Hash([9; 32]), "bytes_max": 1, "age_days_max": 1, "quiet": { "days_max": 1, "kinds": ["motion"] },
        "bandwidth": { "kilobits_max": null, "spans": [] }, "forwarding": { scene.camera.to_string(): forwarding },
    });
    let message = json!({ "type": "settings", "settings": settings });
    scene.rogues.say(&message).await;
    scene.link.say(&message).await;
    let api = scene.ours.api(&scene.world);
    let listed = async |id| {
        let gateways = api.get("/api/v1/gateways").await.body["gateways"].clone();
        gateways.as_array().unwrap().iter().find(|g| g["id"] == json!(id)).unwrap()["settings"].clone()
    };
    until(async || !listed(scene.gateway.id).await.is_null() && !listed(scene.rogue.id).await.is_null())
        .await;
    assert_eq!(listed(scene.gateway.id).await, settings);
    assert_eq!(listed(scene.rogue.id).await["forwarding"], json!({}));
    // A bandwidth that no administrator can have set ends the link.
    let mut impossible = message.clone();
    impossible["settings"]["bandwidth"]["kilobits_max"] = json!(1);
    scene.rogues.say(&impossible).await;
    scene.rogues.ended().await;
}

/// The number of a command is not hard to guess.
async fn answer_of_another(scene: &mut Scene) {
    let admin = &scene.ours.admin;
    let command = SiteCommand {
        org: scene.ours.org,
        target: scene.gateway.id,
        nonce: "ab".repeat(16),
        expires_at: now().plus_ms(60_000),
        previous_state: Hash::default(),
        command: Command::RemoveCamera { camera: CameraId::from_random(fresh_id()) },
    };
    let signed = json!({ "envelope": command.sign(admin.device, &admin.keys.sign) });
    let answer_by = |gateway: &Gateway, ok| {
        let nonce = command.nonce.clone();
        let (org, at) = (command.org, now());
        CommandResult { org, gateway: gateway.id, nonce, at, ok, error: None, report: None, answer: None }
            .sign(&gateway.sign)
    };
    let genuine = serde_json::to_value(answer_by(&scene.gateway, false)).unwrap();
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/gateways/{}/commands", scene.gateway.id);
    let answering = async {
        let message = scene.link.text().await;
        let answer =
            |envelope: &Value| json!({ "type": "command_result", "id": message["id"], "envelope": envelope });
        let forged = serde_json::to_value(answer_by(&scene.rogue, true)).unwrap();
        scene.rogues.say(&answer(&forged)).await;
        let state = Hash([8; 32]);
        scene.rogues.status(state).await;
        until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
        scene.link.say(&answer(&genuine)).await;
        // Once more, when nobody waits any longer.
        scene.link.say(&answer(&forged)).await;
    };
    let (answer, ()) = tokio::join!(api.post(&path, &signed), answering);
    assert_eq!((answer.status, &answer.body["envelope"]), (StatusCode::OK, &genuine));
}

/// A recording of Ada's camera that its gateway has alone.
fn kept(scene: &Scene, by: &Gateway) -> (Vec<u8>, Recording) {
    Epoch::new(scene.ours.org, scene.camera).record(by, &scene.ours.roster)
}

fn listed(ask: &Value, recordings: &[Recording]) -> Value {
    json!({ "type": "recordings", "ask": ask, "recordings": recordings, "more": false })
}

/// What a gateway is asked is answered by it alone, of its own cameras, and of
/// what was asked for; what else it lists is left out, and too much is nothing.
async fn recordings_of_another(scene: &mut Scene) {
    let (_, forged) = kept(scene, &scene.rogue);
    let (_, own) = kept(scene, &scene.gateway);
    let others_camera = scene.ours.bind_camera(&scene.world, scene.rogue.id).await;
    let (_, of_other) = Epoch::new(scene.ours.org, others_camera).record(&scene.gateway, &scene.ours.roster);
    let renamed = Recording { name: own.name.replace("main", "sub"), id: Hash([1; 32]), ..own.clone() };
    let other_time = Recording { started_at: now().plus_ms(86_400_000), id: Hash([2; 32]), ..own.clone() };
    let empty = Recording { bytes: 0, id: Hash([3; 32]), ..own.clone() };
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/cameras/{}/recordings?to={}", scene.camera, now().0 + 60_000);
    let answering = async {
        let asked = scene.link.question().await;
        assert_eq!((&asked["type"], &asked["camera"]), (&json!("list"), &json!(scene.camera)));
        scene.rogues.say(&listed(&asked["ask"], &[forged])).await;
        let state = Hash([7; 32]);
        scene.rogues.status(state).await;
        until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
        let all = [own.clone(), of_other, renamed, other_time, empty, own.clone()];
        scene.link.say(&listed(&asked["ask"], &all)).await;
    };
    let (page, ()) = tokio::join!(api.get(&path), answering);
    let ids: Vec<&Value> = page.body["recordings"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    assert_eq!((ids, &page.body["site_unreachable"]), (vec![&json!(own.id)], &json!(false)));
    let answering = async {
        let asked = scene.link.question().await;
        scene.link.say(&listed(&asked["ask"], &vec![own.clone(); LISTED_MAX + 1])).await;
    };
    let (page, ()) = tokio::join!(api.get(&path), answering);
    assert_eq!((&page.body["recordings"], &page.body["site_unreachable"]), (&json!([]), &json!(true)));
}

/// As above: what is drawn of it lies within what was asked for.
async fn timeline_of_another(scene: &mut Scene) {
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/cameras/{}/timeline?from=60000&to=100000&parts=4", scene.camera);
    let drawn = |ask: &Value, parts: &[Value]| json!({ "type": "timeline", "ask": ask, "parts": parts });
    let part = |part: u32, recorded_ms: u64| json!({ "part": part, "recorded_ms": recorded_ms, "bytes": 7 });
    let answering = async {
        let asked = scene.link.question().await;
        let what = json!({
            "type": "timeline", "ask": asked["ask"], "camera": scene.camera, "rendition": "main",
            "from": 60_000, "to": 100_000, "parts": 4,
        });
        assert_eq!(asked, what);
        scene.rogues.say(&drawn(&asked["ask"], &[part(0, 9)])).await;
        let state = Hash([7; 32]);
        scene.rogues.status(state).await;
        until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
        let all = [part(1, 5), part(1, u64::MAX), part(4, 9), part(u32::MAX, 9)];
        scene.link.say(&drawn(&asked["ask"], &all)).await;
    };
    let (answer, ()) = tokio::join!(api.get(&path), answering);
    let full = json!({ "part": 1, "recorded_ms": 10_000, "bytes": 14 });
    let whole = json!({ "part_ms": 10_000, "parts": [full], "gaps": [], "site_unreachable": false });
    assert_eq!(answer.body, whole);
    let answering = async {
        let asked = scene.link.question().await;
        scene.link.say(&drawn(&asked["ask"], &vec![part(0, 1); 5])).await;
    };
    let (answer, ()) = tokio::join!(api.get(&path), answering);
    assert_eq!((&answer.body["parts"], &answer.body["site_unreachable"]), (&json!([]), &json!(true)));
    for bad in ["from=5&to=5", "from=0&to=40000000000", "from=0&to=9&parts=0", "from=0&to=9&parts=1001"] {
        let answer = api.get(&format!("/api/v1/cameras/{}/timeline?{bad}", scene.camera)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

/// Another gateway opens no session of a camera, and another answer is none.
async fn session_of_another(scene: &mut Scene) {
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/cameras/{}/ptz", scene.camera);
    let question = json!({ "challenge": Hash([1; 32]) });
    let envelope = |letter: &str| json!({ "payloadType": "x", "payload": letter, "signatures": [] });
    let says =
        |kind: &str, ask: &Value, letter| json!({ "type": kind, "ask": ask, "envelope": envelope(letter) });
    let answering = async {
        let asked = scene.link.question().await;
        scene.rogues.say(&says("ptz_session", &asked["ask"], "AAAA")).await;
        let state = Hash([7; 32]);
        scene.rogues.status(state).await;
        until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
        scene.link.say(&says("ptz_session", &asked["ask"], "BBBB")).await;
        scene.link.say(&says("ptz_session", &asked["ask"], "CCCC")).await;
    };
    let (opened, ()) = tokio::join!(api.post(&path, &question), answering);
    assert_eq!(opened.body["envelope"], envelope("BBBB"));
    let answering = async {
        let asked = scene.link.question().await;
        scene.link.say(&json!({ "type": "ptz_done", "ask": asked["ask"], "refused": null })).await;
    };
    let (opened, ()) = tokio::join!(api.post(&path, &question), answering);
    assert_eq!(opened.code(), "gateway_silent");
}

/// Nor does it say that one was moved.
async fn done_by_another(scene: &mut Scene) {
    let (api, admin) = (scene.ours.api(&scene.world), &scene.ours.admin);
    let path = format!("/api/v1/cameras/{}/ptz/orders", scene.camera);
    let order = PtzOrder {
        org: scene.ours.org,
        gateway: scene.gateway.id,
        camera: scene.camera,
        session: Hash([1; 32]),
        number: 1,
        elapsed_ms: 0,
        movement: Movement::Home,
    };
    let envelope = json!({ "envelope": order.sign(admin.device, &admin.keys.sign) });
    let answering = async {
        let asked = scene.link.question().await;
        scene.rogues.say(&json!({ "type": "ptz_done", "ask": asked["ask"], "refused": null })).await;
        let state = Hash([7; 32]);
        scene.rogues.status(state).await;
        until(async || api.get("/api/v1/gateways").await.body.to_string().contains(&state.to_string())).await;
        let refused = json!({ "type": "taken" });
        scene.link.say(&json!({ "type": "ptz_done", "ask": asked["ask"], "refused": refused })).await;
    };
    let (done, ()) = tokio::join!(api.post(&path, &envelope), answering);
    assert_eq!(done.code(), "ptz_taken");
}

async fn failure_of_another(scene: &mut Scene) {
    let (bytes, own) = kept(scene, &scene.gateway);
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/recordings/{}?camera={}", own.id, own.camera);
    let answering = async {
        let asked = scene.link.question().await;
        assert_eq!((&asked["type"], &asked["recording"]), (&json!("find"), &json!(own.id)));
        let failed = |asked: &Value| json!({ "type": "ask_failed", "ask": asked["ask"], "reason": "no" });
        scene.rogues.say(&failed(&asked)).await;
        scene.link.say(&listed(&asked["ask"], std::slice::from_ref(&own))).await;
        let asked = scene.link.question().await;
        scene.rogues.say(&failed(&asked)).await;
        scene.link.piece(asked["ask"].as_u64().unwrap() as u32, &bytes).await;
    };
    let (read, ()) = tokio::join!(api.request(Method::GET, &path).send(), answering);
    assert_eq!(read.unwrap().bytes().await.unwrap(), bytes);
}

/// Pieces of another gateway are dropped; a longer one, a shorter one, and
/// another answer in its place are none.
async fn pieces_that_were_not_asked_for(scene: &mut Scene) {
    let (bytes, own) = kept(scene, &scene.gateway);
    let api = scene.ours.api(&scene.world);
    let path = format!("/api/v1/recordings/{}?camera={}", own.id, own.camera);
    scene.link.piece(4_000_000_000, &bytes).await;
    for (n, wrong) in [&bytes[1..], &[&bytes[..], &[0]].concat(), &[], &vec![0; 1 << 20]].iter().enumerate() {
        let answering = async {
            if n == 0 {
                let asked = scene.link.question().await;
                scene.link.say(&listed(&asked["ask"], std::slice::from_ref(&own))).await;
            }
            let asked = scene.link.question().await;
            let ask = asked["ask"].as_u64().unwrap() as u32;
            scene.rogues.piece(ask, &bytes).await;
            scene.link.piece(ask, wrong).await;
            // The number was answered: what is right comes too late.
            scene.link.piece(ask, &bytes).await;
        };
        let (read, ()) = tokio::join!(api.get(&path), answering);
        assert_eq!((read.status, read.code()), (StatusCode::BAD_GATEWAY, "gateway_refused"), "{n}");
    }
}

/// What only the cloud says, what nobody says, and what is too much, ends the
/// link, and the next gateway that is linked hears nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_says_what_it_may_not_is_cut() {
    let mut scene = Scene::new().await;
    let camera = scene.camera;
    let mut texts: Vec<String> = names::<ToGateway>()
        .iter()
        .map(|name| {
            let mut message = json!({ "type": name, "stream": 1, "camera": camera, "rendition": "main" });
            message["id"] = json!(1);
            message.to_string()
        })
        .chain(names::<ToViewer>().iter().map(|name| json!({ "type": name }).to_string()))
        .collect();
    let unknown_key = json!({ "type": "watch_failed", "stream": 1, "reason": "x", "camera": camera });
    texts.extend(["", "[]", "{}", r#"{"type":"become_administrator"}"#].map(str::to_owned));
    texts.push(unknown_key.to_string());
    texts.push(" ".repeat(LINK_FRAME_MAX + 1));
    let frames = [
        vec![],
        vec![1],
        vec![0, 0, 0, 0, 1, 0],
        vec![3, 0, 0, 0],
        vec![4, 0, 0, 0, 1, 0],
        vec![2; LINK_FRAME_MAX + 1],
    ];
    let messages = texts.into_iter().map(Message::text).chain(frames.into_iter().map(Message::binary));
    for message in messages {
        let mut link = scene.rogue.link().await;
        // A frame that is too long may be refused before the last of it is sent.
        let _ = link.send(message).await;
        link.ended().await;
    }
    scene.rogues = scene.rogue.link().await;
    scene.viewer_hears_the_own_gateway_alone().await;
}

/// Viewers have nothing to say: whoever says something is cut, be it what
/// gateways and the cloud say, and nobody hears it.
#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_says_anything_is_cut() {
    let mut scene = Scene::new().await;
    let header = [&[1], &(scene.stream as u32).to_be_bytes()[..], &scene.header(&scene.gateway)].concat();
    let gateways = names::<FromGateway>().into_iter().chain(names::<ToGateway>()).chain(names::<ToViewer>());
    let stream = scene.stream;
    let texts = gateways.map(|name| json!({ "type": name, "stream": stream, "reason": "x" }).to_string());
    let texts = texts.chain(["hello".to_owned(), " ".repeat(2 << 10)]).map(Message::text);
    let frames = [header, vec![2, 0, 0, 0, 1], vec![0; 2 << 10]].map(Message::binary);
    for message in texts.chain(frames) {
        let cookie = &scene.ours.admin.cookie;
        let mut loud = Viewer::open(&scene.world, cookie, scene.camera, &scene.world.origin()).await.unwrap();
        loud.say(message.clone()).await;
        assert_eq!(loud.next().await, Got::Nothing, "{message:?}");
    }
    scene.viewer_hears_the_own_gateway_alone().await;
}
