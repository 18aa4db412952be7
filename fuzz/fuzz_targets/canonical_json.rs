//! What is read as canonical is written as it was.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = seal::from_canonical::<model::wire::Envelope>(data) {
        assert_eq!(seal::to_canonical(&envelope), data);
    }
    if let Ok(action) = seal::from_canonical::<seal::action::SignedAction>(data) {
        assert_eq!(seal::to_canonical(&action), data);
    }
    if let Ok(header) = seal::from_canonical::<seal::recording::Header>(data) {
        assert_eq!(seal::to_canonical(&header), data);
    }
});
