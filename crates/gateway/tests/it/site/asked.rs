//! What the cloud asks of the disk over the link, also a cloud in somebody
//! else's hands.

use std::time::Duration;

use model::timeline::TimelinePart;
use model::wire::{FRAME_CHUNK, FRAME_PIECE, FromGateway, PIECE_MAX, Recording, ToGateway};
use model::{CameraId, Hash, Rendition, Timestamp};
use seal::recording::Recording as Sealed;
use seal::sha256;

use super::{Site, until};

/// A store that takes nothing: what is recorded is on the gateway alone.
const NEVER: u16 = 503;

fn ask_of(answer: &FromGateway) -> u32 {
    match answer {
        FromGateway::Recordings { ask, .. }
        | FromGateway::Timeline { ask, .. }
        | FromGateway::AskFailed { ask, .. } => *ask,
        other => panic!("{other:?}"),
    }
}

impl Site {
    async fn shut_off_from_the_store() -> Self {
        let site = Site::enrolled().await;
        site.cloud.script(|script| script.put_answers = vec![NEVER; 10_000].into());
        site.add_camera().await;
        site
    }

    async fn answer(&self, message: ToGateway, ask: u32) -> FromGateway {
        self.cloud.send(message);
        until("it answers", || self.cloud.answers().iter().any(|answer| ask_of(answer) == ask)).await;
        self.cloud.answers().into_iter().find(|answer| ask_of(answer) == ask).unwrap()
    }

    async fn list(&self, ask: u32, camera: CameraId, rendition: Rendition, from: u64) -> Vec<Recording> {
        let (from, to) = (Timestamp(from), Timestamp(u64::MAX));
        match self.answer(ToGateway::List { ask, camera, rendition, from, to }, ask).await {
            FromGateway::Recordings { recordings, more: false, .. } => recordings,
            other => panic!("{other:?}"),
        }
    }

    /// At least so many that are on the gateway alone.
    async fn kept(&self, count: usize) -> Vec<Recording> {
        for ask in 1_000.. {
            let found = self.list(ask, self.camera, Rendition::Main, 0).await;
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        unreachable!("until the test's patience ends")
    }

    fn piece(&self, ask: u32) -> Option<Vec<u8>> {
        let head = [&[FRAME_PIECE], &ask.to_be_bytes()[..]].concat();
        let frames = self.cloud.frames();
        let found = frames.iter().find(|frame| frame.starts_with(&head));
        found.map(|frame| frame[head.len()..].to_vec())
    }

    fn count_of(&self, kind: u8) -> usize {
        self.cloud.frames().iter().filter(|frame| frame[0] == kind).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_forwarded_is_listed_and_read_in_pieces() {
    let site = Site::shut_off_from_the_store().await;
    let kept = site.kept(2).await;
    assert!(site.objects().is_empty());
    assert!(kept.is_sorted_by_key(|recording| recording.started_at));
    // Not what is before, of another stream, or of another camera.
    let later = kept[1].started_at.0;
    let found = site.list(1, site.camera, Rendition::Main, later).await;
    assert!(found.iter().all(|recording| recording.ended_at().0 > later));
    assert_eq!(site.list(2, site.camera, Rendition::Sub, 0).await, []);
    let other = CameraId::from_random([8; 16]);
    assert_eq!(site.list(3, other, Rendition::Main, 0).await, []);

    let recording = &kept[0];
    let (camera, id) = (site.camera, recording.id);
    // A timeline of its time has that much, and none of another camera.
    let (from, to) = (recording.started_at, recording.ended_at());
    let timeline =
        |ask, camera| ToGateway::Timeline { ask, camera, rendition: Rendition::Main, from, to, parts: 1 };
    let FromGateway::Timeline { parts, .. } = site.answer(timeline(6, camera), 6).await else {
        panic!("parts")
    };
    let &[TimelinePart { part: 0, recorded_ms, bytes }] = &parts[..] else { panic!("{parts:?}") };
    assert!(recorded_ms >= recording.duration_ms && bytes >= recording.bytes, "{parts:?}");
    let FromGateway::Timeline { parts, .. } = site.answer(timeline(7, other), 7).await else {
        panic!("parts")
    };
    assert_eq!(parts, []);
    let find = ToGateway::Find { ask: 4, camera, recording: id };
    let FromGateway::Recordings { recordings, .. } = site.answer(find, 4).await else { panic!("a list") };
    assert_eq!(recordings, std::slice::from_ref(recording));
    let mut whole = Vec::new();
    let firsts: Vec<u64> = (0..recording.bytes).step_by(PIECE_MAX as usize).collect();
    for (n, &first) in firsts.iter().enumerate() {
        let (ask, last) = (100 + n as u32, (first + PIECE_MAX).min(recording.bytes) - 1);
        site.cloud.send(ToGateway::Read { ask, camera, recording: id, first, last });
        until("the piece comes", || site.piece(ask).is_some()).await;
        whole.extend(site.piece(ask).unwrap());
    }
    assert_eq!(sha256(&whole), recording.sha256);
    Sealed::parse(&whole).unwrap().verify(&site.administrator.roster()).unwrap();

    // What the store has at last is listed no more, and still found.
    site.cloud.script(|script| script.put_answers.clear());
    until("it is forwarded", || site.objects().iter().any(|(name, _)| *name == recording.name)).await;
    for ask in 10_000.. {
        let listed = site.list(ask, site.camera, Rendition::Main, 0).await;
        if listed.iter().all(|other| other.id != id) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let find = ToGateway::Find { ask: 5, camera, recording: id };
    let FromGateway::Recordings { recordings, .. } = site.answer(find, 5).await else { panic!("a list") };
    assert_eq!(recordings, std::slice::from_ref(recording));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_asks_for_what_is_not_there_gets_nothing() {
    let site = Site::shut_off_from_the_store().await;
    let kept = site.kept(1).await;
    let (camera, recording, bytes) = (site.camera, kept[0].id, kept[0].bytes);
    let other = CameraId::from_random([8; 16]);
    let reads = [
        (other, recording, 0, 9),
        (camera, Hash([9; 32]), 0, 9),
        (camera, recording, 9, 8),
        (camera, recording, bytes - 1, bytes),
        (camera, recording, u64::MAX, u64::MAX),
        (camera, recording, 0, u64::MAX),
        (camera, recording, 0, PIECE_MAX),
    ];
    for (n, (camera, recording, first, last)) in reads.into_iter().enumerate() {
        let ask = n as u32;
        let answer = site.answer(ToGateway::Read { ask, camera, recording, first, last }, ask).await;
        assert!(matches!(answer, FromGateway::AskFailed { .. }), "{n}: {answer:?}");
    }
    let timeline = ToGateway::Timeline {
        ask: 99,
        camera,
        rendition: Rendition::Main,
        from: Timestamp(1),
        to: Timestamp(u64::MAX),
        parts: u32::MAX,
    };
    assert!(matches!(site.answer(timeline, 99).await, FromGateway::AskFailed { .. }));
    for (ask, camera, recording) in [(100, other, recording), (101, camera, Hash([9; 32]))] {
        let answer = site.answer(ToGateway::Find { ask, camera, recording }, ask).await;
        assert!(matches!(&answer, FromGateway::Recordings { recordings, .. } if recordings.is_empty()));
    }
    assert_eq!(site.count_of(FRAME_PIECE), 0);
    // What is gone from the disk is not there either, row or not.
    let folder = site.data().join("recordings");
    std::fs::remove_dir_all(folder).unwrap();
    let gone = ToGateway::Read { ask: 102, camera, recording, first: 0, last: 9 };
    assert!(matches!(site.answer(gone, 102).await, FromGateway::AskFailed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_asks_without_end_holds_up_neither_pictures_nor_status_nor_recording() {
    let site = Site::shut_off_from_the_store().await;
    let kept = site.kept(1).await;
    let (camera, recording) = (site.camera, kept[0].id);
    // Short ones: the test keeps what comes.
    let last = 8 << 10;
    site.watch(1);
    until("live frames come", || site.count_of(FRAME_CHUNK) > 0).await;
    let (before, began) = (site.count_of(FRAME_CHUNK), tokio::time::Instant::now());
    site.cloud.forget_status();
    for ask in 0..5_000 {
        site.cloud.send(ToGateway::Read { ask, camera, recording, first: 0, last });
        if ask % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    let took = began.elapsed();
    let pictures = site.count_of(FRAME_CHUNK) - before;
    // The camera has ten pictures a second and more.
    assert!(pictures as u128 > took.as_millis() / 200, "{pictures} pictures in {took:?}");
    until("its status comes", || site.cloud.last_status().is_some()).await;
    assert!(site.count_of(FRAME_PIECE) > 0);
    assert!(site.kept(kept.len() + 2).await.len() > kept.len(), "and it records on");
}
