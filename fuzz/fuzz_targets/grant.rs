//! Grants of epochs and of the past, opened with a key that fits none; and the
//! pairing part of a link.
#![no_main]

use model::wire::Envelope;
use seal::envelope::PayloadType;
use seal::grant::{EpochGrant, PastGrant};
use seal::keys::KemSecret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(pairing) = seal::pairing::Pairing::parse(text)
    {
        assert_eq!(*pairing.to_text(), text.to_ascii_lowercase());
    }
    let key = KemSecret::from_seed([7; 32]);
    let of = |kind: PayloadType| Envelope {
        payload_type: kind.as_str().to_owned(),
        payload: data.to_vec().into(),
        signatures: Vec::new(),
    };
    if let Ok(grant) = EpochGrant::claimed(&of(PayloadType::EpochGrant)) {
        assert!(grant.open(grant.device, &key).is_err());
    }
    if let Ok(grant) = PastGrant::claimed(&of(PayloadType::PastGrant)) {
        assert!(grant.open(grant.device, &key).is_err());
    }
});
