//! When recordings begin and end.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::epoch::EpochKeys;
use gateway_core::recorder::{EpochContext, Identity, Limits, Output, Recorder};
use media::{AccessUnit, TrackDescription, TrackKind};
use model::{EpochId, Hash, OrgId, Rendition};
use seal::grant::{CameraKeys, EpochKey};
use seal::recording::{ChunkOpener, Ended, Recording};

use crate::site_fixture::{T0, camera_id, gateway_id, keys};

pub(crate) fn epoch(n: u8) -> EpochContext {
    EpochContext {
        epoch: EpochId::from_random([n; 16]),
        roster_head: Hash([n; 32]),
        keys: EpochKeys {
            video: EpochKey::from_random([n; 32]),
            audio: EpochKey::from_random([n + 100; 32]),
        },
    }
}

fn tracks() -> Vec<TrackDescription> {
    let track = |id, kind, codec: &str, timescale| TrackDescription {
        id,
        kind,
        codec: codec.to_owned(),
        timescale,
        description: None,
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: u32::from(id),
    };
    vec![track(0, TrackKind::Video, "avc1.64001f", 90_000), track(1, TrackKind::Audio, "ulaw", 8_000)]
}

pub(crate) fn recorder() -> Recorder {
    let identity = Identity {
        org: OrgId::from_random([2; 16]),
        gateway: gateway_id(),
        camera: camera_id(1),
        rendition: Rendition::Main,
        signer: Arc::new(keys(6).sign),
    };
    let mut recorder = Recorder::new(identity, Limits::default(), epoch(1));
    recorder.begin_run(tracks(), T0, Ended::Lost);
    recorder
}

fn unit(track: u8, time: i64, key_frame: bool, data: &[u8]) -> AccessUnit {
    AccessUnit {
        track,
        time,
        presentation_delta: 0,
        key_frame,
        discontinuity: false,
        data: Bytes::copy_from_slice(data),
    }
}

/// A picture every second, a key frame every `gop` seconds, sound in between.
pub(crate) fn feed(recorder: &mut Recorder, seconds: std::ops::Range<i64>, gop: i64, bytes: usize) {
    let mut salts = 0u8;
    let mut salt = || {
        salts += 1;
        [salts; 32]
    };
    let picture = [&(bytes as u32 - 4).to_be_bytes()[..], &vec![7; bytes - 4]].concat();
    for second in seconds {
        let key_frame = second % gop == 0;
        recorder.push(unit(0, second * 90_000, key_frame, &picture), &mut salt).unwrap();
        recorder.push(unit(1, second * 8_000, false, &[0xff; 800]), &mut salt).unwrap();
    }
}

/// Files as they would stand on disk; the last may be open.
pub(crate) fn files(recorder: &mut Recorder) -> Vec<Vec<u8>> {
    files_of(std::iter::from_fn(|| recorder.pull()))
}

pub(crate) fn files_of(outputs: impl Iterator<Item = Output>) -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = Vec::new();
    for output in outputs {
        match output {
            Output::Begun { bytes, .. } => files.push(bytes.to_vec()),
            Output::Chunk { bytes, .. } | Output::Closed { bytes, .. } => {
                files.last_mut().expect("begun").extend_from_slice(&bytes);
            }
        }
    }
    files
}

fn summary(file: &[u8]) -> (u64, bool, Option<Ended>, Option<u64>) {
    let recording = Recording::parse(file).unwrap();
    let header = &recording.header.header;
    let footer = recording.footer.as_ref();
    (
        header.started_at.ms_since(T0),
        header.starts_with_key_frame,
        footer.map(|footer| footer.ended),
        footer.map(|footer| footer.duration_ms),
    )
}

#[test]
fn while_something_happens_recordings_are_short() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..10, 4, 100);
    recorder.set_short(true);
    feed(&mut recorder, 10..17, 4, 100);
    recorder.set_short(false);
    feed(&mut recorder, 17..30, 4, 100);
    recorder.end_run(Ended::Stopped);
    let files = files(&mut recorder);
    // At a key frame if there is one in time, and else at any picture.
    let starts: Vec<_> = files.iter().map(|file| summary(file)).map(|s| (s.0 / 1_000, s.1)).collect();
    assert_eq!(starts, [(0, true), (10, false), (12, true), (14, false), (16, true)]);
}

#[test]
fn recordings_turn_over_at_the_key_frame_after_a_minute() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..125, 4, 100);
    recorder.end_run(Ended::Stopped);
    let files = files(&mut recorder);
    let summaries: Vec<_> = files.iter().map(|file| summary(file)).collect();
    assert_eq!(
        summaries,
        [
            (0, true, Some(Ended::Closed), Some(59_000)),
            (60_000, true, Some(Ended::Closed), Some(59_000)),
            (120_000, true, Some(Ended::Stopped), Some(4_000)),
        ]
    );
    let footers: Vec<_> = files.iter().map(|file| Recording::parse(file).unwrap().footer.unwrap()).collect();
    assert_eq!(footers[0].previous_root, None);
    assert_eq!(footers[1].previous_root, Some(footers[0].root));
    assert_eq!(footers[2].previous_root, Some(footers[1].root));
}

#[test]
fn without_key_frames_they_close_all_the_same() {
    let mut recorder = recorder();
    feed(&mut recorder, 1..80, 1_000, 100);
    let files = files(&mut recorder);
    assert_eq!(summary(&files[0]), (1_000, false, Some(Ended::Closed), Some(74_000)));
    assert_eq!(summary(&files[1]), (76_000, false, None, None));
}

#[test]
fn large_ones_close_at_their_size() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..10, 1, 4 << 20);
    let sizes: Vec<usize> = files(&mut recorder).iter().map(Vec::len).collect();
    assert!(sizes.len() == 3 && sizes[..2].iter().all(|&size| size < 21 << 20), "{sizes:?}");
}

#[test]
fn a_new_epoch_waits_for_a_key_frame_and_not_long() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..10, 4, 100);
    recorder.set_epoch(epoch(2));
    feed(&mut recorder, 10..14, 4, 100);
    recorder.set_epoch(epoch(3));
    feed(&mut recorder, 14..30, 1_000, 100);
    let files = files(&mut recorder);
    let started: Vec<_> = files.iter().map(|file| summary(file)).map(|s| (s.0, s.1, s.2)).collect();
    assert_eq!(
        started,
        [(0, true, Some(Ended::Epoch)), (12_000, true, Some(Ended::Epoch)), (16_000, false, None),]
    );
    let header = &Recording::parse(&files[1]).unwrap().header.header;
    assert_eq!(header.epoch, EpochId::from_random([2; 16]));
}

#[test]
fn a_checkpoint_goes_into_the_next_header_and_closes_nothing() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..10, 4, 100);
    recorder.set_checkpoint(Some("first".into()));
    feed(&mut recorder, 10..20, 4, 100);
    recorder.set_checkpoint(Some("second".into()));
    feed(&mut recorder, 20..140, 4, 100);
    recorder.end_run(Ended::Lost);
    let files = files(&mut recorder);
    let headers: Vec<_> = files.iter().map(|file| Recording::parse(file).unwrap().header.header).collect();
    let held: Vec<_> = headers.iter().map(|header| header.checkpoint.as_deref()).collect();
    assert_eq!(held, [None, Some("second"), Some("second")], "the open recording went on");
}

#[test]
fn what_was_pushed_opens_again() {
    let mut recorder = recorder();
    feed(&mut recorder, 0..5, 2, 100);
    recorder.end_run(Ended::Lost);
    let file = &files(&mut recorder)[0];
    let recording = Recording::parse(file).unwrap();
    let context = epoch(1).keys;
    let keys = CameraKeys { video: context.video, audio: Some(context.audio) };
    let opener = ChunkOpener::new(&recording.header, &keys).unwrap();
    let mut pictures = 0;
    for chunk in &recording.chunks {
        let mut buffer = chunk.ciphertext.to_vec();
        let plain = opener.open(chunk.number, chunk.head_bytes, &mut buffer).unwrap();
        if chunk.head.track == 0 {
            let video = media::VideoChunk::decode(Bytes::copy_from_slice(plain)).unwrap();
            assert_eq!(video.data.len(), 100);
            pictures += 1;
        }
    }
    assert_eq!(pictures, 5);
}

#[test]
fn sound_before_the_first_picture_begins_nothing() {
    let mut recorder = recorder();
    recorder.push(unit(1, 0, false, &[0xff; 800]), &mut || [0; 32]).unwrap();
    assert!(recorder.pull().is_none());
    assert!(recorder.push(unit(5, 0, false, &[1]), &mut || [0; 32]).is_ok());
    assert!(recorder.open_id().is_none());
}
