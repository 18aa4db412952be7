//! Statements by which a device or gateway proves itself to the cloud
//! (`docs/protocol.md`): a challenge of the cloud, signed.

use model::wire::Envelope;
use model::{Base64, DeviceId, GatewayId, Hash, OrgId};
use serde::{Deserialize, Serialize};

use crate::CanonicalError;
use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{SigningKey, VerifyingKey};

#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Payload(#[from] CanonicalError),
}

/// `origin` ties the proof to one cloud: another cannot pass it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceLogin {
    pub org: OrgId,
    pub device: DeviceId,
    pub challenge: Hash,
    pub origin: String,
}

impl DeviceLogin {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::DeviceLogin, crate::to_canonical(self), &self.device, key)
    }

    /// What the envelope claims, to look the key up; believe it after [`DeviceLogin::verify`].
    pub fn claimed(envelope: &Envelope) -> Result<Self, ProofError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::DeviceLogin, envelope)?)?)
    }

    pub fn verify(&self, envelope: &Envelope, key: VerifyingKey) -> Result<(), EnvelopeError> {
        envelope::verify(PayloadType::DeviceLogin, envelope, &self.device, key).map(drop)
    }
}

/// By which the recovery sheet proves itself, where nobody is left who could
/// say which organisation it is of. Signed by the key that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetLogin {
    pub key: Base64,
    pub challenge: Hash,
    pub origin: String,
}

impl SheetLogin {
    pub fn sign(challenge: Hash, origin: String, key: &SigningKey) -> Envelope {
        let public = key.verifying_key().to_base64();
        let keyid = crate::sha256(&public.0);
        let login = SheetLogin { key: public, challenge, origin };
        envelope::sign(PayloadType::SheetLogin, crate::to_canonical(&login), &keyid, key)
    }

    pub fn verified(envelope: &Envelope) -> Result<Self, ProofError> {
        let login: SheetLogin = crate::from_canonical(envelope::payload(PayloadType::SheetLogin, envelope)?)?;
        let keyid = crate::sha256(&login.key.0);
        let key = VerifyingKey::from_bytes(&login.key.0)
            .map_err(|_| EnvelopeError::BadSignature(keyid.to_string()))?;
        envelope::verify(PayloadType::SheetLogin, envelope, &keyid, key)?;
        Ok(login)
    }
}

/// Asks for the 24-hour transport certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayCertificate {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub challenge: Hash,
    /// PKCS#10 in PEM.
    pub csr: String,
}

impl GatewayCertificate {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::GatewayCertificate, crate::to_canonical(self), &self.gateway, key)
    }

    pub fn claimed(envelope: &Envelope) -> Result<Self, ProofError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::GatewayCertificate, envelope)?)?)
    }

    pub fn verify(&self, envelope: &Envelope, key: VerifyingKey) -> Result<(), EnvelopeError> {
        envelope::verify(PayloadType::GatewayCertificate, envelope, &self.gateway, key).map(drop)
    }
}
