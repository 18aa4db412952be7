//! What cameras say on a VAPIX event stream, line by line.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::onvif::fuzzing::fuzz_stream(data);
});
