//! Messages and packets from a camera, as the bridge follows them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::rtsp::fuzzing::fuzz_bridge_scanner(data);
});
