#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::capsule::{CapsuleKey, DESCRIPTION, Description};

// A capsule comes from a server that may send anything; what a description says
// is a stranger's. What is read is written again as it was.
fuzz_target!(|data: &[u8]| {
    if let Ok(description) = Description::parse(data) {
        let padded = description.padded();
        assert_eq!(Description::parse(&padded).unwrap(), description);
        assert!(description.files.iter().map(|file| u64::from(file.pieces())).sum::<u64>() < 1 << 12);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = CapsuleKey::from_link(text) {
            assert_eq!(*key.to_link(), text);
        }
    }
    let share = model::ShareId::from_random([1; 16]);
    assert!(CapsuleKey::from_random([2; 32]).open(share, DESCRIPTION, data).is_err(), "nobody sealed it");
});
