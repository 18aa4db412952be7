//! A roster's log, replayed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok((roster, whole)) = seal::roster::read_log(text) {
        assert!(whole <= data.len());
        let (seq, head) = roster.head();
        assert!(roster.contains(seq, head));
    }
});
