//! A document whose text is read without its elements, or a sheet and the texts of its cells.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sweep::fuzzing::document(data));
