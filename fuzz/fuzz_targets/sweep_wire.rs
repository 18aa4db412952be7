//! Captured conversations: framing that is undone, and sign-ins.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sweep::fuzzing::wire(data));
