//! A recording file of anybody.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(recording) = seal::recording::Recording::parse(data) {
        assert!(recording.chunks_end() <= data.len());
        assert!(recording.chunks.iter().map(|chunk| chunk.ciphertext.len()).sum::<usize>() <= data.len());
    }
});
