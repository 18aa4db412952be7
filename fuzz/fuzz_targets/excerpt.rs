//! Proofs of exports, as strangers hand them in.
#![no_main]

use seal::keys::SigningKey;
use seal::recording::Excerpt;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The gateway's of the seeds.
    let key = SigningKey::from_seed([0x62; 32]).verifying_key();
    let mut rest = data;
    while let Ok((excerpt, after)) = Excerpt::parse(rest) {
        assert!(after.len() < rest.len());
        let _ = excerpt.verify(&key);
        for index in 0..excerpt.parts.len().min(64) {
            let _ = excerpt.open(index);
        }
        rest = after;
    }
});
