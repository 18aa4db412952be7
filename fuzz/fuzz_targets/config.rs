//! The configuration of a gateway.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = gateway::Config::parse(text) {
        assert!(!error.to_string().is_empty());
    }
});
