//! What the tests share: quick limits, a light camera, and waiting with an end.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use camera_sim::{Credentials, Options, Pictures, Prepared, Shape};
use gateway::rtsp::{Limits, RtspSource, SourceError, SourceEvent, Transport};
use media::{AccessUnit, TrackDescription};
use model::{CameraAccess, Rendition, Secret, Timestamp};

/// For what is expected to fail by running out of time.
pub(super) fn quick() -> Limits {
    Limits {
        describe: Duration::from_secs(4),
        first_packet: Duration::from_secs(3),
        key_frame: Duration::from_secs(4),
        stall: Duration::from_secs(3),
        ..Limits::default()
    }
}

/// Encoded once for all tests: 20 pictures a second, a key frame in each.
pub(crate) fn pictures() -> Pictures {
    static LOOP: OnceLock<Prepared> = OnceLock::new();
    let shape = Shape { width: 320, height: 180, frames_per_second: 20 };
    let prepared = LOOP.get_or_init(|| Prepared::encode(shape, "TEST", 1).expect("encodes"));
    Pictures::Prepared(prepared.clone())
}

pub(super) fn options() -> Options {
    Options {
        main: pictures(),
        sub: None,
        credentials: Some(Credentials { username: "admin".into(), password: Secret::new("hunter2") }),
        ..Options::default()
    }
}

pub(super) async fn connect(access: &CameraAccess, limits: &Limits) -> Result<RtspSource, SourceError> {
    Box::pin(RtspSource::connect(access, Rendition::Main, Transport::Tcp, limits)).await
}

/// As [`connect`] where nothing is to go wrong.
pub(super) async fn watch(access: &CameraAccess, rendition: Rendition, transport: Transport) -> RtspSource {
    let limits = Limits::default();
    Box::pin(RtspSource::connect(access, rendition, transport, &limits)).await.unwrap()
}

/// The next event; a test that gets none for so long has failed.
pub(super) async fn next(source: &mut RtspSource) -> SourceEvent {
    tokio::time::timeout(Duration::from_secs(60), source.next()).await.expect("an event within a minute")
}

/// The tracks and the first `count` access units.
pub(super) async fn pull(
    source: &mut RtspSource,
    count: usize,
) -> (Vec<TrackDescription>, Timestamp, Vec<AccessUnit>) {
    let SourceEvent::Described { tracks, started_at } = next(source).await else {
        panic!("tracks come first")
    };
    let mut units = Vec::new();
    while units.len() < count {
        units.push(unit(source).await);
    }
    (tracks, started_at, units)
}

pub(super) async fn unit(source: &mut RtspSource) -> AccessUnit {
    match next(source).await {
        SourceEvent::AccessUnit(unit) => unit,
        other => panic!("expected an access unit, not {other:?}"),
    }
}

/// Why a camera cannot be watched, sooner or later.
pub(super) async fn lost(access: &CameraAccess, limits: &Limits) -> SourceError {
    let mut source = match connect(access, limits).await {
        Ok(source) => source,
        Err(error) => return error,
    };
    loop {
        if let SourceEvent::Lost(error) = next(&mut source).await {
            assert_eq!(next(&mut source).await, SourceEvent::Lost(error.clone()), "nothing follows");
            return error;
        }
    }
}

/// Fails with the remedy if the program is not there.
pub(crate) fn program(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    Command::new(found.unwrap_or_else(|| {
        panic!("{name} is missing: install the Debian package {package} (apt-get install {package})")
    }))
}
