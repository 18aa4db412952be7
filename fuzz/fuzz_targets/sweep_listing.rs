//! The list of a container, as a store that means no good would send it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sweep::fuzzing::listing(data));
