//! H.264 and H.265 in both framings.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    media::fuzzing::fuzz_nal(data);
});
