//! Statements by which a device or gateway proves itself to the cloud
//! (`docs/protocol.md`): a challenge of the cloud, signed.

use model::wire::Envelope;
use model::{DeviceId, GatewayId, Hash, OrgId};
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
