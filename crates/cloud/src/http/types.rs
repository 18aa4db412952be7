//! Bodies of the viewers' API that more than one handler uses, and the OpenAPI
//! spelling of types that `model` and `seal` own.

use std::collections::BTreeMap;

use model::{DeviceId, Hash, OrgId, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::verifications::VerifiedBy;

/// Names that people give to things, in characters.
pub(crate) const NAME_MAX: usize = 200;

/// The person who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    #[schema(value_type = String)]
    pub(crate) org: OrgId,
    pub(crate) org_name: String,
    #[schema(value_type = String)]
    pub(crate) person: PersonId,
    pub(crate) person_name: String,
    /// Devices of the person that are in force.
    #[schema(value_type = Vec<String>)]
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) administrator: bool,
    /// As administrators and auditors do.
    pub(crate) reads_history: bool,
    /// What confirms what widens; null if nothing but a device's key.
    pub(crate) verified_by: Option<VerifiedBy>,
    /// When a recovery code was used last: its owner wants to know.
    #[schema(value_type = Option<u64>)]
    pub(crate) recovery_used_at: Option<Timestamp>,
}

/// A passkey ceremony that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ceremony {
    #[schema(value_type = String)]
    pub(crate) ceremony: Hash,
    /// What `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` takes.
    #[schema(value_type = Object)]
    pub(crate) options: serde_json::Value,
}

/// A passkey ceremony that the page has finished. Results of the PRF
/// extension are not sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyAnswer {
    #[schema(value_type = String)]
    pub(crate) ceremony: Hash,
    /// The credential's `toJSON()`.
    #[schema(value_type = Object)]
    pub(crate) credential: serde_json::Value,
}

/// What a link carries that lets somebody in, or a device ask.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneTimeLink {
    /// Works once.
    #[schema(value_type = String)]
    pub(crate) token: Secret,
    #[schema(value_type = u64)]
    pub(crate) expires_at: Timestamp,
}

/// Signed statements of the roster, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statements {
    #[schema(value_type = Vec<EnvelopeSchema>)]
    pub(crate) statements: Vec<model::wire::Envelope>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvelopeBody {
    #[schema(value_type = EnvelopeSchema)]
    pub(crate) envelope: model::wire::Envelope,
}

/// Where the caller has got to; without it, from the beginning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    pub(crate) after: Option<u64>,
}

/// What the history shows of a recording's time (format.md section 5.2).
#[derive(ToSchema)]
#[schema(as = Dating)]
#[expect(dead_code, reason = "spells seal::dating::Dating for OpenAPI")]
pub(crate) struct DatingSchema {
    /// The log's key, as `name+hash+base64`.
    log: String,
    before: Option<BeforeSchema>,
    stored: Option<StoredSchema>,
}

/// An entry before the checkpoint that the header holds.
#[derive(ToSchema)]
#[schema(as = DatingBefore)]
#[expect(dead_code, reason = "spells seal::dating::Before for OpenAPI")]
pub(crate) struct BeforeSchema {
    seq: u64,
    leaf: String,
    proof: Vec<String>,
}

/// The batch with the recording, the entry that names it, and checkpoints with
/// that entry.
#[derive(ToSchema)]
#[schema(as = DatingStored)]
#[expect(dead_code, reason = "spells seal::dating::Stored for OpenAPI")]
pub(crate) struct StoredSchema {
    index: u32,
    count: u32,
    path: Vec<String>,
    seq: u64,
    leaf: String,
    checkpoints: Vec<PublishedSchema>,
}

#[derive(ToSchema)]
#[schema(as = DatingCheckpoint)]
#[expect(dead_code, reason = "spells seal::dating::Published for OpenAPI")]
pub(crate) struct PublishedSchema {
    note: String,
    proof: Vec<String>,
}

/// A DSSE envelope (format.md section 1.2).
#[derive(ToSchema)]
#[schema(as = Envelope)]
#[expect(dead_code, reason = "spells model::wire::Envelope for OpenAPI")]
pub(crate) struct EnvelopeSchema {
    #[schema(rename = "payloadType")]
    payload_type: String,
    /// Base64.
    payload: String,
    signatures: Vec<SignatureSchema>,
}

#[derive(ToSchema)]
#[schema(as = Signature)]
#[expect(dead_code, reason = "spells model::wire::Signature for OpenAPI")]
pub(crate) struct SignatureSchema {
    keyid: String,
    /// Base64.
    sig: String,
}

/// DEVICE of format.md section 2.
#[derive(ToSchema)]
#[schema(as = Device)]
#[expect(dead_code, reason = "spells seal::roster::Device for OpenAPI")]
pub(crate) struct DeviceSchema {
    id: String,
    person: String,
    name: String,
    /// `browser`, `app` or `cli`.
    kind: String,
    kem: String,
    sign: String,
    until: u64,
}

/// GATEWAY of format.md section 2.
#[derive(ToSchema)]
#[schema(as = GatewayKeys)]
#[expect(dead_code, reason = "spells model::wire::GatewayKeys for OpenAPI")]
pub(crate) struct GatewayKeysSchema {
    id: String,
    name: String,
    kem: String,
    sign: String,
}

/// STATUS of protocol.md.
#[derive(ToSchema)]
#[schema(as = StreamStatus)]
#[expect(dead_code, reason = "spells model::wire::StreamStatus for OpenAPI")]
pub(crate) struct StreamStatusSchema {
    camera: String,
    /// `main`, `sub` or `events`.
    rendition: String,
    /// `connecting`, `recording` or `failed`.
    state: String,
    since: u64,
    reason: Option<String>,
    bits_per_second: u64,
    codec: Option<String>,
    width: u32,
    height: u32,
    has_audio: bool,
}

/// RECORDING of protocol.md, and whether it can be read.
#[derive(ToSchema)]
#[schema(as = Recording)]
#[expect(dead_code, reason = "spells model::wire::Recording for OpenAPI")]
pub(crate) struct RecordingSchema {
    name: String,
    id: String,
    camera: String,
    /// `main`, `sub` or `events`.
    rendition: String,
    epoch: String,
    started_at: u64,
    duration_ms: u64,
    bytes: u64,
    sha256: String,
    key_frames: u32,
    root: String,
    previous_root: Option<String>,
    has_audio: bool,
    codec: String,
    available: bool,
    /// It is on its gateway alone so far.
    on_site: bool,
}

/// GAP of protocol.md.
#[derive(ToSchema)]
#[schema(as = Gap)]
#[expect(dead_code, reason = "spells model::wire::Gap for OpenAPI")]
pub(crate) struct GapSchema {
    camera: String,
    rendition: String,
    from: u64,
    to: u64,
    reason: String,
}

#[derive(ToSchema)]
#[schema(as = TimelinePart)]
#[expect(dead_code, reason = "spells model::timeline::TimelinePart for OpenAPI")]
pub(crate) struct TimelinePartSchema {
    /// From 0.
    part: u32,
    /// At most the length of a part.
    recorded_ms: u64,
    bytes: u64,
}

/// SETTINGS of protocol.md.
#[derive(ToSchema)]
#[schema(as = SiteSettings)]
#[expect(dead_code, reason = "spells model::wire::SiteSettings for OpenAPI")]
pub(crate) struct SiteSettingsSchema {
    state: String,
    bytes_max: u64,
    age_days_max: u32,
    quiet: Option<QuietSchema>,
    bandwidth: BandwidthSchema,
    /// By camera.
    forwarding: BTreeMap<String, ForwardingSchema>,
}

/// QUIET of format.md section 3.
#[derive(ToSchema)]
#[schema(as = Quiet)]
#[expect(dead_code, reason = "spells model::Quiet for OpenAPI")]
pub(crate) struct QuietSchema {
    days_max: u32,
    kinds: Vec<String>,
}

/// BANDWIDTH of format.md section 3.
#[derive(ToSchema)]
#[schema(as = Bandwidth)]
#[expect(dead_code, reason = "spells model::Bandwidth for OpenAPI")]
pub(crate) struct BandwidthSchema {
    /// kbit/s; 0 is nothing but events, null no limit.
    kilobits_max: Option<u32>,
    spans: Vec<SpanSchema>,
}

#[derive(ToSchema)]
#[schema(as = Span)]
#[expect(dead_code, reason = "spells model::Span for OpenAPI")]
pub(crate) struct SpanSchema {
    /// Minutes since midnight, UTC.
    from: u16,
    to: u16,
    kilobits_max: Option<u32>,
}

/// FORWARDING of format.md section 3.
#[derive(ToSchema)]
#[schema(as = Forwarding)]
#[expect(dead_code, reason = "spells model::Forwarding for OpenAPI")]
pub(crate) struct ForwardingSchema {
    /// `always`, `events` or `never`.
    main: String,
    sub: String,
    short_in_events: bool,
}

/// A name that somebody typed: not empty, not endless.
pub(crate) fn check_name(name: &str) -> Result<(), crate::problem::Problem> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > NAME_MAX || name.chars().any(char::is_control) {
        return Err(crate::problem::Problem::invalid(format!("A name has 1 to {NAME_MAX} characters.")));
    }
    Ok(())
}

/// Invitations and enrolments end after a day.
pub(crate) const DAY_MS: u64 = Timestamp::DAY;
