//! Recordings that were not forwarded: listed beside the store's, and read
//! through the gateway's link.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use model::wire::{PIECE_MAX, Recording};
use reqwest::{Method, StatusCode};
use seal::recording::Recording as Sealed;
use serde_json::{Value, json};

use crate::live::{Link, until};
use crate::support::footage::Epoch;
use crate::support::{Gateway, Organisation, World, on_both_databases};

on_both_databases!(
    what_is_on_the_gateway_alone_is_listed_and_read_by_ranges,
    what_is_forwarded_between_list_and_read_is_read_from_the_store,
    a_read_ends_with_its_link_and_the_next_one_goes_on,
    who_loses_the_right_is_cut_while_reading_through_the_link,
    who_may_not_play_a_camera_asks_its_gateway_nothing,
    a_viewer_that_reads_slowly_holds_up_nobody,
);

/// A camera's gateway as the cloud sees it: a link, and what is on its disk.
struct Site {
    ours: Organisation,
    gateway: Gateway,
    epoch: Epoch,
    disk: Vec<(Vec<u8>, Recording)>,
    /// Of the bytes that it was asked for, by recording.
    given: RefCell<BTreeMap<String, usize>>,
}

impl Site {
    async fn new(world: &World) -> Self {
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(world, &mut ours).await;
        let camera = ours.bind_camera(world, gateway.id).await;
        let epoch = Epoch::new(ours.org, camera);
        let grant = epoch.grant(&gateway, &ours.roster, &ours.admin);
        assert_eq!(gateway.hand_in(&[grant]).await, StatusCode::OK);
        Site { ours, gateway, epoch, disk: Vec::new(), given: RefCell::default() }
    }

    /// Recorded and not forwarded, of ten pictures.
    fn record(&mut self, picture_bytes: usize) -> (Vec<u8>, Recording) {
        let recorded = self.epoch.record_of(picture_bytes, &self.gateway, &self.ours.roster);
        self.disk.push(recorded.clone());
        recorded
    }

    /// As soon as the cloud asks this link.
    async fn link(&self, world: &World) -> Link {
        let link = self.gateway.link().await;
        let api = self.ours.api(world);
        until(async || api.get("/api/v1/gateways").await.body["gateways"][0]["connected"] == true).await;
        link
    }

    async fn forward(&self, (bytes, recording): (Vec<u8>, Recording)) {
        assert_eq!(self.gateway.upload(bytes, &recording).await, StatusCode::CREATED);
        assert_eq!(self.gateway.report(&recording).await, "confirmed");
    }

    fn path(&self, recording: &Recording) -> String {
        format!("/api/v1/recordings/{}?camera={}", recording.id, self.epoch.camera)
    }

    fn listing(&self) -> String {
        format!("/api/v1/cameras/{}/recordings", self.epoch.camera)
    }

    /// Answers one question as a gateway does.
    async fn answer(&self, link: &mut Link, asked: &Value) {
        let (ask, camera) = (&asked["ask"], json!(self.epoch.camera));
        let own = self.disk.iter().filter(|(_, recording)| json!(recording.camera) == asked["camera"]);
        let named = |recording: &Recording| json!(recording.id) == asked["recording"];
        let listed = |recordings: Vec<&Recording>| json!({ "type": "recordings", "ask": ask, "recordings": recordings, "more": false });
        assert_eq!(asked["camera"], camera);
        match asked["type"].as_str().unwrap() {
            "list" => link.say(&listed(own.map(|(_, recording)| recording).collect())).await,
            "find" => {
                let found = own.map(|(_, recording)| recording).filter(|recording| named(recording));
                link.say(&listed(found.collect())).await;
            }
            "read" => {
                let (first, last) = (asked["first"].as_u64().unwrap(), asked["last"].as_u64().unwrap());
                assert!(last - first < PIECE_MAX);
                let (bytes, _) = own.into_iter().find(|(_, recording)| named(recording)).unwrap();
                let piece = &bytes[first as usize..=last as usize];
                let recording = asked["recording"].as_str().unwrap().to_owned();
                *self.given.borrow_mut().entry(recording).or_default() += piece.len();
                link.piece(ask.as_u64().unwrap() as u32, piece).await;
            }
            other => panic!("{other}"),
        }
    }

    /// Answers so many questions about bytes, and everything else.
    async fn answer_pieces(&self, link: &mut Link, mut count: usize) {
        while count > 0 {
            let asked = link.question().await;
            count -= usize::from(asked["type"] == "read");
            self.answer(link, &asked).await;
        }
    }

    /// Does something with a gateway that answers meanwhile.
    async fn while_linked<T>(&self, link: &mut Link, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            () = self.answer_pieces(link, usize::MAX) => unreachable!("for ever"),
        }
    }
}

async fn what_is_on_the_gateway_alone_is_listed_and_read_by_ranges(world: World) {
    let mut site = Site::new(&world).await;
    let forwarded = site.record(1_000);
    site.forward(forwarded.clone()).await;
    let (bytes, recording) = site.record(40_000);
    assert!(bytes.len() as u64 > 5 * PIECE_MAX);
    let api = site.ours.api(&world);
    let path = site.path(&recording);

    let away = api.get(&site.listing()).await.body;
    assert_eq!((away["recordings"].as_array().unwrap().len(), &away["site_unreachable"]), (1, &json!(true)));
    let refused = api.get(&path).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "gateway_offline"));
    let nowhere = format!("/api/v1/recordings/{}", recording.id);
    assert_eq!(api.get(&nowhere).await.status, StatusCode::NOT_FOUND, "its camera is not named");

    let mut link = site.link(&world).await;
    site.while_linked(&mut link, async {
        // The gateway lists also what was forwarded: it stands there once.
        let page = api.get(&site.listing()).await.body;
        let found: Vec<_> =
            page["recordings"].as_array().unwrap().iter().map(|r| (&r["id"], &r["on_site"])).collect();
        assert_eq!(found.len(), 2, "{page}");
        assert!(found.contains(&(&json!(forwarded.1.id), &json!(false))), "{page}");
        assert!(found.contains(&(&json!(recording.id), &json!(true))), "{page}");
        assert_eq!((&page["site_unreachable"], &page["more_from"]), (&json!(false), &json!(null)));

        let head = api.request(Method::HEAD, &path).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], bytes.len().to_string());
        let whole = api.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(whole.headers()["content-type"], "application/vnd.lenskeep.recording");
        let whole = whole.bytes().await.unwrap();
        assert_eq!(whole, bytes);
        Sealed::parse(&whole).unwrap().verify(&site.ours.roster).unwrap();
        let read = async |range: &str| {
            let response = api.request(Method::GET, &path).header("range", range).send().await.unwrap();
            (response.status(), response.headers().clone(), response.bytes().await.unwrap())
        };
        let (status, headers, part) = read("bytes=65000-140000").await;
        assert_eq!((status, &part[..]), (StatusCode::PARTIAL_CONTENT, &bytes[65_000..=140_000]));
        assert_eq!(headers["content-range"], format!("bytes 65000-140000/{}", bytes.len()));
        let (_, _, trailer) = read("bytes=-16").await;
        assert_eq!(&trailer[..], &bytes[bytes.len() - 16..]);
        let (status, headers, _) = read(&format!("bytes={}-", bytes.len())).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(headers["content-range"], format!("bytes */{}", bytes.len()));
        let missing = format!("/api/v1/recordings/{}?camera={}", "0".repeat(64), recording.camera);
        assert_eq!(api.get(&missing).await.status, StatusCode::NOT_FOUND);
    })
    .await;
    // One entry for all these reads, and none for what is nowhere.
    let history = api.get("/api/v1/history?action=playback").await.body;
    let entries = history["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{history}");
    assert!(entries[0]["resource"].as_str().unwrap().contains(&recording.id.to_string()), "{history}");
}

async fn what_is_forwarded_between_list_and_read_is_read_from_the_store(world: World) {
    let mut site = Site::new(&world).await;
    let (bytes, recording) = site.record(40_000);
    let api = site.ours.api(&world);
    let mut link = site.link(&world).await;
    let page = site.while_linked(&mut link, api.get(&site.listing())).await.body;
    assert_eq!(page["recordings"][0]["on_site"], true);
    site.forward((bytes.clone(), recording.clone())).await;
    // The gateway is asked nothing now.
    let read = api.request(Method::GET, &site.path(&recording)).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), bytes);
    let page = site.while_linked(&mut link, api.get(&site.listing())).await.body;
    assert_eq!(
        (&page["recordings"][0]["on_site"], page["recordings"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
    // Of another camera it is not there.
    let other = format!("/api/v1/recordings/{}?camera={}", recording.id, "cam_".to_owned() + &"0".repeat(32));
    assert_eq!(api.get(&other).await.status, StatusCode::NOT_FOUND);
}

async fn a_read_ends_with_its_link_and_the_next_one_goes_on(world: World) {
    let mut site = Site::new(&world).await;
    let (bytes, recording) = site.record(40_000);
    let api = site.ours.api(&world);
    let path = site.path(&recording);
    let mut link = site.link(&world).await;
    let (response, ()) =
        tokio::join!(api.request(Method::GET, &path).send(), site.answer_pieces(&mut link, 2));
    drop(link);
    let mut parts = response.unwrap().bytes_stream();
    let mut had = Vec::new();
    let ended = loop {
        match parts.next().await {
            Some(Ok(part)) => had.extend_from_slice(&part),
            other => break other,
        }
    };
    assert!(matches!(ended, Some(Err(_))), "what broke off does not look whole");
    assert!(had.len() < bytes.len() && bytes.starts_with(&had));
    assert_eq!(api.get(&path).await.code(), "gateway_offline");

    let mut link = site.link(&world).await;
    let rest = api.request(Method::GET, &path).header("range", format!("bytes={}-", had.len()));
    let rest = site.while_linked(&mut link, async { rest.send().await.unwrap().bytes().await }).await;
    had.extend_from_slice(&rest.unwrap());
    assert_eq!(had, bytes);
}

async fn who_loses_the_right_is_cut_while_reading_through_the_link(world: World) {
    let mut site = Site::new(&world).await;
    let (bytes, recording) = site.record(400_000);
    let api = site.ours.api(&world);
    let path = site.path(&recording);
    let mut link = site.link(&world).await;
    let (response, ()) =
        tokio::join!(api.request(Method::GET, &path).send(), site.answer_pieces(&mut link, 2));
    let mut parts = response.unwrap().bytes_stream();
    let mut had = parts.next().await.unwrap().unwrap().len();
    assert_eq!(api.post("/api/v1/logout", &json!({})).await.status, StatusCode::NO_CONTENT);
    // What was on its way comes; then nothing, though the gateway gives it.
    let ended = site
        .while_linked(&mut link, async {
            loop {
                match parts.next().await {
                    Some(Ok(part)) => had += part.len(),
                    other => break other,
                }
            }
        })
        .await;
    assert!(matches!(ended, Some(Err(_))));
    assert!((had as u64) <= 3 * PIECE_MAX && had < bytes.len(), "{had} bytes");
}

async fn who_may_not_play_a_camera_asks_its_gateway_nothing(world: World) {
    let mut site = Site::new(&world).await;
    let (_, recording) = site.record(1_000);
    let ben = site.ours.add_person(&world, None).await;
    let mut link = site.link(&world).await;
    let bens = world.as_person(&ben.cookie);
    for path in [site.path(&recording), site.listing()] {
        assert_eq!(bens.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let other = world.found_another().await;
    assert_eq!(other.api(&world).get(&site.path(&recording)).await.status, StatusCode::NOT_FOUND);
    let asked = tokio::time::timeout(Duration::from_millis(500), link.text()).await;
    assert!(asked.is_err(), "{asked:?}");
}

/// Of what nobody takes, little is asked for, and others read on.
async fn a_viewer_that_reads_slowly_holds_up_nobody(world: World) {
    let mut site = Site::new(&world).await;
    let (large, slow) = site.record(5_000_000);
    let (bytes, recording) = site.record(40_000);
    let api = site.ours.api(&world);
    let mut link = site.link(&world).await;
    site.while_linked(&mut link, async {
        let stalled = api.request(Method::GET, &site.path(&slow)).send().await.unwrap();
        for _ in 0..5 {
            let read = api.request(Method::GET, &site.path(&recording)).send().await.unwrap();
            assert_eq!(read.bytes().await.unwrap(), bytes);
        }
        // No more than sockets hold on the way.
        let given = site.given.borrow()[&slow.id.to_string()];
        assert!(given < large.len() / 2, "{given} bytes were asked for, and nobody took them");
        let whole = stalled.bytes().await.unwrap();
        assert!(whole == large, "in the end it has all of it");
    })
    .await;
}
