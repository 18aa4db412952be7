//! Transport headers that the bridge rewrites.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::rtsp::fuzzing::fuzz_interleave(data);
});
