//! Proofs of possession, as anybody may send them.
#![no_main]

use seal::dpop::{PROOF_BYTES_MAX, Proof};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(proof) = Proof::parse(data) {
        assert!(data.len() <= PROOF_BYTES_MAX);
        // Whatever holds is about something.
        let _ = (proof.key(), proof.name(), proof.method().len(), proof.address().len(), proof.nonce());
    }
});
