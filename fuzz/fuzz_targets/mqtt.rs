//! What an MQTT broker sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway_core::mqtt::fuzz_reader(data);
});
