//! Footage for somebody without an account: what a link opens, how long, and
//! what the server and thieves get of it.

use std::collections::BTreeSet;
use std::path::Path;

use model::wire::Envelope;
use model::{CameraId, Hash, ShareId, Timestamp};
use reqwest::{Method, StatusCode};
use seal::action::{Action, SHARE_STRETCH_MS_MAX, SignedAction};
use seal::capsule::{
    CapsuleKey, DESCRIPTION, Description, FILES_MAX, File, FileKind, PIECE_BYTES, PIECE_SEALED_BYTES_MAX,
    Piece,
};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::rules::assign;
use crate::support::world::{Answer, Api, Organisation, Person};
use crate::support::{Gateway, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    a_link_opens_what_was_shared_and_the_server_reads_none_of_it,
    a_link_ends_by_its_time_its_count_and_by_hand,
    a_link_ends_with_the_access_of_whoever_made_it,
    whoever_has_half_a_link_gets_nothing,
    nobody_shares_what_they_may_not,
    pieces_come_once_and_within_bounds,
    the_last_opening_goes_to_one,
    what_is_over_is_removed_from_the_disk,
);

const SECRET: &[u8] = b"a picture that only the link opens";

/// A link, as its maker has it.
struct Link {
    share: ShareId,
    key: CapsuleKey,
}

impl Link {
    fn new() -> Self {
        Link { share: ShareId::from_random(fresh_id()), key: CapsuleKey::from_random(fresh()) }
    }

    fn action(&self, camera: CameraId, until: Timestamp, openings: Option<u32>) -> Action {
        Action::Share {
            share: self.share,
            cameras: BTreeSet::from([camera]),
            from: Timestamp(1_000),
            to: Timestamp(61_000),
            access: seal::sha256(&self.key.access(self.share).0),
            until,
            openings,
            reason: None,
        }
    }

    fn path(&self) -> String {
        format!("/api/v1/shares/{}", self.share)
    }

    async fn put(&self, api: &Api<'_>, piece: Piece, plain: &[u8]) -> Answer {
        put(api, self.share, piece, self.key.seal(self.share, piece, plain)).await
    }

    async fn whole(&self, api: &Api<'_>, pieces: u64) -> Answer {
        api.post(&format!("{}/whole", self.path()), &json!({ "pieces": pieces })).await
    }

    /// A film of two pieces, and its description.
    async fn filled(&self, api: &Api<'_>) {
        let film = film();
        for (number, part) in (0..).zip(film.chunks(PIECE_BYTES)) {
            assert_eq!(self.put(api, Piece { file: 1, number }, part).await.status, StatusCode::NO_CONTENT);
        }
        let padded = description(film.len()).padded();
        assert_eq!(self.put(api, DESCRIPTION, &padded).await.status, StatusCode::NO_CONTENT);
        assert_eq!(self.whole(api, 3).await.status, StatusCode::NO_CONTENT);
    }

    async fn open(&self, world: &World) -> Answer {
        self.open_with(world, self.key.access(self.share)).await
    }

    async fn open_with(&self, world: &World, access: Hash) -> Answer {
        let path = format!("/api/v1/shared/{}/openings", self.share);
        world.anyone().post(&path, &json!({ "access": access })).await
    }
}

fn film() -> Vec<u8> {
    SECRET.repeat(PIECE_BYTES / SECRET.len() + 5)
}

fn description(bytes: usize) -> Description {
    let file = File {
        kind: FileKind::Film,
        name: "yard.mp4".into(),
        camera: "Yard".into(),
        from: Timestamp(1_000),
        to: Timestamp(61_000),
        bytes: bytes as u64,
    };
    Description { note: Some("for the police".into()), zone: "Europe/Berlin".into(), files: vec![file] }
}

fn signed(organisation: &Organisation, action: Action, by: &Person) -> Envelope {
    let signed = SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: organisation.roster.head().1,
        action,
    };
    signed.sign(by.device, &by.keys.sign)
}

async fn order(api: &Api<'_>, envelope: &Envelope) -> Answer {
    api.post("/api/v1/shares", &json!({ "envelope": envelope })).await
}

async fn put(api: &Api<'_>, share: ShareId, Piece { file, number }: Piece, sealed: Vec<u8>) -> Answer {
    let path = format!("/api/v1/shares/{share}/files/{file}/pieces/{number}");
    let request = api.request(Method::PUT, &path).header("x-lenskeep", "1").body(sealed);
    Answer::of(request.send().await.unwrap()).await
}

/// As whoever has the link asks: without cookie or proof.
async fn fetch(
    world: &World,
    share: ShareId,
    token: &Value,
    Piece { file, number }: Piece,
) -> (StatusCode, Vec<u8>) {
    let path = format!("/api/v1/shared/{share}/files/{file}/pieces/{number}");
    let token = token.as_str().unwrap_or_default();
    let request =
        world.anyone().without_proof(Method::GET, &path).header("authorization", format!("Bearer {token}"));
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

/// Its time ends now.
async fn is_over(world: &World, link: &Link) {
    let sql = format!("UPDATE shares SET until = {} WHERE share = '{}'", now().0, link.share);
    assert_eq!(world.sql(&sql).await, 1);
}

fn tomorrow() -> Timestamp {
    now().plus_ms(Timestamp::DAY)
}

async fn site(world: &World) -> (Organisation, CameraId) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(world, &mut ours).await;
    let camera = ours.bind_camera(world, gateway.id).await;
    (ours, camera)
}

/// By the founder, of that camera.
async fn shared(
    world: &World,
    ours: &Organisation,
    camera: CameraId,
    until: Timestamp,
    openings: Option<u32>,
) -> Link {
    let link = Link::new();
    let envelope = signed(ours, link.action(camera, until, openings), &ours.admin);
    let ordered = order(&ours.api(world), &envelope).await;
    assert_eq!(ordered.status, StatusCode::NO_CONTENT, "{}", ordered.body);
    link.filled(&ours.api(world)).await;
    link
}

fn files_under(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_under(&path, found);
        } else {
            found.push(std::fs::read(path).unwrap());
        }
    }
}

async fn a_link_opens_what_was_shared_and_the_server_reads_none_of_it(world: World) {
    let (ours, camera) = site(&world).await;
    let link = Link::new();
    let envelope = signed(&ours, link.action(camera, tomorrow(), None), &ours.admin);
    let api = ours.api(&world);
    assert_eq!(order(&api, &envelope).await.status, StatusCode::NO_CONTENT);
    assert_eq!(link.open(&world).await.code(), "token_refused", "nothing is there yet");
    let listed = async || api.get("/api/v1/shares").await.body["shares"][0].clone();
    assert_eq!(listed().await["state"], "making");
    link.filled(&api).await;

    let opened = link.open(&world).await;
    assert_eq!((opened.status, &opened.body["openings_left"]), (StatusCode::OK, &Value::Null));
    let token = &opened.body["token"];
    let (status, sealed) = fetch(&world, link.share, token, DESCRIPTION).await;
    assert_eq!(status, StatusCode::OK);
    let read = link.key.open_description(link.share, &sealed).unwrap();
    assert_eq!(read, description(film().len()));
    let mut plain = Vec::new();
    for number in 0..read.files[0].pieces() {
        let piece = Piece { file: 1, number };
        let (_, sealed) = fetch(&world, link.share, token, piece).await;
        plain.extend(link.key.open(link.share, piece, &sealed).unwrap());
    }
    assert!(plain == film());

    let entry = listed().await;
    assert_eq!(
        (&entry["state"], &entry["opened"], &entry["id"]),
        (&json!("open"), &json!(1), &json!(link.share))
    );
    let history = api.get("/api/v1/history").await.body["entries"].clone();
    let of = |action: &str| {
        history.as_array().unwrap().iter().find(|entry| entry["action"] == action).cloned().unwrap()
    };
    assert_eq!(of("share")["resource"], json!(format!("{} {camera} 1000-61000", link.share)));
    assert!(of("share")["signature"].is_string());
    assert_eq!(
        (&of("open_share")["actor"], &of("open_share")["resource"]),
        (&json!(link.share), &json!(link.share))
    );

    // All that the server has: neither pictures nor words nor what would open them.
    let mut all = Vec::new();
    files_under(&world.config.data, &mut all);
    assert!(all.len() >= 3);
    let key = link.key.to_link();
    for secret in [SECRET, b"for the police", b"yard.mp4", key.as_bytes()] {
        assert!(!all.iter().any(|file| file.windows(secret.len()).any(|window| window == secret)));
    }
}

async fn a_link_ends_by_its_time_its_count_and_by_hand(world: World) {
    let (mut ours, camera) = site(&world).await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let twice = shared(&world, &ours, camera, tomorrow(), Some(2)).await;
    assert_eq!(twice.open(&world).await.body["openings_left"], 1);
    let last = twice.open(&world).await;
    assert_eq!(last.body["openings_left"], 0);
    let third = twice.open(&world).await;
    assert_eq!((third.status, third.code()), (StatusCode::GONE, "share_used_up"));
    // Whoever was counted goes on reading.
    assert_eq!(fetch(&world, twice.share, &last.body["token"], DESCRIPTION).await.0, StatusCode::OK);

    let short = shared(&world, &ours, camera, tomorrow(), None).await;
    let opened = short.open(&world).await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.body);
    is_over(&world, &short).await;
    assert_eq!(short.open(&world).await.code(), "share_over");
    assert_eq!(fetch(&world, short.share, &opened.body["token"], DESCRIPTION).await.0, StatusCode::GONE);

    let link = shared(&world, &ours, camera, tomorrow(), None).await;
    let opened = link.open(&world).await;
    let folder = world.config.data.join("shares").join(link.share.to_string());
    assert!(folder.exists());
    // Not by somebody else, nor by another organisation's administrator.
    assert_eq!(world.as_person(&ben.cookie).delete(&link.path()).await.status, StatusCode::NOT_FOUND);
    let zoe = world.found_another().await;
    assert_eq!(zoe.api(&world).delete(&link.path()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ours.api(&world).delete(&link.path()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(link.open(&world).await.code(), "share_withdrawn");
    assert_eq!(
        fetch(&world, link.share, &opened.body["token"], DESCRIPTION).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert!(!folder.exists());
    let states: Vec<_> = ours.api(&world).get("/api/v1/shares").await.body["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["used_up", "withdrawn", "over"]);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/shares").await.body, json!({ "shares": [] }));
}

async fn a_link_ends_with_the_access_of_whoever_made_it(world: World) {
    let (mut ours, camera) = site(&world).await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let link = Link::new();
    let bens = world.as_person(&ben.cookie);
    let envelope = signed(&ours, link.action(camera, tomorrow(), None), &ben);
    assert_eq!(order(&bens, &envelope).await.status, StatusCode::NO_CONTENT);
    link.filled(&bens).await;
    let opened = link.open(&world).await;
    assert_eq!(fetch(&world, link.share, &opened.body["token"], DESCRIPTION).await.0, StatusCode::OK);
    // Administrators see it, and may end it.
    let listed = ours.api(&world).get("/api/v1/shares").await.body["shares"][0].clone();
    assert_eq!((&listed["person"], &listed["id"]), (&json!(ben.id), &json!(link.share)));

    let nothing = Scope::Cameras { cameras: BTreeSet::new() };
    ours.append(&world, Statement::SetAccess { person: ben.id, scope: nothing, audio: false, until: None })
        .await;
    assert_eq!(fetch(&world, link.share, &opened.body["token"], DESCRIPTION).await.0, StatusCode::GONE);
    assert_eq!(link.open(&world).await.code(), "share_withdrawn");
    // It does not come back with the access.
    let everything = Statement::SetAccess { person: ben.id, scope: Scope::All, audio: false, until: None };
    ours.append(&world, everything).await;
    assert_eq!(link.open(&world).await.code(), "share_withdrawn");
    assert_eq!(ours.api(&world).get("/api/v1/shares").await.body["shares"][0]["state"], "withdrawn");

    let mut links = Vec::new();
    for _ in 0..2 {
        let link = Link::new();
        let envelope = signed(&ours, link.action(camera, tomorrow(), None), &ben);
        assert_eq!(order(&bens, &envelope).await.status, StatusCode::NO_CONTENT);
        link.filled(&bens).await;
        links.push(link);
    }
    let [shut_out, of_device] = [&links[0], &links[1]];
    let (org, ben_id) = (ours.org, ben.id);
    for sql in [
        format!("DELETE FROM people WHERE person = '{ben_id}'"),
        format!(
            "INSERT INTO people (org, person, name, created_at, disabled_at) VALUES ('{org}', '{ben_id}', 'Ben', 1, 1)"
        ),
    ] {
        world.sql(&sql).await;
    }
    assert_eq!(shut_out.open(&world).await.code(), "share_withdrawn", "by a directory");
    assert_eq!(
        world.sql(&format!("UPDATE people SET disabled_at = NULL WHERE person = '{ben_id}'")).await,
        1
    );
    assert_eq!(of_device.open(&world).await.status, StatusCode::OK);
    ours.append(&world, Statement::RevokeDevice { device: ben.device }).await;
    assert_eq!(of_device.open(&world).await.code(), "share_withdrawn", "of somebody without a device");
}

async fn whoever_has_half_a_link_gets_nothing(world: World) {
    let (ours, camera) = site(&world).await;
    let link = shared(&world, &ours, camera, tomorrow(), Some(1)).await;
    let other = shared(&world, &ours, camera, tomorrow(), None).await;
    let said = async |link: &Link, access| {
        let answer = link.open_with(&world, access).await;
        let error = &answer.body["error"];
        (answer.status, answer.code().to_owned(), error["message"].clone(), error["remedy"].clone())
    };
    let refused = said(&link, Hash(fresh())).await;
    assert_eq!((refused.0, refused.1.as_str()), (StatusCode::UNAUTHORIZED, "token_refused"));
    // What the server keeps is no way in, nor is another link; nor does anybody learn which links there are.
    let kept = seal::sha256(&link.key.access(link.share).0);
    for access in [kept, other.key.access(other.share), other.key.access(link.share)] {
        assert_eq!(said(&link, access).await, refused);
    }
    assert_eq!(said(&Link::new(), Hash(fresh())).await, refused);
    let opening = other.open(&world).await;
    for token in [&json!("0".repeat(64)), &json!(""), &opening.body["token"]] {
        let (status, body) = fetch(&world, link.share, token, DESCRIPTION).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", String::from_utf8_lossy(&body));
    }
    // A session is no link.
    let path = format!("/api/v1/shared/{}/files/0/pieces/0", link.share);
    assert_eq!(ours.api(&world).get(&path).await.status, StatusCode::UNAUTHORIZED);
    // None of it was counted: the one opening is left.
    assert_eq!(link.open(&world).await.status, StatusCode::OK);
}

async fn nobody_shares_what_they_may_not(world: World) {
    let (mut ours, camera) = site(&world).await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let cem = ours.add_person(&world, Some(Scope::Cameras { cameras: BTreeSet::new() })).await;
    let link = Link::new();
    let action = || link.action(camera, tomorrow(), None);
    let (bens, cems) = (world.as_person(&ben.cookie), world.as_person(&cem.cookie));
    assert_eq!(order(&cems, &signed(&ours, action(), &cem)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        order(&bens, &signed(&ours, action(), &ours.admin)).await.code(),
        "invalid",
        "of somebody else"
    );
    let viewer = assign(&ours, &world, ben.id, (&[], &["viewer all"])).await;
    assert_eq!(viewer.status, StatusCode::NO_CONTENT);
    assert_eq!(order(&bens, &signed(&ours, action(), &ben)).await.code(), "role");

    let api = ours.api(&world);
    let wrong: [fn(&mut Action); 6] = [
        |action| with(action, |share| *share.to = Timestamp(1_000 + SHARE_STRETCH_MS_MAX + 1)),
        |action| with(action, |share| *share.to = Timestamp(1)),
        |action| with(action, |share| *share.until = now()),
        |action| with(action, |share| *share.until = now().plus_ms(32 * Timestamp::DAY)),
        |action| with(action, |share| *share.openings = Some(0)),
        |action| with(action, |share| share.cameras.clear()),
    ];
    for (n, change) in wrong.into_iter().enumerate() {
        let mut action = action();
        change(&mut action);
        assert_eq!(order(&api, &signed(&ours, action, &ours.admin)).await.code(), "invalid", "{n}");
    }
    let export = Action::Export { camera, from: Timestamp(1), to: Timestamp(2), reason: None };
    assert_eq!(order(&api, &signed(&ours, export, &ours.admin)).await.code(), "invalid");
    let elsewhere =
        api.post("/api/v1/actions", &json!({ "envelope": signed(&ours, action(), &ours.admin) })).await;
    assert_eq!(elsewhere.code(), "invalid");
    let envelope = signed(&ours, action(), &ours.admin);
    assert_eq!(order(&api, &envelope).await.status, StatusCode::NO_CONTENT);
    assert_eq!(order(&api, &envelope).await.code(), "replayed");
    assert_eq!(order(&api, &signed(&ours, action(), &ours.admin)).await.code(), "exists");

    let world = world.restarted_with(|config| config.shares.gibibytes_max = 0).await;
    let off =
        order(&ours.api(&world), &signed(&ours, Link::new().action(camera, tomorrow(), None), &ours.admin))
            .await;
    assert_eq!(off.code(), "sharing_is_off");
}

struct Bounds<'a> {
    cameras: &'a mut BTreeSet<CameraId>,
    to: &'a mut Timestamp,
    until: &'a mut Timestamp,
    openings: &'a mut Option<u32>,
}

fn with(action: &mut Action, change: impl FnOnce(Bounds<'_>)) {
    let Action::Share { cameras, to, until, openings, .. } = action else { panic!("a share") };
    change(Bounds { cameras, to, until, openings });
}

async fn pieces_come_once_and_within_bounds(world: World) {
    let (mut ours, camera) = site(&world).await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let link = Link::new();
    let api = ours.api(&world);
    let first = Piece { file: 1, number: 0 };
    assert_eq!(link.put(&api, first, b"early").await.status, StatusCode::NOT_FOUND, "nobody ordered it");
    let envelope = signed(&ours, link.action(camera, tomorrow(), None), &ours.admin);
    assert_eq!(order(&api, &envelope).await.status, StatusCode::NO_CONTENT);
    let bytes = async || api.get("/api/v1/shares").await.body["shares"][0]["bytes"].clone();

    assert_eq!(link.put(&api, first, b"one").await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        link.put(&api, first, b"one").await.status,
        StatusCode::NO_CONTENT,
        "sent again after a lost answer"
    );
    assert_eq!(bytes().await, 19);
    assert_eq!(link.put(&api, first, b"two").await.code(), "exists");
    let beyond = [
        Piece { file: FILES_MAX + 1, number: 0 },
        Piece { file: 1, number: 1 << 10 },
        Piece { file: 0, number: 1 },
    ];
    for piece in beyond {
        assert_eq!(link.put(&api, piece, b"x").await.code(), "invalid", "{piece:?}");
    }
    let next = Piece { file: 1, number: 1 };
    assert_eq!(put(&api, link.share, next, Vec::new()).await.code(), "invalid");
    let large = vec![0; PIECE_SEALED_BYTES_MAX + 1];
    assert_eq!(put(&api, link.share, next, large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let bens = world.as_person(&ben.cookie);
    assert_eq!(link.put(&bens, next, b"x").await.status, StatusCode::NOT_FOUND, "somebody else's");

    assert_eq!(link.whole(&api, 1).await.code(), "pieces_missing", "no description");
    assert_eq!(link.put(&api, DESCRIPTION, b"x").await.status, StatusCode::NO_CONTENT);
    assert_eq!(link.whole(&api, 3).await.code(), "pieces_missing");
    assert_eq!(link.whole(&bens, 2).await.status, StatusCode::NOT_FOUND);
    assert_eq!(link.whole(&api, 2).await.status, StatusCode::NO_CONTENT);
    assert_eq!(link.whole(&api, 2).await.status, StatusCode::NO_CONTENT, "asked again after a lost answer");
    assert_eq!(link.put(&api, next, b"late").await.code(), "no_room", "a whole capsule does not change");

    // What could not be written takes no room.
    let broken = Link::new();
    let envelope = signed(&ours, broken.action(camera, tomorrow(), None), &ours.admin);
    assert_eq!(order(&api, &envelope).await.status, StatusCode::NO_CONTENT);
    let in_the_way = world.config.data.join("shares").join(broken.share.to_string());
    std::fs::write(&in_the_way, b"").unwrap();
    assert_eq!(broken.put(&api, first, b"x").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(bytes().await, 0);
    std::fs::remove_file(&in_the_way).unwrap();
    assert_eq!(broken.put(&api, first, b"x").await.status, StatusCode::NO_CONTENT);
    assert_eq!(bytes().await, 17);
    assert_eq!(api.delete(&broken.path()).await.status, StatusCode::NO_CONTENT);

    // What the organisation has room for.
    let full = format!("UPDATE shares SET bytes = 21474836480 WHERE share = '{}'", link.share);
    assert_eq!(world.sql(&full).await, 1);
    let more = Link::new();
    let envelope = signed(&ours, more.action(camera, tomorrow(), None), &ours.admin);
    assert_eq!(order(&api, &envelope).await.status, StatusCode::NO_CONTENT);
    assert_eq!(more.put(&api, first, b"x").await.code(), "no_room");
    assert_eq!(ours.api(&world).delete(&link.path()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(more.put(&api, first, b"x").await.status, StatusCode::NO_CONTENT, "there is room again");
}

async fn the_last_opening_goes_to_one(world: World) {
    let (ours, camera) = site(&world).await;
    let link = shared(&world, &ours, camera, tomorrow(), Some(1)).await;
    let answers = futures_util::future::join_all((0..8).map(|_| link.open(&world))).await;
    let opened = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let used_up = answers.iter().filter(|answer| answer.code() == "share_used_up").count();
    assert_eq!((opened, used_up), (1, 7));
    let history = ours.api(&world).get("/api/v1/history?action=open_share").await.body["entries"].clone();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    assert_eq!(ours.api(&world).get("/api/v1/shares").await.body["shares"][0]["opened"], 1);
}

async fn what_is_over_is_removed_from_the_disk(world: World) {
    let (ours, camera) = site(&world).await;
    let over = shared(&world, &ours, camera, tomorrow(), None).await;
    let once = shared(&world, &ours, camera, tomorrow(), Some(1)).await;
    let reading = shared(&world, &ours, camera, tomorrow(), Some(1)).await;
    let lasts = shared(&world, &ours, camera, tomorrow(), None).await;
    let failed = Link::new();
    let envelope = signed(&ours, failed.action(camera, tomorrow(), None), &ours.admin);
    assert_eq!(order(&ours.api(&world), &envelope).await.status, StatusCode::NO_CONTENT);
    let first = Piece { file: 1, number: 0 };
    assert_eq!(failed.put(&ours.api(&world), first, b"x").await.status, StatusCode::NO_CONTENT);
    is_over(&world, &over).await;
    assert_eq!(once.open(&world).await.status, StatusCode::OK);
    let opened = reading.open(&world).await;
    let six_hours = 6 * Timestamp::HOUR;
    for sql in [
        format!("UPDATE share_openings SET ends_at = {} WHERE share = '{}'", now().0, once.share),
        format!("UPDATE shares SET made_at = made_at - {six_hours} WHERE share = '{}'", failed.share),
    ] {
        assert_eq!(world.sql(&sql).await, 1);
    }
    // What this server did not make is not its to remove, nor is what another one may be receiving.
    let folder = |world: &World, link: &Link| world.config.data.join("shares").join(link.share.to_string());
    let foreign = folder(&world, &Link::new());
    let incoming = world.config.data.join("shares/incoming");
    let (paper, young) = (incoming.join("paper.pdf"), incoming.join(Hash(fresh()).to_string()));
    std::fs::create_dir_all(&foreign).unwrap();
    std::fs::write(&paper, b"").unwrap();
    std::fs::write(&young, b"").unwrap();
    let world = world.restarted().await;
    let gone = || [&over, &once, &failed].iter().all(|link| !folder(&world, link).exists());
    crate::live::until(async || gone()).await;
    assert!(foreign.exists() && paper.exists() && young.exists());
    assert!(folder(&world, &reading).exists(), "whoever opened it last is still reading");
    assert_eq!(fetch(&world, reading.share, &opened.body["token"], DESCRIPTION).await.0, StatusCode::OK);
    assert_eq!(lasts.open(&world).await.status, StatusCode::OK);
    assert_eq!(over.open(&world).await.code(), "share_over", "it is still known what became of it");
}

/// As with a full disk: nothing can be added to the history.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_history_no_link_opens_and_each_can_be_withdrawn() {
    let world = World::on_sqlite().await;
    let (ours, camera) = site(&world).await;
    let link = shared(&world, &ours, camera, tomorrow(), Some(1)).await;
    world
        .sql("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .await;
    let api = ours.api(&world);
    let another = signed(&ours, Link::new().action(camera, tomorrow(), None), &ours.admin);
    for refused in [link.open(&world).await, order(&api, &another).await] {
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "history_unavailable")
        );
    }
    let shares = api.get("/api/v1/shares").await.body["shares"].clone();
    assert_eq!(
        (shares.as_array().unwrap().len(), &shares[0]["opened"]),
        (1, &json!(0)),
        "nothing was counted"
    );
    assert_eq!(api.delete(&link.path()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(link.open(&world).await.code(), "share_withdrawn");
    let journal = std::fs::read_to_string(world.config.data.join("history-journal.jsonl")).unwrap();
    assert!(journal.contains("\"end_share\""), "{journal}");
}
