//! What cameras of Axis say of how they are moved: parameters, presets, refusals.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::onvif::fuzzing::fuzz_positions(data);
});
