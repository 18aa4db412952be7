//! Recordings: written, read, cut off, and tampered with byte by byte.

use model::{EventId, EventKind, EventPhase, EventSource, Rendition};
use proptest::prelude::*;
use seal::event::{Batch, Event};
use seal::grant::{CameraKeys, EpochKey};
use seal::keys::SigningKey;
use seal::recording::{
    CHECKPOINT_BYTES_MAX, CHUNK_HEAD_LEN, ChunkOpener, Clock, Ended, Excerpt, ExcerptError, Finished, Header,
    Part, ReadError, Recording, RecordingWriter, SignedHeader, Track, TrackKind, Trailer, WriteError, flags,
};

use crate::fixture::{Log, T0, camera_id, gateway_id, gateway_keys, org};
use crate::grant::{camera_keys, epoch};

fn track(id: u8, kind: TrackKind, codec: &str, timescale: u32) -> Track {
    let video = kind == TrackKind::Video;
    Track {
        id,
        kind,
        codec: codec.to_owned(),
        timescale,
        description: video.then(|| vec![1, 0x64, 0, 0x1f].into()),
        width: if video { 640 } else { 0 },
        height: if video { 360 } else { 0 },
        sample_rate: if video { 0 } else { 8_000 },
        channels: u32::from(!video),
    }
}

pub(crate) fn header() -> Header {
    let keys = camera_keys();
    Header {
        algorithm: seal::recording::Algorithm::A256GCM,
        org: org(),
        camera: camera_id(),
        rendition: Rendition::Sub,
        gateway: gateway_id(),
        epoch: epoch(),
        commitment_video: keys.video.commitment(),
        commitment_audio: keys.audio.unwrap().commitment(),
        salt: vec![0x5a; 32].into(),
        roster_head: Log::populated().roster.head().1,
        checkpoint: None,
        started_at: T0,
        clock: Clock::Synchronised,
        starts_with_key_frame: true,
        tracks: vec![
            track(0, TrackKind::Video, "avc1.64001f", 90_000),
            track(1, TrackKind::Audio, "ulaw", 8_000),
        ],
    }
}

/// (track, flags, time, plaintext) of every chunk.
pub(crate) fn chunks() -> Vec<(u8, u8, u32, Vec<u8>)> {
    (0..12u32)
        .map(|n| match n % 3 {
            0 => (0, flags::KEY_FRAME, n * 6_000, vec![n as u8; 300]),
            1 => (0, 0, n * 6_000, vec![n as u8; 40]),
            _ => (1, if n == 5 { flags::DISCONTINUITY } else { 0 }, n * 533, vec![n as u8; 82]),
        })
        .collect()
}

/// With the checkpoint of the vectors of logs.
pub(crate) fn header_with_checkpoint() -> Header {
    Header { checkpoint: Some(crate::tlog::note().0), ..header() }
}

pub(crate) fn header_of_events() -> Header {
    Header { rendition: Rendition::Events, tracks: vec![seal::event::track()], ..header() }
}

/// A person who comes and goes, a bell, a camera that is down, and one that told too
/// much.
pub(crate) fn batches() -> Vec<Batch> {
    let event = |n: u8, ms, phase, kind, rule: Option<&str>, topic: &str| Event {
        id: EventId::from_random([n; 16]),
        at: T0.plus_ms(ms),
        phase,
        kind,
        rule: rule.map(str::to_owned),
        source: EventSource::Onvif,
        topic: topic.to_owned(),
    };
    let person = |ms, phase| {
        let topic = "RuleEngine/FieldDetector/ObjectsInside";
        event(1, ms, phase, EventKind::Person, Some("Einfahrt \u{2192} Tor"), topic)
    };
    let bell =
        event(2, 900, EventPhase::Happened, EventKind::Doorbell, None, "RuleEngine/MyRuleDetector/Visitor");
    let down = Event {
        source: EventSource::Gateway,
        ..event(3, 950, EventPhase::Began, EventKind::CameraDown, Some("stalled"), "lenskeep/camera_down")
    };
    vec![
        Batch { events: vec![person(0, EventPhase::Began)], left_out: 0 },
        Batch { events: vec![bell, person(850, EventPhase::Ended)], left_out: 0 },
        Batch { events: vec![down], left_out: 0 },
        Batch { events: vec![], left_out: 970 },
    ]
}

pub(crate) fn write_events() -> (Vec<u8>, Finished) {
    let keys = camera_keys();
    let (_, signer) = gateway_keys();
    let mut bytes = Vec::new();
    let audio = keys.audio.unwrap();
    let mut writer = RecordingWriter::begin(header_of_events(), &keys.video, &audio, &signer, &mut bytes);
    for (batch, time) in batches().iter().zip([0, 900, 950, 2_000]) {
        writer.seal(0, flags::KEY_FRAME, time, &[&batch.encode()], &mut bytes).unwrap();
    }
    let finished = writer.finish(Ended::Closed, 2_000, None, &signer, &mut bytes);
    (bytes, finished)
}

#[test]
fn whoever_may_watch_reads_events_and_nobody_by_the_key_of_sound() {
    let (bytes, finished) = write_events();
    let recording = Recording::parse(&bytes).unwrap();
    recording.verify(&Log::populated().roster).unwrap();
    assert_eq!((finished.footer.key_frames, recording.index.len()), (0, 0), "nobody seeks in it");
    let deaf = CameraKeys { audio: None, ..camera_keys() };
    let opener = ChunkOpener::new(&recording.header, &deaf).unwrap();
    for (chunk, batch) in recording.chunks.iter().zip(batches()) {
        let mut buffer = chunk.ciphertext.to_vec();
        let plaintext = opener.open(chunk.number, chunk.head_bytes, &mut buffer).unwrap();
        assert_eq!(Batch::read(plaintext).unwrap(), batch);
    }
}

#[test]
fn events_and_pictures_do_not_share_a_recording() {
    let pictures = Header { rendition: Rendition::Events, ..header() };
    let both = Header {
        tracks: vec![track(1, TrackKind::Video, "avc1.64001f", 90_000), seal::event::track()],
        ..header()
    };
    for header in [pictures, both, Header { tracks: vec![seal::event::track()], ..header() }] {
        let keys = camera_keys();
        let mut bytes = Vec::new();
        let signer = gateway_keys().1;
        RecordingWriter::begin(header, &keys.video, &keys.audio.unwrap(), &signer, &mut bytes);
        assert!(matches!(SignedHeader::parse(&bytes), Err(ReadError::HeaderRule(_))));
    }
}

#[test]
fn a_batch_of_events_is_read_within_its_bounds() {
    let [first, ..] = &batches()[..] else { panic!() };
    let with = |change: &dyn Fn(&mut Batch)| {
        let mut batch = first.clone();
        change(&mut batch);
        Batch::read(&batch.encode())
    };
    for (source, name) in [
        (EventSource::Onvif, "onvif"),
        (EventSource::Vapix, "vapix"),
        (EventSource::Frigate, "frigate"),
        (EventSource::Gateway, "gateway"),
    ] {
        let read = with(&|batch| batch.events[0].source = source).unwrap();
        assert!(String::from_utf8(read.encode()).unwrap().contains(&format!("\"source\":\"{name}\"")));
    }
    assert!(with(&|batch| batch.events = vec![first.events[0].clone(); 65]).is_err());
    assert!(with(&|batch| batch.events[0].rule = Some("\u{e9}".repeat(33))).is_err());
    assert!(with(&|batch| batch.events[0].topic = "x".repeat(129)).is_err());
    assert!(with(&|batch| batch.events[0].at = model::Timestamp(1 << 53)).is_err());
    assert!(Batch::read(b"{\"events\":[],\"left_out\":0,\"more\":1}").is_err());
    assert!(Batch::read(b"{\"left_out\":0,\"events\":[]}").is_err());
}

pub(crate) fn write() -> (Vec<u8>, Finished) {
    write_with(header())
}

pub(crate) fn write_with(header: Header) -> (Vec<u8>, Finished) {
    let keys = camera_keys();
    let (_, signer) = gateway_keys();
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::begin(header, &keys.video, &keys.audio.unwrap(), &signer, &mut bytes);
    for (n, (track, chunk_flags, time, plaintext)) in chunks().into_iter().enumerate() {
        let (a, b) = plaintext.split_at(4);
        assert_eq!(writer.seal(track, chunk_flags, time, &[a, b], &mut bytes).unwrap(), n as u32);
    }
    let finished = writer.finish(Ended::Closed, 800, None, &signer, &mut bytes);
    (bytes, finished)
}

/// What a reader with keys and roster makes of the bytes.
fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
    let recording = Recording::parse(bytes)?;
    recording.verify(&Log::populated().roster)?;
    let opener = ChunkOpener::new(&recording.header, &camera_keys())?;
    let open = |chunk: &seal::recording::ChunkRef<'_>| {
        let mut buffer = chunk.ciphertext.to_vec();
        opener.open(chunk.number, chunk.head_bytes, &mut buffer).map(|plain| plain.to_vec())
    };
    recording.chunks.iter().map(open).collect()
}

#[test]
fn what_was_written_is_read() {
    let (bytes, finished) = write();
    let expected: Vec<Vec<u8>> = chunks().into_iter().map(|(.., plaintext)| plaintext).collect();
    assert_eq!(read_all(&bytes).unwrap(), expected);
    assert_eq!(finished.bytes, bytes.len() as u64);
    assert_eq!(finished.sha256, seal::sha256(&bytes));
    let recording = Recording::parse(&bytes).unwrap();
    assert_eq!(recording.footer.as_ref(), Some(&finished.footer));
    assert_eq!(recording.index.len(), 4);
    for entry in &recording.index {
        assert_eq!(recording.chunks[entry.chunk as usize].offset, entry.offset as usize);
    }
}

#[test]
fn a_header_holds_a_checkpoint_of_its_bounds_and_no_longer_one() {
    let (bytes, _) = write_with(header_with_checkpoint());
    let recording = Recording::parse(&bytes).unwrap();
    recording.verify(&Log::populated().roster).unwrap();
    assert_eq!(recording.header.header, header_with_checkpoint());
    let of = |length: usize| {
        // Two bytes each: bytes are counted, not letters.
        let checkpoint = Some("\u{e9}".repeat(length / 2));
        write_with(Header { checkpoint, ..header() }).0
    };
    assert!(Recording::parse(&of(CHECKPOINT_BYTES_MAX)).is_ok());
    let too_long = of(CHECKPOINT_BYTES_MAX + 2);
    assert!(matches!(
        Recording::parse(&too_long),
        Err(ReadError::HeaderRule("a checkpoint has at most 8 KiB"))
    ));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (bytes, _) = write();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        // A flip in a length may make the file look cut off; then the chunks
        // before it are all that is read, and the reader sees no footer.
        if let Ok(plain) = read_all(&altered) {
            let recording = Recording::parse(&altered).unwrap();
            assert!(recording.is_cut_off(), "byte {at} was altered and the file looks whole");
            assert_eq!(plain, chunks().into_iter().map(|c| c.3).take(plain.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_cut_off_file_plays_to_its_last_whole_chunk() {
    let (bytes, _) = write();
    let whole = Recording::parse(&bytes).unwrap();
    let header_len = whole.header.len;
    let ends: Vec<usize> =
        whole.chunks.iter().map(|c| c.offset + CHUNK_HEAD_LEN + c.ciphertext.len()).collect();
    for cut in 0..bytes.len() {
        let result = Recording::parse(&bytes[..cut]);
        if cut < header_len {
            assert!(result.is_err());
            continue;
        }
        let recording = result.unwrap();
        assert!(recording.is_cut_off());
        assert_eq!(recording.chunks.len(), ends.iter().filter(|&&end| end <= cut).count());
        assert!(recording.verify(&Log::populated().roster).is_ok());
    }
}

#[test]
fn a_cut_off_file_is_closed_without_its_keys() {
    let (bytes, _) = write();
    let whole = Recording::parse(&bytes).unwrap();
    let cut = whole.chunks[7].offset + 5;
    let (keep, tail, footer) =
        seal::recording::close_cut_off(&Recording::parse(&bytes[..cut]).unwrap(), &gateway_keys().1);
    assert_eq!(keep, whole.chunks[7].offset);
    let closed = [&bytes[..keep], &tail].concat();
    let recording = Recording::parse(&closed).unwrap();
    recording.verify(&Log::populated().roster).unwrap();
    assert_eq!(recording.footer.as_ref(), Some(&footer));
    assert_eq!((footer.chunks, footer.ended, footer.key_frames), (7, Ended::Lost, 3));
    assert_eq!(read_all(&closed).unwrap().len(), 7);
}

#[test]
fn chunks_dropped_swapped_or_repeated_do_not_open() {
    let (bytes, _) = write();
    let recording = Recording::parse(&bytes).unwrap();
    let opener = ChunkOpener::new(&recording.header, &camera_keys()).unwrap();
    let chunk = recording.chunks[4];
    for number in [0, 3, 5, u32::MAX] {
        let mut buffer = chunk.ciphertext.to_vec();
        let result = opener.open(number, chunk.head_bytes, &mut buffer);
        assert!(matches!(result, Err(ReadError::Chunk(n)) if n == number));
    }
    let mut retimed = *chunk.head_bytes;
    retimed[11] ^= 1;
    assert!(opener.open(4, &retimed, &mut chunk.ciphertext.to_vec()).is_err());
}

#[test]
fn another_key_camera_or_gateway_is_refused() {
    let (bytes, _) = write();
    let header = SignedHeader::parse(&bytes).unwrap();
    let other = CameraKeys { video: EpochKey::from_random([9; 32]), audio: None };
    assert!(matches!(ChunkOpener::new(&header, &other), Err(ReadError::Commitment)));
    let no_audio = CameraKeys { audio: None, ..camera_keys() };
    let opener = ChunkOpener::new(&header, &no_audio).unwrap();
    let recording = Recording::parse(&bytes).unwrap();
    let sound = recording.chunks[2];
    let mut buffer = sound.ciphertext.to_vec();
    let result = opener.open(2, sound.head_bytes, &mut buffer);
    assert!(matches!(result, Err(ReadError::NoKey(1))));
    assert!(matches!(header.verify(&Log::new().roster), Err(ReadError::NotGenuine)));
}

#[test]
fn the_writer_keeps_its_bounds() {
    let keys = camera_keys();
    let (_, signer) = gateway_keys();
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::begin(header(), &keys.video, &keys.audio.unwrap(), &signer, &mut bytes);
    let before = bytes.len();
    assert_eq!(writer.seal(5, 0, 0, &[b"x"], &mut bytes), Err(WriteError::NoSuchTrack(5)));
    let huge = vec![0; 9 << 20];
    assert!(matches!(writer.seal(0, 0, 0, &[&huge], &mut bytes), Err(WriteError::ChunkTooLarge(_))));
    assert_eq!(bytes.len(), before);
    writer.seal(0, 0, 100, &[b"x"], &mut bytes).unwrap();
    assert_eq!(writer.seal(0, 0, 99, &[b"x"], &mut bytes), Err(WriteError::TimeBackwards(0)));
    let mebibyte = vec![0; 1 << 20];
    let full = loop {
        if let Err(error) = writer.seal(0, 0, 100, &[&mebibyte], &mut bytes) {
            break error;
        }
    };
    assert_eq!(full, WriteError::Full);
    writer.finish(Ended::Closed, 0, None, &signer, &mut bytes);
    assert!(Recording::parse(&bytes).unwrap().footer.is_some());
}

#[test]
fn the_trailer_leads_to_index_and_footer() {
    let (bytes, _) = write();
    let trailer = Trailer::parse(bytes.last_chunk().unwrap()).unwrap();
    assert_eq!(bytes[trailer.index_offset as usize + 4], 0xFF);
    assert_eq!(bytes[trailer.footer_offset as usize + 4], 0xFE);
    assert!(Trailer::parse(&[0; 16]).is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Recording::parse(&bytes);
        let _ = Batch::read(&bytes);
        let (good, _) = write();
        let header = SignedHeader::parse(&good).unwrap().len;
        let _ = Recording::parse(&[&good[..header], &bytes].concat());
    }
}

/// Chunks 3 to 8, of which the sound is withheld.
pub(crate) fn excerpt() -> Vec<u8> {
    let (bytes, _) = write();
    let recording = Recording::parse(&bytes).unwrap();
    let opener = ChunkOpener::new(&recording.header, &camera_keys()).unwrap();
    let mut out = Vec::new();
    Excerpt::write(&recording, &opener, (3, 6), |chunk| chunk.head.track == 0, &mut out).unwrap();
    out
}

fn opened(excerpt: &Excerpt<'_>) -> Vec<Option<Vec<u8>>> {
    (0..excerpt.parts.len()).map(|index| excerpt.open(index).map(Result::unwrap)).collect()
}

#[test]
fn an_excerpt_proves_its_chunks_and_opens_no_other() {
    let bytes = excerpt();
    let (_, signer) = gateway_keys();
    let (excerpt, rest) = Excerpt::parse(&bytes).unwrap();
    assert!(rest.is_empty());
    excerpt.verify(&signer.verifying_key()).unwrap();
    let expected = chunks().into_iter().skip(3).take(6);
    let expected: Vec<Option<Vec<u8>>> =
        expected.map(|(track, .., plaintext)| (track == 0).then_some(plaintext)).collect();
    assert_eq!(opened(&excerpt), expected);
    // What is withheld still says what it is.
    let heads = excerpt.parts.iter().map(|part| (part.head().track, part.head().time));
    assert!(heads.eq(chunks().into_iter().skip(3).take(6).map(|(track, _, time, _)| (track, time))));

    // The key of a chunk is of no use for any other, neither here nor there.
    let keys: Vec<_> = excerpt
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Shown { key, .. } => Some(key.clone()),
            Part::Withheld { .. } => None,
        })
        .collect();
    let mut swapped = excerpt.clone();
    if let Part::Shown { key, .. } = &mut swapped.parts[0] {
        *key = keys[1].clone();
    }
    assert!(matches!(swapped.open(0), Some(Err(ReadError::Chunk(3)))));

    // Two after one another, as in the file of a proof.
    let twice = [bytes.as_slice(), &bytes].concat();
    let (_, rest) = Excerpt::parse(&twice).unwrap();
    assert_eq!(rest, bytes);

    // Another gateway's word, and a recording that nobody signed to its end.
    let stranger = SigningKey::from_seed([9; 32]).verifying_key();
    assert!(matches!(excerpt.verify(&stranger), Err(ExcerptError::NotSigned("header"))));
    let (whole, _) = write();
    let cut = Recording::parse(&whole[..whole.len() - 40]).unwrap();
    let opener = ChunkOpener::new(&cut.header, &camera_keys()).unwrap();
    let refused = |recording: &Recording<'_>, stretch| {
        Excerpt::write(recording, &opener, stretch, |_| true, &mut Vec::new()).unwrap_err()
    };
    assert!(matches!(refused(&cut, (0, 1)), ExcerptError::NotClosed));
    let whole = Recording::parse(&whole).unwrap();
    for stretch in [(0, 0), (12, 1), (11, 2), (usize::MAX, 2)] {
        assert!(matches!(refused(&whole, stretch), ExcerptError::Stretch), "{stretch:?}");
    }
}

#[test]
fn every_flipped_bit_of_an_excerpt_is_noticed() {
    let bytes = excerpt();
    let (_, signer) = gateway_keys();
    let (good, _) = Excerpt::parse(&bytes).unwrap();
    let good = opened(&good);
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        let Ok((excerpt, rest)) = Excerpt::parse(&altered) else { continue };
        if !rest.is_empty() || excerpt.verify(&signer.verifying_key()).is_err() {
            continue;
        }
        // What verifies is the same; only a key may be wrong, and then nothing opens.
        let all = (0..excerpt.parts.len()).map(|index| excerpt.open(index).transpose());
        let all: Result<Vec<_>, _> = all.collect();
        assert!(all.is_err() || all.unwrap() == good, "byte {at}");
    }
    for length in 0..bytes.len() {
        assert!(Excerpt::parse(&bytes[..length]).is_err(), "{length}");
    }
}

/// A prover that leaves something out, puts it elsewhere, or takes it from
/// another recording.
#[test]
fn chunks_of_an_excerpt_stand_where_they_say() {
    let bytes = excerpt();
    let key = gateway_keys().1.verifying_key();
    let (good, _) = Excerpt::parse(&bytes).unwrap();
    let refused = |change: &dyn Fn(&mut Excerpt<'_>)| {
        let mut excerpt = good.clone();
        change(&mut excerpt);
        matches!(excerpt.verify(&key), Err(ExcerptError::OtherChunks))
    };
    assert!(refused(&|excerpt| excerpt.first += 1), "moved");
    assert!(refused(&|excerpt| drop(excerpt.parts.remove(2))), "left out");
    assert!(refused(&|excerpt| excerpt.parts.swap(0, 3)), "in another order");
    assert!(refused(&|excerpt| excerpt.parts.push(excerpt.parts[5].clone())), "one more");
    assert!(refused(&|excerpt| excerpt.parts.clear()), "none");
    assert!(refused(&|excerpt| excerpt.first = u32::MAX), "far away");
}

proptest! {
    #[test]
    fn what_is_not_an_excerpt_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Excerpt::parse(&bytes).is_err());
        prop_assert!(Excerpt::parse(&[&excerpt()[..20], &bytes].concat()).is_err());
    }
}
