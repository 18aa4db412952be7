//! A table with a column of passwords, or tuples of SQL, as a file of anybody's holds them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sweep::fuzzing::table(data));
