//! The index of an hour, as it comes from a store.
#![no_main]

use seal::hour::Hour;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(hour) = Hour::read(data) else { return };
    assert_eq!(seal::to_canonical(&hour), data);
    assert!(hour.object_name(seal::sha256(data)).split('/').all(|part| part != ".."));
});
