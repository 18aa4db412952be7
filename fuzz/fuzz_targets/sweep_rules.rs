//! A file of rules that somebody else wrote, and the sweep with them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        sweep::fuzzing::rules(text);
    }
});
