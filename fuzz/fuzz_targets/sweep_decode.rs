//! Encodings and containers inside each other, with the rules over what comes out.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sweep::Rules;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

fuzz_target!(|data: &[u8]| sweep::fuzzing::sweep(&RULES, data));
