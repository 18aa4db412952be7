//! Signed envelopes, DSSE v1 (section 1.2). The payload is carried as the exact
//! bytes that were signed; nobody writes it again before checking.

use std::collections::BTreeSet;

use model::wire::{Envelope, Signature};
use model::{DeviceId, GatewayId, Hash};

use crate::keys::{SigningKey, VerifyingKey};

pub const PAYLOAD_MAX: usize = 256 << 10;
pub const SIGNATURES_MAX: usize = 16;
/// Of Ed25519 (RFC 8032).
const SIGNATURE_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadType {
    Roster,
    Command,
    CommandResult,
    EpochGrant,
    PastGrant,
    RecordingHeader,
    RecordingFooter,
    DeviceLogin,
    SheetLogin,
    GatewayCertificate,
    Action,
    LocalGateway,
    LocalLogin,
    LocalJournal,
    Hour,
    NoticeOrder,
    PtzSession,
    PtzOrder,
    Bookmark,
    LockResult,
}

impl PayloadType {
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadType::Roster => "application/vnd.lenskeep.roster.v1+json",
            PayloadType::Command => "application/vnd.lenskeep.command.v1+json",
            PayloadType::CommandResult => "application/vnd.lenskeep.command-result.v1+json",
            PayloadType::EpochGrant => "application/vnd.lenskeep.epoch-grant.v1+json",
            PayloadType::PastGrant => "application/vnd.lenskeep.past-grant.v1+json",
            PayloadType::RecordingHeader => "application/vnd.lenskeep.recording-header.v1+json",
            PayloadType::RecordingFooter => "application/vnd.lenskeep.recording-footer.v1+json",
            PayloadType::DeviceLogin => "application/vnd.lenskeep.device-login.v1+json",
            PayloadType::SheetLogin => "application/vnd.lenskeep.sheet-login.v1+json",
            PayloadType::GatewayCertificate => "application/vnd.lenskeep.gateway-certificate.v1+json",
            PayloadType::Action => "application/vnd.lenskeep.action.v1+json",
            PayloadType::LocalGateway => "application/vnd.lenskeep.local-gateway.v1+json",
            PayloadType::LocalLogin => "application/vnd.lenskeep.local-login.v1+json",
            PayloadType::LocalJournal => "application/vnd.lenskeep.local-journal.v1+json",
            PayloadType::Hour => "application/vnd.lenskeep.hour.v1+json",
            PayloadType::NoticeOrder => "application/vnd.lenskeep.notice-order.v1+json",
            PayloadType::PtzSession => "application/vnd.lenskeep.ptz-session.v1+json",
            PayloadType::PtzOrder => "application/vnd.lenskeep.ptz-order.v1+json",
            PayloadType::Bookmark => "application/vnd.lenskeep.bookmark.v1+json",
            PayloadType::LockResult => "application/vnd.lenskeep.lock-result.v1+json",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope holds `{found}`, not `{expected}`")]
    PayloadType { expected: &'static str, found: String },
    #[error("the payload is larger than {PAYLOAD_MAX} bytes")]
    TooLarge,
    #[error("an envelope has 1 to {SIGNATURES_MAX} signatures of different keys, of 64 bytes each")]
    Signatures,
    #[error("the signature of {0} does not fit")]
    BadSignature(String),
    #[error("signed by {found}, not by {expected}")]
    Signer { expected: String, found: String },
}

/// `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
pub fn signed_bytes(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    let name = payload_type.as_str();
    let mut bytes = format!("DSSEv1 {} {name} {} ", name.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

pub fn sign(
    payload_type: PayloadType,
    payload: Vec<u8>,
    keyid: &impl ToString,
    key: &SigningKey,
) -> Envelope {
    let mut envelope = Envelope {
        payload_type: payload_type.as_str().to_owned(),
        payload: payload.into(),
        signatures: Vec::new(),
    };
    add_signature(payload_type, &mut envelope, keyid, key);
    envelope
}

/// For statements that need several administrators.
pub fn add_signature(
    payload_type: PayloadType,
    envelope: &mut Envelope,
    keyid: &impl ToString,
    key: &SigningKey,
) {
    let sig = key.sign(&signed_bytes(payload_type, &envelope.payload.0));
    envelope.signatures.push(Signature { keyid: keyid.to_string(), sig: sig.into() });
}

/// Checks shape and type and returns the payload; says nothing about who signed.
pub fn payload(payload_type: PayloadType, envelope: &Envelope) -> Result<&[u8], EnvelopeError> {
    if envelope.payload_type != payload_type.as_str() {
        return Err(EnvelopeError::PayloadType {
            expected: payload_type.as_str(),
            found: envelope.payload_type.chars().take(100).collect(),
        });
    }
    if envelope.payload.0.len() > PAYLOAD_MAX {
        return Err(EnvelopeError::TooLarge);
    }
    let signers: BTreeSet<&str> = envelope.signatures.iter().map(|s| s.keyid.as_str()).collect();
    if signers.is_empty() || signers.len() != envelope.signatures.len() || signers.len() > SIGNATURES_MAX {
        return Err(EnvelopeError::Signatures);
    }
    // What counts for nothing must have its shape too: a reader that is less
    // patient would refuse all of the log behind it.
    if !envelope.signatures.iter().all(|signature| has_shape(payload_type, signature)) {
        return Err(EnvelopeError::Signatures);
    }
    Ok(&envelope.payload.0)
}

fn has_shape(payload_type: PayloadType, Signature { keyid, sig }: &Signature) -> bool {
    let named = match payload_type {
        // Its signer has no id yet.
        PayloadType::SheetLogin => keyid.parse::<Hash>().is_ok(),
        _ => keyid.parse::<DeviceId>().is_ok() || keyid.parse::<GatewayId>().is_ok(),
    };
    named && sig.0.len() == SIGNATURE_BYTES
}

/// The key ids whose signature fits; one that `key_of` knows and does not fit
/// refuses the whole envelope, unknown ones count for nothing.
pub fn signers(
    payload_type: PayloadType,
    envelope: &Envelope,
    key_of: impl Fn(&str) -> Option<VerifyingKey>,
) -> Result<Vec<&str>, EnvelopeError> {
    let message = signed_bytes(payload_type, payload(payload_type, envelope)?);
    let mut good = Vec::new();
    for signature in &envelope.signatures {
        let Some(key) = key_of(&signature.keyid) else { continue };
        if !key.verify(&message, &signature.sig.0) {
            return Err(EnvelopeError::BadSignature(signature.keyid.clone()));
        }
        good.push(signature.keyid.as_str());
    }
    Ok(good)
}

/// For envelopes with exactly one signer, who is known: returns the payload.
pub fn verify<'e>(
    payload_type: PayloadType,
    envelope: &'e Envelope,
    keyid: &impl ToString,
    key: VerifyingKey,
) -> Result<&'e [u8], EnvelopeError> {
    let payload = payload(payload_type, envelope)?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(EnvelopeError::Signatures);
    };
    let expected = keyid.to_string();
    if signature.keyid != expected {
        return Err(EnvelopeError::Signer { expected, found: signature.keyid.chars().take(100).collect() });
    }
    if !key.verify(&signed_bytes(payload_type, payload), &signature.sig.0) {
        return Err(EnvelopeError::BadSignature(expected));
    }
    Ok(payload)
}
