//! What a proof says of a recording's time.
#![no_main]

use seal::dating::{Dated, Dating};
use seal::tlog::LogKey;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(Some((dating, rest))) = Dating::parse(data) else { return };
    // One spelling, and nothing of what follows is eaten.
    assert_eq!([dating.to_bytes().as_slice(), rest].concat(), data);
    let hash = model::Hash([7; 32]);
    let of = Dated { org: model::OrgId::from_random([1; 16]), id: hash, root: hash, checkpoint: None };
    if let Ok(log) = LogKey::parse(&dating.log) {
        let _ = dating.verify(of, &log, &[]);
    }
});
