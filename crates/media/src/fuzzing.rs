//! Entry points for the fuzzer and for the property tests that feed arbitrary
//! bytes to every parser. Each panics where an invariant breaks.

use bytes::Bytes;

use crate::{AudioChunk, CameraSignature, Codec, VideoChunk, camera_signatures, nal};

/// What decodes must encode to the same bytes.
pub fn fuzz_chunk(data: &[u8]) {
    if let Ok(chunk) = VideoChunk::decode(Bytes::copy_from_slice(data)) {
        let again = VideoChunk::encode(chunk.presentation_delta, &chunk.data);
        assert_eq!(again.as_deref(), Ok(data));
    }
    if let Ok(chunk) = AudioChunk::decode(Bytes::copy_from_slice(data)) {
        let again = AudioChunk::encode(chunk.frames.iter().map(|frame| &frame[..]));
        assert_eq!(again.as_deref(), Ok(data));
    }
}

/// Units of a byte stream hold no start code and survive the other framing.
pub fn fuzz_nal(data: &[u8]) {
    let units: Vec<_> = nal::annex_b(data).collect();
    let framed = nal::to_length_prefixed(units.iter().copied());
    let again: Vec<_> = nal::length_prefixed(&framed).map(|unit| unit.expect("just made")).collect();
    assert_eq!(units, again);
    assert!(nal::length_prefixed(data).filter_map(Result::ok).map(<[u8]>::len).sum::<usize>() <= data.len());
}

/// What is taken is a picture within bounds, no longer than what came, and read
/// once more the same.
pub fn fuzz_jpeg(data: &[u8]) {
    use crate::jpeg::{BYTES_MAX, SIDE_MAX, Still};
    if let Ok(still) = Still::read(data) {
        assert!(still.bytes().len() <= data.len() && data.len() <= BYTES_MAX);
        assert!(still.width <= SIDE_MAX && still.height <= SIDE_MAX);
        assert_eq!(Still::read(still.bytes()).as_ref(), Ok(&still));
    }
}

/// What is found was there: its UUID, but for bytes that do not count. What is
/// torn off takes nothing with it that stood before.
pub fn fuzz_signing(data: &[u8]) {
    for codec in [Codec::H264, Codec::H265] {
        let found = camera_signatures(codec, data);
        let letters = b"Signed Video...0";
        if found.contains(&CameraSignature::AxisSignedVideo) {
            assert!(data.windows(letters.len()).any(|window| window == letters), "no zeros are in it");
        }
        let half = camera_signatures(codec, &data[..data.len() / 2]);
        assert!(half.is_subset(&found));
    }
}
