//! When recordings of events begin and end, and that they open as others do.

use std::sync::Arc;

use gateway_core::event_recorder::{EventRecorder, QUICK_MAX, QUICK_MS, QUICK_SPAN_MS, SLOW_MS};
use gateway_core::events::Now;
use gateway_core::recorder::Identity;
use model::{EventId, EventKind, EventPhase, EventSource, OrgId, Rendition};
use seal::event::{Batch, Event};
use seal::grant::CameraKeys;
use seal::recording::{ChunkOpener, Ended, Recording};

use crate::recorder::{epoch, files_of};
use crate::site_fixture::{T0, camera_id, gateway_id, keys};

fn recorder() -> EventRecorder {
    let identity = Identity {
        org: OrgId::from_random([2; 16]),
        gateway: gateway_id(),
        camera: camera_id(1),
        rendition: Rendition::Events,
        signer: Arc::new(keys(6).sign),
    };
    EventRecorder::new(identity, epoch(1))
}

fn now(ms: u64) -> Now {
    Now { ms, at: T0.plus_ms(ms) }
}

fn batch(ms: u64) -> Batch {
    let event = Event {
        id: EventId::from_random([ms as u8; 16]),
        at: now(ms).at,
        phase: EventPhase::Began,
        kind: EventKind::Person,
        rule: None,
        source: EventSource::Onvif,
        topic: "RuleEngine/MyRuleDetector/PeopleDetect".into(),
    };
    Batch { events: vec![event], left_out: 0 }
}

fn push(recorder: &mut EventRecorder, ms: u64) {
    recorder.push(&batch(ms), now(ms), &mut || [ms as u8; 32]).unwrap();
}

/// (begun, chunks, ended) of each.
fn files(recorder: &mut EventRecorder) -> Vec<(u64, usize, Option<Ended>)> {
    let files = files_of(std::iter::from_fn(|| recorder.pull()));
    let of = |bytes: &Vec<u8>| {
        let recording = Recording::parse(bytes).unwrap();
        let begun = recording.header.header.started_at.ms_since(T0);
        (begun, recording.chunks.len(), recording.footer.map(|footer| footer.ended))
    };
    files.iter().map(of).collect()
}

#[test]
fn an_event_leaves_within_two_seconds_and_a_stream_of_them_in_minutes() {
    let mut recorder = recorder();
    push(&mut recorder, 0);
    push(&mut recorder, 500);
    recorder.tick(now(QUICK_MS - 1));
    assert_eq!(files(&mut recorder), [(0, 2, None)]);
    let mut recorder = self::recorder();
    let seconds = QUICK_SPAN_MS / 1_000;
    for second in 0..seconds {
        push(&mut recorder, second * 1_000);
    }
    recorder.tick(now(QUICK_SPAN_MS + SLOW_MS));
    let files = files(&mut recorder);
    assert_eq!(
        files[..3],
        [(0, 2, Some(Ended::Closed)), (2_000, 2, Some(Ended::Closed)), (4_000, 2, Some(Ended::Closed))]
    );
    assert_eq!(files[QUICK_MAX], (20_000, 60, Some(Ended::Closed)));
    assert_eq!(files.iter().map(|(_, chunks, _)| *chunks as u64).sum::<u64>(), seconds);
    assert!(files.len() <= QUICK_MAX + (QUICK_SPAN_MS / SLOW_MS) as usize, "{}", files.len());
}

#[test]
fn what_was_recorded_opens_with_the_cameras_key() {
    let mut recorder = recorder();
    push(&mut recorder, 7);
    recorder.tick(now(QUICK_MS + 7));
    push(&mut recorder, 9_000);
    recorder.set_epoch(epoch(2));
    push(&mut recorder, 9_500);
    recorder.close(Ended::Stopped);
    let files = files_of(std::iter::from_fn(|| recorder.pull()));
    let mut previous = None;
    for (file, (number, ms)) in files.iter().zip([(1, 7), (1, 9_000), (2, 9_500)]) {
        let recording = Recording::parse(file).unwrap();
        let keys = CameraKeys { video: epoch(number).keys.video, audio: None };
        let opener = ChunkOpener::new(&recording.header, &keys).unwrap();
        let [chunk] = recording.chunks[..] else { panic!("one chunk") };
        let mut buffer = chunk.ciphertext.to_vec();
        let plaintext = opener.open(0, chunk.head_bytes, &mut buffer).unwrap();
        assert_eq!(Batch::read(plaintext).unwrap(), batch(ms));
        let footer = recording.footer.unwrap();
        assert_eq!(footer.previous_root, previous);
        previous = Some(footer.root);
    }
    assert_eq!(files.len(), 3);
}

#[test]
fn after_the_disk_failed_a_new_chain_begins() {
    let mut recorder = recorder();
    push(&mut recorder, 0);
    recorder.abandon();
    push(&mut recorder, 100);
    recorder.close(Ended::Stopped);
    let files = files_of(std::iter::from_fn(|| recorder.pull()));
    assert_eq!(Recording::parse(&files[0]).unwrap().footer.unwrap().previous_root, None);
    assert_eq!(files.len(), 1);
}
