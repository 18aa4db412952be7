//! What a statement can say. Field order is the order on the wire.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::GatewayKeys;
use model::{Base64, CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    pub org: OrgId,
    pub seq: u64,
    pub previous: Option<Hash>,
    pub at: Timestamp,
    pub statement: Statement,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Statement {
    Genesis {
        name: String,
        device: Device,
        recovery: Recovery,
        administrators: Administrators,
    },
    AddDevice {
        device: Device,
    },
    RenewDevice {
        device: DeviceId,
        until: Timestamp,
    },
    RevokeDevice {
        device: DeviceId,
    },
    AddGateway {
        gateway: GatewayKeys,
    },
    RevokeGateway {
        gateway: GatewayId,
    },
    BindCamera {
        camera: Camera,
    },
    SetAccess {
        person: PersonId,
        scope: Scope,
        audio: bool,
        until: Option<Timestamp>,
    },
    SetAdministrators {
        k: u32,
        devices: BTreeSet<DeviceId>,
    },
    /// Who else signs the history (section 7); in place of those before.
    SetWitnesses {
        #[serde(with = "by_id")]
        witnesses: BTreeMap<String, Witness>,
    },
    Veto {
        statement: Hash,
    },
    /// SHA-256 of the canonical [`State`], which whoever replays has.
    Snapshot {
        state: Hash,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    Browser,
    App,
    Cli,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub id: DeviceId,
    pub person: PersonId,
    pub name: String,
    pub kind: DeviceKind,
    pub kem: Base64,
    pub sign: Base64,
    pub until: Timestamp,
}

/// The keys on paper. Its person is whoever holds the paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    pub id: DeviceId,
    pub kem: Base64,
    pub sign: Base64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub id: CameraId,
    pub name: String,
    pub gateway: GatewayId,
    pub serial: Option<String>,
    pub certificate: Option<Hash>,
    pub groups: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    All,
    Cameras { cameras: BTreeSet<CameraId> },
    Groups { groups: BTreeSet<String> },
}

impl Scope {
    pub fn includes(&self, camera: &Camera) -> bool {
        match self {
            Scope::All => true,
            Scope::Cameras { cameras } => cameras.contains(&camera.id),
            Scope::Groups { groups } => !groups.is_disjoint(&camera.groups),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    pub person: PersonId,
    pub scope: Scope,
    /// Whether the keys of sound are granted too.
    pub audio: bool,
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrators {
    pub k: u32,
    pub devices: BTreeSet<DeviceId>,
}

/// Somebody outside the organisation who signs its history, as a C2SP
/// tlog-witness: name and Ed25519 key of the cosignatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    pub name: String,
    pub key: Base64,
}

/// What the log amounts to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub name: String,
    #[serde(with = "by_id")]
    pub devices: BTreeMap<DeviceId, Device>,
    pub revoked_devices: BTreeSet<DeviceId>,
    pub recovery: Recovery,
    #[serde(with = "by_id")]
    pub gateways: BTreeMap<GatewayId, GatewayKeys>,
    pub revoked_gateways: BTreeSet<GatewayId>,
    #[serde(with = "by_id")]
    pub cameras: BTreeMap<CameraId, Camera>,
    #[serde(with = "by_id")]
    pub access: BTreeMap<PersonId, Access>,
    pub administrators: Administrators,
    #[serde(with = "by_id")]
    pub witnesses: BTreeMap<String, Witness>,
}

impl State {
    /// What a snapshot states.
    pub fn hash(&self) -> Hash {
        crate::sha256(&crate::to_canonical(self))
    }
}

impl Statement {
    /// Whether it takes rights away and gives none.
    pub fn narrows(&self) -> bool {
        matches!(
            self,
            Statement::RevokeDevice { .. } | Statement::RevokeGateway { .. } | Statement::Veto { .. }
        )
    }
}

trait HasId {
    type Id: Ord;
    fn id(&self) -> Self::Id;
}

macro_rules! has_id {
    ($($type:ty, $field:ident: $id:ty;)*) => {$(
        impl HasId for $type {
            type Id = $id;
            fn id(&self) -> $id {
                self.$field
            }
        }
    )*};
}

has_id! {
    Device, id: DeviceId;
    GatewayKeys, id: GatewayId;
    Camera, id: CameraId;
    Access, person: PersonId;
}

impl HasId for Witness {
    type Id = String;
    fn id(&self) -> String {
        self.name.clone()
    }
}

/// A map stands as the list of its values, which carry their ids.
mod by_id {
    use super::{BTreeMap, Deserialize, HasId, Serialize};

    pub(super) fn serialize<S, V>(map: &BTreeMap<V::Id, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
        V: HasId + Serialize,
    {
        serializer.collect_seq(map.values())
    }

    pub(super) fn deserialize<'de, D, V>(deserializer: D) -> Result<BTreeMap<V::Id, V>, D::Error>
    where
        D: serde::Deserializer<'de>,
        V: HasId + Deserialize<'de>,
    {
        let values = Vec::<V>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| (value.id(), value)).collect())
    }
}
