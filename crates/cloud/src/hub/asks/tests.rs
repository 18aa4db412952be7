use model::wire::FRAME_PIECE;
use model::{EpochId, OrgId};
use tokio::task::JoinHandle;

use super::*;

const RENDITION: Rendition = Rendition::Main;
const STRETCH: (Timestamp, Timestamp) = (Timestamp(100), Timestamp(200));

fn gateway(n: u8) -> GatewayId {
    GatewayId::from_random([n; 16])
}

fn camera() -> CameraId {
    CameraId::from_random([3; 16])
}

fn hub() -> Arc<Hub> {
    Hub::new(Arc::default(), Duration::from_millis(20))
}

fn link(hub: &Arc<Hub>, n: u8) -> LinkEnd {
    hub.link(
        OrgId::from_random([1; 16]),
        gateway(n),
        Answers { recordings: true, timelines: true, notices: true, ptz: true, locks: true },
    )
}

fn recording(n: u8) -> Recording {
    Recording {
        name: String::new(),
        id: Hash([n; 32]),
        camera: camera(),
        rendition: RENDITION,
        epoch: EpochId::from_random([2; 16]),
        started_at: Timestamp(150),
        duration_ms: 10,
        bytes: u64::from(n),
        sha256: Hash::default(),
        key_frames: 1,
        root: Hash::default(),
        previous_root: None,
        has_audio: false,
        codec: String::new(),
    }
}

fn listed(recordings: Vec<Recording>) -> Listed {
    Listed { recordings, more: false }
}

type Asking<T> = JoinHandle<Result<T, NoAnswer>>;

fn list(hub: &Arc<Hub>) -> Asking<Listed> {
    let hub = hub.clone();
    tokio::spawn(async move { hub.list(gateway(1), (camera(), RENDITION), STRETCH).await })
}

fn piece(hub: &Arc<Hub>) -> Asking<Bytes> {
    let hub = hub.clone();
    let range = ByteRange { first: 10, last: 19 };
    tokio::spawn(async move { hub.piece(gateway(1), camera(), Hash([5; 32]), range).await })
}

async fn next_asked(link: &mut LinkEnd) -> u32 {
    match link.outbox.recv().await {
        Some(ToGateway::List { ask, .. } | ToGateway::Find { ask, .. } | ToGateway::Read { ask, .. }) => ask,
        other => panic!("{other:?}"),
    }
}

fn frame(ask: u32, length: usize) -> Bytes {
    [&[FRAME_PIECE], &ask.to_be_bytes()[..], &vec![7; length]].concat().into()
}

fn send_piece(link: &LinkEnd, ask: u32, length: usize) {
    link.piece(ask, frame(ask, length).slice(5..));
}

#[tokio::test]
async fn an_answer_counts_once_and_on_the_link_that_was_asked() {
    let hub = hub();
    let (mut ours, other) = (link(&hub, 1), link(&hub, 2));
    let asking = list(&hub);
    let ask = next_asked(&mut ours).await;
    other.recordings(ask, listed(vec![recording(9)]), |_| true);
    other.ask_failed(ask, "not yours".to_owned());
    ours.recordings(ask + 1, listed(vec![recording(9)]), |_| true);
    ours.recordings(ask, listed(vec![recording(1)]), |_| true);
    ours.recordings(ask, listed(vec![recording(9)]), |_| true);
    let found = asking.await.unwrap().unwrap();
    assert_eq!(found.recordings, [recording(1)]);
}

#[tokio::test]
async fn what_was_not_asked_for_is_left_out() {
    let hub = hub();
    let mut ours = link(&hub, 1);
    let asking = list(&hub);
    let ask = next_asked(&mut ours).await;
    let with = |n, change: fn(&mut Recording)| {
        let mut recording = recording(n);
        change(&mut recording);
        recording
    };
    let listing = vec![
        recording(1),
        with(2, |r| r.camera = CameraId::from_random([8; 16])),
        with(3, |r| r.rendition = Rendition::Sub),
        with(4, |r| r.started_at = STRETCH.1),
        with(5, |r| r.started_at = Timestamp(0)),
        with(6, |r| r.started_at = Timestamp(95)),
        with(7, |r| r.name = "another's".to_owned()),
    ];
    ours.recordings(ask, Listed { recordings: listing, more: true }, |r| r.name.is_empty());
    let found = asking.await.unwrap().unwrap();
    let ids: Vec<u8> = found.recordings.iter().map(|r| r.id.0[0]).collect();
    assert_eq!((ids, found.more), (vec![1, 6], false), "only a full list is cut off");
    // Nor is its size known then.
    assert_eq!(hub.size(gateway(1), camera(), Hash([6; 32])).await, Ok(Some(6)));
    let searching = tokio::spawn({
        let hub = hub.clone();
        async move { hub.size(gateway(1), camera(), Hash([7; 32])).await }
    });
    let ask = next_asked(&mut ours).await;
    ours.recordings(ask, listed(vec![recording(8)]), |_| true);
    assert_eq!(searching.await.unwrap(), Ok(None), "another recording than was asked for");
}

#[tokio::test]
async fn too_many_recordings_are_no_answer() {
    let hub = hub();
    let mut ours = link(&hub, 1);
    let asking = list(&hub);
    let ask = next_asked(&mut ours).await;
    ours.recordings(ask, listed(vec![recording(1); LISTED_MAX + 1]), |_| true);
    assert_eq!(asking.await.unwrap().unwrap_err(), NoAnswer::Wrong);
}

#[tokio::test]
async fn a_piece_has_the_length_that_was_asked_for_or_is_none() {
    let hub = hub();
    let mut ours = link(&hub, 1);
    for (length, expected) in [(10, Ok(10)), (9, Err(NoAnswer::Wrong)), (11, Err(NoAnswer::Wrong))] {
        let asking = piece(&hub);
        let ask = next_asked(&mut ours).await;
        send_piece(&ours, ask, length);
        assert_eq!(asking.await.unwrap().map(|piece| piece.len()), expected);
    }
    // A list in the place of a piece, and a piece in the place of a list.
    let asking = piece(&hub);
    let ask = next_asked(&mut ours).await;
    ours.recordings(ask, listed(vec![recording(5)]), |_| true);
    assert_eq!(asking.await.unwrap(), Err(NoAnswer::Wrong));
    let asking = list(&hub);
    let ask = next_asked(&mut ours).await;
    send_piece(&ours, ask, 10);
    assert_eq!(asking.await.unwrap().unwrap_err(), NoAnswer::Wrong);
}

#[tokio::test]
async fn a_link_that_ends_answers_nothing_more() {
    let hub = hub();
    let mut ours = link(&hub, 1);
    let asking = piece(&hub);
    next_asked(&mut ours).await;
    drop(ours);
    assert_eq!(asking.await.unwrap(), Err(NoAnswer::Offline));
    assert_eq!(piece(&hub).await.unwrap(), Err(NoAnswer::Offline), "nobody is there");
    // Numbers of before count nothing on the link that came after.
    let mut older = link(&hub, 1);
    let asking = piece(&hub);
    let ask = next_asked(&mut older).await;
    let newer = link(&hub, 1);
    send_piece(&newer, ask, 10);
    send_piece(&older, ask, 10);
    assert_eq!(asking.await.unwrap(), Err(NoAnswer::Offline));
}

#[tokio::test]
async fn a_gateway_of_the_version_before_is_asked_nothing() {
    let hub = hub();
    let mut link = hub.link(OrgId::from_random([1; 16]), gateway(1), Answers::default());
    assert_eq!(list(&hub).await.unwrap().unwrap_err(), NoAnswer::Offline);
    assert_eq!(piece(&hub).await.unwrap(), Err(NoAnswer::Offline));
    assert!(link.outbox.try_recv().is_err());
}

#[tokio::test]
async fn what_waits_is_bounded_and_what_is_abandoned_counts_until_it_is_too_late() {
    let hub = hub();
    let mut ours = link(&hub, 1);
    for _ in 0..10 * PIECES_WAITING_MAX {
        let asking = piece(&hub);
        tokio::task::yield_now().await;
        asking.abort();
    }
    let mut asked = 0;
    while ours.outbox.try_recv().is_ok() {
        asked += 1;
    }
    assert_eq!(asked, PIECES_WAITING_MAX);
    assert!(!ours.cut.is_cancelled(), "who asks a lot does not end the link");
    // A list has turns of its own, and is answered or left out in time.
    assert_eq!(list(&hub).await.unwrap().unwrap_err(), NoAnswer::Silent);
    assert!(matches!(ours.outbox.try_recv(), Ok(ToGateway::List { .. })));
    let waits = piece(&hub);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(ours.outbox.try_recv().is_err(), "others wait their turn");
    // Those that are too late make room.
    {
        let mut inner = lock(&hub.inner);
        let asks = inner.links.get_mut(&gateway(1)).and_then(|link| link.asks.as_mut()).unwrap();
        asks.waiting.values_mut().for_each(|waiting| waiting.until = Instant::now());
    }
    let next = piece(&hub);
    for _ in 0..2 {
        let ask = next_asked(&mut ours).await;
        send_piece(&ours, ask, 10);
    }
    for asking in [waits, next] {
        assert_eq!(asking.await.unwrap().map(|piece| piece.len()), Ok(10));
    }
}

#[test]
fn sizes_that_are_remembered_are_bounded() {
    let mut known = Known::default();
    let mut numbered = recording(1);
    for n in 0..2 * KNOWN_MAX as u32 {
        numbered.id.0[..4].copy_from_slice(&n.to_be_bytes());
        known.keep(&numbered);
    }
    assert_eq!((known.sizes.len(), known.order.len()), (KNOWN_MAX, KNOWN_MAX));
    assert_eq!(known.size(camera(), numbered.id), Some(1));
    assert_eq!(known.size(CameraId::from_random([9; 16]), numbered.id), None);
}
