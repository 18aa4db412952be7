use bytes::Bytes;
use media::{AudioChunk, VideoChunk, fuzzing, nal};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn video_reads_back(delta: i32, units in vec(vec(any::<u8>(), 1..200), 1..8)) {
        let data = nal::to_length_prefixed(units.iter().map(Vec::as_slice));
        let plaintext = VideoChunk::encode(delta, &data).unwrap();
        let chunk = VideoChunk::decode(plaintext).unwrap();
        prop_assert_eq!(chunk, VideoChunk { presentation_delta: delta, data });
    }

    #[test]
    fn audio_reads_back(frames in vec(vec(any::<u8>(), 1..500), 1..30)) {
        let plaintext = AudioChunk::encode(frames.iter().map(Vec::as_slice)).unwrap();
        let chunk = AudioChunk::decode(plaintext).unwrap();
        prop_assert_eq!(chunk.frames, frames.into_iter().map(Bytes::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_cut_is_noticed(frames in vec(vec(any::<u8>(), 1..50), 1..10), cut in 1usize..50) {
        let plaintext = AudioChunk::encode(frames.iter().map(Vec::as_slice)).unwrap();
        let kept = plaintext.len().saturating_sub(cut);
        match AudioChunk::decode(plaintext.slice(..kept)) {
            Ok(chunk) => prop_assert!(chunk.frames.len() < frames.len()),
            Err(_) => prop_assert!(kept < plaintext.len()),
        }
    }

    #[test]
    fn arbitrary_bytes_break_no_parser(data in vec(any::<u8>(), 0..2_000)) {
        fuzzing::fuzz_chunk(&data);
        fuzzing::fuzz_nal(&data);
        fuzzing::fuzz_jpeg(&[&[0xff, 0xd8, 0xff], &data[..]].concat());
    }

    /// Lengths that nearly fit are rarer in random bytes than in attacks.
    #[test]
    fn small_lengths_break_no_parser(data in vec(0u8..5, 0..400)) {
        fuzzing::fuzz_chunk(&data);
        fuzzing::fuzz_nal(&data);
        fuzzing::fuzz_jpeg(&[&[0xff, 0xd8, 0xff], &data[..]].concat());
    }
}
