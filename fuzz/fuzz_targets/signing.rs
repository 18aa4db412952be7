//! Signatures of cameras in SEI messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    media::fuzzing::fuzz_signing(data);
});
