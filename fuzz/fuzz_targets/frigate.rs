//! What somebody publishes where Frigate does, line by line.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway_core::frigate::fuzz_messages(data);
});
