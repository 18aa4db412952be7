//! What an opened chunk holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    media::fuzzing::fuzz_chunk(data);
});
