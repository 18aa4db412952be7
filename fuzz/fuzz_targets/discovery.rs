//! What answers when cameras are looked for, and what it tells.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::onvif::fuzzing::fuzz_discovery(data);
});
