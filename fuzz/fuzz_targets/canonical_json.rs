//! What is read as canonical is written as it was.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = seal::from_canonical::<model::wire::Envelope>(data) {
        assert_eq!(seal::to_canonical(&envelope), data);
    }
    if let Ok(action) = seal::from_canonical::<seal::action::SignedAction>(data) {
        assert_eq!(seal::to_canonical(&action), data);
    }
    if let Ok(hello) = seal::from_canonical::<seal::local::LocalGateway>(data) {
        assert_eq!(seal::to_canonical(&hello), data);
    }
    if let Ok(login) = seal::from_canonical::<seal::local::LocalLogin>(data) {
        assert_eq!(seal::to_canonical(&login), data);
    }
    if let Ok(journal) = seal::from_canonical::<seal::local::LocalJournal>(data) {
        assert_eq!(seal::to_canonical(&journal), data);
    }
    if let Ok(header) = seal::from_canonical::<seal::recording::Header>(data) {
        assert_eq!(seal::to_canonical(&header), data);
    }
});
