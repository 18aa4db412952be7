//! What a camera's clocks do to the timeline: nothing that is not marked.

use camera_sim::{Auth, Fault, Options};
use gateway::rtsp::{Limits, Transport};
use media::{AccessUnit, TrackKind};
use model::Rendition;

use super::support::{connect, options, pull, unit, watch};

/// 20 pictures a second in ticks of 90 kHz.
const STEP: i64 = 4_500;

/// So many pictures, and the sound that came beside them.
async fn units_with(fault: Fault, fault_after: u64, count: usize) -> (Vec<AccessUnit>, Vec<AccessUnit>) {
    let options = Options { fault: Some(fault), fault_after, audio: true, ..options() };
    let camera = camera_sim::start(options).await.unwrap();
    let mut source = connect(&camera.access(), &Limits::default()).await.unwrap();
    pull(&mut source, 0).await;
    let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
    while pictures.len() < count {
        let unit = unit(&mut source).await;
        (if unit.track == 0 { &mut pictures } else { &mut sounds }).push(unit);
    }
    for units in [&pictures, &sounds] {
        assert!(units.windows(2).all(|pair| pair[1].time > pair[0].time), "{fault}");
    }
    (pictures, sounds)
}

fn marks(units: &[AccessUnit]) -> Vec<usize> {
    units.iter().enumerate().filter(|(_, unit)| unit.discontinuity).map(|(n, _)| n).collect()
}

fn assert_even(units: &[AccessUnit]) {
    for pair in units.windows(2) {
        assert_eq!(pair[1].time - pair[0].time, STEP);
        assert_eq!(pair[1].presentation_delta, 0);
    }
}

#[tokio::test]
async fn sequence_and_timestamp_wrap_unseen() {
    let (units, sounds) = units_with(Fault::Wrap, 0, 30).await;
    assert_eq!(units[0].time, 0);
    assert!(units[0].key_frame && units[20].key_frame);
    assert_eq!(marks(&units), [0], "only the beginning of the run is marked");
    assert_eq!(marks(&sounds), [0]);
    assert_even(&units);
}

#[tokio::test]
async fn a_clock_set_in_sender_reports_moves_nothing() {
    let (units, sounds) = units_with(Fault::RtcpJump, 5, 30).await;
    assert_eq!((marks(&units), marks(&sounds)), (vec![0], vec![0]));
    assert_even(&units);
}

#[tokio::test]
async fn a_jump_of_rtp_time_is_marked_and_time_goes_on() {
    let (units, sounds) = units_with(Fault::TimestampJump, 5, 30).await;
    assert_eq!(marks(&units), [0, 5]);
    assert_eq!(marks(&sounds).len(), 2);
    // An hour is 324 000 000 ticks; the wall clock went on by one picture.
    assert!(units[5].time - units[4].time < 90_000 * 10, "{}", units[5].time - units[4].time);
    assert_even(&units[6..]);
}

#[tokio::test]
async fn a_lost_packet_marks_what_follows() {
    let (units, sounds) = units_with(Fault::Loss, 0, 45).await;
    let marks = marks(&units);
    assert!(marks.len() >= 2 && marks[0] == 0, "{marks:?}");
    assert_eq!(self::marks(&sounds), [0], "no packet of the sound was lost");
}

#[tokio::test]
async fn picture_and_sound_keep_together() {
    let options = Options { audio: true, auth: Auth::Basic, absolute_control: true, ..options() };
    let camera = camera_sim::start(options).await.unwrap();
    let mut source = connect(&camera.access(), &Limits::default()).await.unwrap();
    let (tracks, started_at, units) = pull(&mut source, 200).await;
    assert!(started_at.0 > 1_700_000_000_000);
    let kinds: Vec<_> = tracks.iter().map(|track| (track.id, track.kind, track.codec.as_str())).collect();
    assert_eq!(kinds[0].1, TrackKind::Video);
    assert_eq!(kinds[1], (1, TrackKind::Audio, "ulaw"));
    assert_eq!((tracks[1].timescale, tracks[1].sample_rate, tracks[1].channels), (8_000, 8_000, 1));
    let last = |track: u8, scale: i64| {
        units.iter().rfind(|unit| unit.track == track).expect("both tracks come").time * 1_000 / scale
    };
    let apart = last(0, 90_000) - last(1, 8_000);
    assert!(apart.abs() < 1_000, "{apart} ms");
}

#[tokio::test]
async fn pictures_come_over_udp_where_there_is_nothing_else() {
    let camera = camera_sim::start(Options { audio: true, ..options() }).await.unwrap();
    let mut source = watch(&camera.access(), Rendition::Main, Transport::Udp).await;
    let (tracks, _, units) = pull(&mut source, 60).await;
    assert_eq!(tracks.len(), 2);
    assert!(units.iter().any(|unit| unit.track == 1));
}

#[tokio::test]
async fn the_generated_picture_is_live_in_both_renditions() {
    let defaults = Options::default();
    let options = Options { main: defaults.main, sub: defaults.sub, ..options() };
    let camera = camera_sim::start(options).await.unwrap();
    let access = camera.access();
    for (rendition, size) in [(Rendition::Main, (1_280, 720)), (Rendition::Sub, (640, 360))] {
        let mut source = watch(&access, rendition, Transport::Tcp).await;
        let (tracks, _, units) = pull(&mut source, 5).await;
        assert_eq!((tracks[0].width, tracks[0].height), size);
        assert!(units[0].key_frame);
    }
}
