//! What becomes of files that nobody closed.

use std::sync::LazyLock;

use gateway_core::recovery::{Found, Own, Unfit, file_name, look_at, number_of};
use model::{GatewayId, Hash, Timestamp};
use seal::keys::SigningKey;
use seal::recording::{Ended, Recording};
use seal::roster::Roster;

use crate::recorder::{feed, files, recorder};
use crate::site_fixture::{gateway_id, keys, roster};

/// A recording of ten seconds that was closed, and where its chunks begin.
fn closed() -> (Vec<u8>, usize) {
    let mut recorder = recorder();
    feed(&mut recorder, 0..10, 4, 100);
    recorder.end_run(Ended::Stopped);
    let file = files(&mut recorder).remove(0);
    let header = Recording::parse(&file).unwrap().header.len;
    (file, header)
}

/// Made once: its signatures take longer than a look at a file.
fn found(bytes: &[u8]) -> Result<Found, Unfit> {
    static OWN: LazyLock<(Roster, SigningKey)> = LazyLock::new(|| (roster(), keys(6).sign));
    look_at(bytes, Own { roster: &OWN.0, gateway: gateway_id(), signer: &OWN.1 })
}

/// What is made of a file that was cut off.
fn closed_again(bytes: &[u8]) -> Vec<u8> {
    let Ok(Found::CutOff { keep, tail, report }) = found(bytes) else { panic!("not cut off") };
    let whole = [&bytes[..keep], &tail].concat();
    assert_eq!((report.bytes, report.sha256), (whole.len() as u64, seal::sha256(&whole)));
    let Ok(Found::Whole { was_lost: true, .. }) = found(&whole) else { panic!("not whole") };
    whole
}

fn chunks(bytes: &[u8]) -> usize {
    Recording::parse(bytes).unwrap().chunks.len()
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_chunks() {
    let (file, header) = closed();
    let all = Recording::parse(&file).unwrap();
    let ends: Vec<usize> = all.chunks.iter().map(|c| c.offset + 12 + c.ciphertext.len()).collect();
    for length in 0..file.len() {
        let kept = ends.iter().filter(|end| **end <= length).count();
        match found(&file[..length]) {
            Ok(Found::Empty) => assert!(length <= header + 12, "{length}"),
            Err(Unfit::NoChunk) => assert!(length > header + 12 && kept == 0, "{length}"),
            Ok(Found::CutOff { .. }) => assert_eq!(chunks(&closed_again(&file[..length])), kept),
            other => panic!("{length}: {other:?}"),
        }
    }
    assert!(matches!(found(&file), Ok(Found::Whole { was_lost: false, .. })));
}

/// As a power cut leaves them: the size is there, the bytes are not.
#[test]
fn zeros_and_old_bytes_after_what_was_flushed_cost_nothing_before_them() {
    let (file, _) = closed();
    let end = Recording::parse(&file).unwrap().chunks[5].offset;
    for tail in [vec![0; 4_000], vec![0xa7; 4_000], b"LKRECEND of another file, and more".to_vec()] {
        let torn = [&file[..end], &tail].concat();
        assert_eq!(chunks(&closed_again(&torn)), 5);
        // A power cut at the next try changes nothing.
        let again = closed_again(&torn);
        assert_eq!(chunks(&closed_again(&again[..again.len() - 30])), 5);
    }
}

#[test]
fn what_is_not_ours_or_was_changed_is_not_signed() {
    let (file, header) = closed();
    // One bit of a recording that was closed: it is not cut down to what is before.
    let mut changed = file.clone();
    changed[header + 40] ^= 1;
    assert!(matches!(found(&changed), Err(Unfit::Read(_))));
    let mut changed = file.clone();
    changed[30] ^= 1;
    assert!(found(&changed).is_err());
    assert!(found(b"something else entirely").is_err());
    let signer = keys(6).sign;
    let other = Own { roster: &roster(), gateway: GatewayId::from_random([7; 16]), signer: &signer };
    assert!(matches!(look_at(&file, other), Err(Unfit::OtherGateway)));
}

#[test]
fn a_recording_of_another_version_is_left_alone() {
    let (mut file, _) = closed();
    file[7] += 1;
    assert!(matches!(found(&file), Ok(Found::OtherVersion(version)) if version == file[7]));
}

#[test]
fn the_name_of_a_file_says_the_order() {
    let name = file_name(Timestamp(1_763_836_800_000), 42, Hash([7; 32]));
    assert_eq!(number_of(&format!("recordings/cam/main/2025-11-22/{name}")), 42);
    assert_eq!(number_of("recordings/cam/main/1763836800000-0707.lkr"), 0);
    assert_eq!(number_of(""), 0);
}
