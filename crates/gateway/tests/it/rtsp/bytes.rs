//! Foreign bytes: whatever a camera sends, there is an error and no panic. The
//! same functions are fuzzed; here they run in every test run.

use std::sync::Mutex;

use gateway::rtsp::fuzzing;
use proptest::prelude::*;

use super::scripted::{self, SDP};
use super::support::{lost, quick};

/// Bytes in which what parsers look for is frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"RTSP/1.0 200 OK\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n".to_vec()),
        Just(b"Transport: RTP/AVP;server_port=1-2;interleaved=0-1\r\n".to_vec()),
        Just(b"SETUP rtsp://h/ RTSP/1.0\r\n".to_vec()),
        Just(vec![b'$', 0, 0, 2, 0, 0]),
        Just(vec![0, 0, 0, 1]),
        Just(vec![b'$', 0]),
        prop::collection::vec(any::<u8>(), 0..24),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_scanner_takes_any_bytes_however_they_are_cut(data in bytes()) {
        fuzzing::fuzz_bridge_scanner(&data);
    }

    #[test]
    fn transport_headers_take_any_bytes(data in bytes()) {
        fuzzing::fuzz_interleave(&data);
    }

    #[test]
    fn nal_units_and_chunks_take_any_bytes(data in bytes()) {
        media::fuzzing::fuzz_nal(&data);
        media::fuzzing::fuzz_chunk(&data);
        media::fuzzing::fuzz_signing(&data);
    }

    #[test]
    fn camera_urls_take_any_text(text in "(rtsps?://)?\\PC{0,80}") {
        let Ok((url, _)) = model::CameraUrl::parse_with_credentials(&text) else { return Ok(()) };
        // What was parsed holds no credentials and is read as itself.
        prop_assert_eq!(model::CameraUrl::parse(&url.to_string()), Ok(url));
    }
}

/// The fuzzer's seeds pass, and those that were once good still are.
#[test]
fn the_seeds_of_the_fuzzer_pass() {
    let seeds = |target: &str| {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    seeds("scanner").iter().for_each(|seed| fuzzing::fuzz_bridge_scanner(seed));
    seeds("interleave").iter().for_each(|seed| fuzzing::fuzz_interleave(seed));
    seeds("nal").iter().for_each(|seed| media::fuzzing::fuzz_nal(seed));
    seeds("chunk").iter().for_each(|seed| media::fuzzing::fuzz_chunk(seed));
    seeds("signing").iter().for_each(|seed| media::fuzzing::fuzz_signing(seed));
    seeds("mqtt").iter().for_each(|seed| gateway_core::mqtt::fuzz_reader(seed));
    assert!(seeds("dating").iter().all(|seed| matches!(seal::dating::Dating::parse(seed), Ok(Some(_)))));
    assert!(seeds("hour").iter().all(|seed| seal::hour::Hour::read(seed).is_ok()));
    let text = |seed: Vec<u8>| String::from_utf8(seed).unwrap();
    assert!(seeds("recording").iter().all(|seed| seal::recording::Recording::parse(seed).is_ok()));
    assert!(seeds("excerpt").iter().all(|seed| seal::recording::Excerpt::parse(seed).is_ok()));
    assert!(seeds("roster").into_iter().all(|seed| seal::roster::read_log(&text(seed)).is_ok()));
    assert!(seeds("config").into_iter().all(|seed| gateway::Config::parse(&text(seed)).is_ok()));
    for seed in seeds("camera_url") {
        // What is taken is taken again as it is kept.
        if let Ok((url, _)) = model::CameraUrl::parse_with_credentials(&text(seed)) {
            assert_eq!(model::CameraUrl::parse(&url.to_string()), Ok(url));
        }
    }
}

/// An SDP with one stretch replaced.
fn sdps() -> impl Strategy<Value = Vec<u8>> {
    let at = any::<prop::sample::Index>();
    prop_oneof![
        bytes(),
        (at, 0..40usize, bytes()).prop_map(|(at, length, middle)| {
            let at = at.index(SDP.len());
            let rest = SDP.as_bytes().get(at + length..).unwrap_or_default();
            [&SDP.as_bytes()[..at], &middle, rest].concat()
        }),
    ]
}

/// Interleaved packets whose RTP headers are good and whose payloads are not.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let payload = (any::<bool>(), 0..3u32, prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(payload, 0..12).prop_map(|payloads| {
        let (mut out, mut time) = (Vec::new(), 0u32);
        for (n, (marker, step, payload)) in payloads.into_iter().enumerate() {
            time += step * 3_000;
            let length = u16::try_from(12 + payload.len()).expect("short").to_be_bytes();
            out.extend([b'$', 0, length[0], length[1], 0x80, u8::from(marker) << 7 | 96]);
            out.extend(u16::try_from(n).expect("few").to_be_bytes());
            out.extend(time.to_be_bytes());
            out.extend([0, 0, 0, 7]);
            out.extend(payload);
        }
        out
    })
}

/// Plays each case to a source of its own and wants an error in the end.
fn play(cases: u32, strategy: impl Strategy<Value = (Vec<u8>, Vec<u8>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let case: &'static Mutex<_> = Box::leak(Box::default());
    let access = runtime.block_on(scripted::camera(move |request| {
        let (sdp, packets): &(Vec<u8>, Vec<u8>) = &case.lock().unwrap();
        scripted::playing(request, sdp, packets)
    }));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(sent in strategy)| {
        *case.lock().unwrap() = sent;
        let error = runtime.block_on(lost(&access, &quick()));
        prop_assert!(error.to_string().chars().all(|c| !c.is_control()), "{}", error);
    });
}

#[test]
fn any_sdp_ends_in_an_error() {
    play(96, sdps().prop_map(|sdp| (sdp, Vec::new())));
}

#[test]
fn any_payload_ends_in_an_error() {
    play(96, packets().prop_map(|packets| (SDP.into(), packets)));
}

#[test]
fn any_bytes_after_play_end_in_an_error() {
    play(24, bytes().prop_map(|bytes| (SDP.into(), bytes)));
}
