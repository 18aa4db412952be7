//! What policies are asked, in words of the schema (`policies/schema.cedarschema`).
//! `decide` makes one from facts; the tools that check, test and compare sets
//! of policies make them from a description of an organisation. Ids are texts,
//! because a description may name a camera `door`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::Timestamp;
use seal::action::ServicePermission;
use seal::role::{Place, Role, Roles};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub asker: Asker,
    pub operation: Operation,
    pub object: Object,
    pub circumstances: Circumstances,
}

/// The principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    Person(PersonAsker),
    Gateway { id: String, posture: Posture },
    Service { id: String, opens: BTreeSet<String>, permissions: BTreeSet<ServicePermission> },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonAsker {
    pub id: String,
    pub has_device: bool,
    /// Places that the roster lets the person's devices open.
    pub opens: BTreeSet<String>,
    pub views: BTreeSet<String>,
    pub operates: BTreeSet<String>,
    pub audits: BTreeSet<String>,
    pub installs: BTreeSet<String>,
    pub administers: bool,
}

/// The resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    Organisation { id: String, administrators_needed: u32 },
    Gateway { id: String, posture: Posture },
    Camera { id: String, gateway: String, groups: BTreeSet<String>, posture: Posture },
    Device { id: String, owner: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    pub now: Timestamp,
    /// The session was opened with two factors.
    pub second_factor: bool,
    /// Different administrators whose devices signed.
    pub approvals: u32,
    pub network: Option<IpAddr>,
    pub reason: Option<String>,
}

/// What the last measurement of a camera or gateway amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posture {
    Good,
    Failing,
    /// Nobody has measured it.
    #[default]
    Unknown,
}

impl Posture {
    pub const ALL: [Posture; 3] = [Posture::Good, Posture::Failing, Posture::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Posture::Good => "good",
            Posture::Failing => "failing",
            Posture::Unknown => "unknown",
        }
    }
}

impl Circumstances {
    /// A request at this time that brings nothing with it.
    pub fn at(now: Timestamp) -> Self {
        Circumstances { now, second_factor: false, approvals: 0, network: None, reason: None }
    }
}

impl PersonAsker {
    /// Whoever has no role anywhere is viewer and operator of what the roster
    /// opens: an organisation that needs no roles assigns none.
    pub fn with_roles(self, roles: &Roles) -> Self {
        self.with_places(roles.iter().map(|assignment| (assignment.role, assignment.place.to_string())))
    }

    /// The same, with places whose ids are any names.
    pub fn with_places(mut self, roles: impl IntoIterator<Item = (Role, String)>) -> Self {
        let mut any = false;
        for (role, place) in roles {
            let places = match role {
                Role::Viewer => &mut self.views,
                Role::Operator => &mut self.operates,
                Role::Auditor => &mut self.audits,
                Role::Installer => &mut self.installs,
            };
            places.insert(place);
            any = true;
        }
        if any {
            return self;
        }
        let everywhere = BTreeSet::from([Place::All.to_string()]);
        PersonAsker { views: everywhere.clone(), operates: everywhere, ..self }
    }
}

impl Question {
    /// What was measured of asker and object, by their ids.
    pub(super) fn postures(&self) -> BTreeMap<&str, &'static str> {
        let asker = match &self.asker {
            Asker::Gateway { id, posture } => Some((id.as_str(), posture.as_str())),
            Asker::Person(_) | Asker::Service { .. } => None,
        };
        let object = match &self.object {
            Object::Gateway { id, posture } | Object::Camera { id, posture, .. } => {
                Some((id.as_str(), posture.as_str()))
            }
            Object::Organisation { .. } | Object::Device { .. } => None,
        };
        asker.into_iter().chain(object).collect()
    }
}

impl Asker {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Asker::Person(_) => "Person",
            Asker::Gateway { .. } => "Gateway",
            Asker::Service { .. } => "Service",
        }
    }
}

impl Object {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Object::Organisation { .. } => "Organisation",
            Object::Gateway { .. } => "Gateway",
            Object::Camera { .. } => "Camera",
            Object::Device { .. } => "Device",
        }
    }

    /// The scopes that it belongs to.
    pub(super) fn places(&self) -> Vec<String> {
        match self {
            Object::Organisation { .. } => vec!["all".to_owned()],
            Object::Gateway { id, .. } => vec!["all".to_owned(), format!("gateway:{id}")],
            Object::Camera { id, gateway, groups, .. } => {
                let mut places = vec!["all".to_owned(), format!("gateway:{gateway}"), format!("camera:{id}")];
                places.extend(groups.iter().map(|group| format!("group:{group}")));
                places
            }
            Object::Device { .. } => Vec::new(),
        }
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The action, as the schema names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            pub const ALL: &[Operation] = &[$(Operation::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Operation::$name => $text,)*
                }
            }
        }
    };
}

operations! {
    /// Having the camera in lists.
    See = "see";
    ListRecordings = "listRecordings";
    Live = "live";
    Playback = "playback";
    Audio = "audio";
    Export = "export";
    Ptz = "ptz";
    Share = "share";
    Lock = "lock";
    Delete = "delete";
    MintRead = "mintRead";
    Configure = "configure";
    Enrol = "enrol";
    ListCameras = "listCameras";
    ListGateways = "listGateways";
    ReadHistory = "readHistory";
    Invite = "invite";
    Propose = "propose";
    Approve = "approve";
    AssignRoles = "assignRoles";
    CreateServiceAccount = "createServiceAccount";
    ListStorage = "listStorage";
    BreakGlass = "breakGlass";
    ReadGrants = "readGrants";
    MintUpload = "mintUpload";
}

impl Operation {
    /// What people do to a camera.
    pub const OF_CAMERAS: [Operation; 11] = [
        Operation::See,
        Operation::Live,
        Operation::Playback,
        Operation::Audio,
        Operation::ListRecordings,
        Operation::Export,
        Operation::Ptz,
        Operation::Share,
        Operation::Lock,
        Operation::Delete,
        Operation::MintRead,
    ];

    /// To a site.
    pub const OF_GATEWAYS: [Operation; 2] = [Operation::Configure, Operation::Enrol];

    /// In the organisation as a whole.
    pub const OF_ORGANISATIONS: [Operation; 10] = [
        Operation::ListCameras,
        Operation::ListGateways,
        Operation::ReadHistory,
        Operation::Invite,
        Operation::Propose,
        Operation::Approve,
        Operation::AssignRoles,
        Operation::CreateServiceAccount,
        Operation::ListStorage,
        Operation::BreakGlass,
    ];

    /// What programs do to a camera, and in the organisation.
    pub const OF_PROGRAMS: ([Operation; 2], [Operation; 3]) = (
        [Operation::See, Operation::ListRecordings],
        [Operation::ListCameras, Operation::ListGateways, Operation::ReadHistory],
    );

    pub fn named(text: &str) -> Option<Self> {
        Operation::ALL.iter().copied().find(|operation| operation.as_str() == text)
    }
}
