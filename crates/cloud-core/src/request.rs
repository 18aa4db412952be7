//! What is asked, by whom, and what is known about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::wire::UploadObject;
use model::{
    BookmarkId, CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, PersonId, Rendition, RequestId,
    ServiceId, ShareId, Timestamp, WallId,
};
use seal::action::ServicePermission;
use seal::role::Roles;

use crate::policy::Posture;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the history knows it by.
    pub id: Option<RequestId>,
    /// The organisation in whose name the principal was authenticated.
    pub org: OrgId,
    pub principal: Principal,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Authenticated by its client certificate.
    Gateway(GatewayId),
    /// Authenticated by a session. `device` stands if the session was opened
    /// with a device key and not with a passkey.
    Person { person: PersonId, device: Option<DeviceId> },
    /// Authenticated by the token of its account.
    Service(ServiceId),
    /// Whoever proved to hold the recovery sheet.
    Sheet(DeviceId),
    /// Whoever proved to hold the link of a share.
    Link(ShareId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A token that creates this one object.
    MintUpload(UploadObject),
    /// Reading a sealed recording.
    Playback {
        camera: CameraId,
        recording: Hash,
    },
    /// Reading sealed events: what the camera said, and no picture. Without a
    /// recording, since an hour of them is read in one go.
    ReadEvents {
        camera: CameraId,
    },
    /// Saying that something happens at a camera: what is recorded meanwhile is
    /// forwarded first.
    RaiseEvent {
        camera: CameraId,
        seconds: u32,
    },
    /// Watching a stream as it comes in.
    Live {
        camera: CameraId,
        rendition: Rendition,
    },
    /// Listing what was recorded; an export is this and `Playback`.
    ListRecordings {
        camera: CameraId,
    },
    /// Passing a signed command to a site.
    Configure {
        gateway: GatewayId,
        /// SHA-256 of the command.
        command: Hash,
        signers: Vec<DeviceId>,
        /// False of a connection test, for which one signature is enough.
        changes_site: bool,
    },
    /// Handing the roster to a gateway that came with an enrolment code.
    Enrol {
        gateway: GatewayId,
    },
    /// Letting a person make an account.
    Invite {
        person: PersonId,
    },
    /// A link by which a person's new device asks to be let in.
    LinkDevice {
        person: PersonId,
    },
    /// Turning a device away that asks to be let in.
    DeclineDevice {
        device: DeviceId,
    },
    /// Letting keys of the past be handed on to a device, as an administrator's
    /// device signed it.
    OpenPast {
        device: DeviceId,
        from: Timestamp,
        signature: Hash,
    },
    /// Handing on the keys of so many epochs.
    HandOn {
        device: DeviceId,
        epochs: usize,
    },
    /// Adding a statement that the roster's own rules have accepted.
    AppendRoster {
        statement: Hash,
    },
    /// The same, signed by the recovery sheet, of whoever proved to hold it.
    UseSheet {
        statement: Hash,
    },
    /// Asking other administrators to agree on what needs several of them.
    Propose {
        proposal: Hash,
    },
    /// Agreeing with what another administrator proposed.
    Approve {
        proposal: Hash,
    },
    /// Closing a proposal without its effect.
    Decline {
        proposal: Hash,
    },
    /// Taking footage out, as the person's device signed it.
    Export {
        camera: CameraId,
        from: Timestamp,
        to: Timestamp,
        signature: Hash,
    },
    /// Moving a camera: what each order says, the device signs for its gateway.
    Ptz {
        camera: CameraId,
    },
    /// Changing the positions that a camera remembers, as a device signed it.
    ChangePresets {
        camera: CameraId,
        signature: Hash,
    },
    /// Writing a note about a stretch of a camera's time.
    Bookmark {
        camera: CameraId,
        bookmark: BookmarkId,
    },
    /// Locking what was recorded then against retention, as a device signed it.
    LockFootage {
        camera: CameraId,
        bookmark: BookmarkId,
        signature: Hash,
    },
    /// Locking less than before, or nothing.
    LiftLock {
        camera: CameraId,
        bookmark: BookmarkId,
        signature: Hash,
    },
    RemoveBookmark {
        bookmark: BookmarkId,
    },
    /// Putting footage of a camera into a capsule that a link opens, as the
    /// person's device signed it.
    Share {
        share: ShareId,
        camera: CameraId,
        from: Timestamp,
        to: Timestamp,
        signature: Hash,
    },
    /// Handing the capsule to whoever holds the link.
    OpenShare {
        share: ShareId,
    },
    /// Having a link open nothing any more.
    EndShare {
        share: ShareId,
    },
    ReadHistory,
    /// Looking at the cameras in one's scope, and at the gateways.
    ListCameras,
    ListGateways,
    /// An account for a program, as an administrator's device signed it.
    CreateServiceAccount {
        account: ServiceId,
        signature: Hash,
    },
    RevokeServiceAccount {
        account: ServiceId,
    },
    /// Giving a person these roles in place of those before, as
    /// administrators' devices signed it.
    AssignRoles {
        person: PersonId,
        signature: Hash,
    },
    /// Forgetting who a person was, as administrators' devices signed it.
    ErasePerson {
        person: PersonId,
        signature: Hash,
    },
    /// Putting a set of policies in force, as administrators' devices signed it.
    SetPolicy {
        digest: Hash,
        signature: Hash,
    },
    /// Saying why one looks at what one looks at.
    StateReason {
        reference: Hash,
    },
    /// Saving or removing an arrangement of cameras, one's own or, as an
    /// administrator, one that is shared.
    ArrangeWall {
        wall: WallId,
    },
    /// Opening a session.
    SignIn {
        way: SignInWay,
    },
    /// Signing somebody out everywhere.
    EndSessions {
        person: PersonId,
    },
    /// What an identity provider or a directory says about a person, or about
    /// a group: the person who came from there, or the directory's program.
    Provision {
        about: Provisioned,
        change: ProvisionChange,
    },
    /// Changing how a person signs in.
    ChangeFactors {
        person: PersonId,
        change: FactorChange,
    },
    /// Having gateways tell a device of events by way of a push service. It opens
    /// nothing: whether a notice goes out is decided for each.
    OrderNotices {
        device: DeviceId,
    },
    /// Having them tell it nothing any more.
    EndNotices {
        device: DeviceId,
    },
    /// Having a person told of events by e-mail. It opens nothing, and what the mails
    /// say nobody chooses.
    OrderMail {
        person: PersonId,
    },
    EndMail {
        person: PersonId,
    },
    /// Reading the keys that were sealed to a device.
    ReadGrants {
        epoch: EpochId,
        device: DeviceId,
    },
}

/// What happens to a person's ways of signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorChange {
    AddPasskey,
    RenamePasskey,
    RemovePasskey,
    SetPassword,
    RemovePassword,
    MakeRecoveryCodes,
    UseRecoveryCode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInWay {
    Passkey,
    Password,
    Device,
    /// An OpenID provider.
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioned {
    Person(PersonId),
    /// The id of a directory's group.
    Group(Hash),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisionChange {
    Create,
    /// Names and numbers, which decide nothing.
    Describe,
    Disable,
    Enable,
    /// Groups of a person, or members of a group.
    Membership,
    Delete,
}

/// What the database and the roster say, gathered by the caller. An absent
/// fact never permits anything.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Gateways that the request names, as the roster has them.
    pub gateways: BTreeMap<GatewayId, GatewayFacts>,
    /// Cameras that the request names.
    pub cameras: BTreeMap<CameraId, CameraFacts>,
    /// The person who asks.
    pub person: Option<PersonFacts>,
    /// The program that asks.
    pub service: Option<ServiceFacts>,
    /// The share whose link was shown.
    pub share: Option<ShareFacts>,
    /// For each device that the request names: whose it is.
    pub device_owners: BTreeMap<DeviceId, PersonId>,
    /// Devices among those named that are administrators now.
    pub administrators: Vec<DeviceId>,
    /// Different administrators whose devices signed what is asked.
    pub approvals: u32,
    /// How many of them the roster demands.
    pub administrators_needed: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct ShareFacts {
    pub org: OrgId,
    pub until: Timestamp,
    /// Somebody ended it.
    pub withdrawn: bool,
    /// How often it can still be opened; none: any number of times.
    pub openings_left: Option<u32>,
    /// The roster lets the person who shared it open all of its cameras, now.
    pub sharer_may_open: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct GatewayFacts {
    pub org: OrgId,
    pub revoked: bool,
    pub posture: Posture,
}

#[derive(Clone, Debug)]
pub struct CameraFacts {
    /// The gateway that the roster binds it to.
    pub gateway: GatewayId,
    pub groups: BTreeSet<String>,
    pub posture: Posture,
    /// The roster lets the person who asks open it, now; or it is in the scope
    /// of the program that asks.
    pub person_may_open: bool,
    /// And hear it.
    pub person_may_hear: bool,
}

#[derive(Clone, Debug)]
pub struct ServiceFacts {
    pub org: OrgId,
    pub ends_at: Timestamp,
    pub permissions: BTreeSet<ServicePermission>,
    /// Places in the account's scope, as policies name them.
    pub opens: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct PersonFacts {
    pub org: OrgId,
    pub session_ends_at: Timestamp,
    /// The person's devices that are in force now.
    pub devices: Vec<DeviceId>,
    /// One of them is an administrator.
    pub administrator: bool,
    /// Places that the roster lets the devices open, as policies name them.
    pub opens: BTreeSet<String>,
    pub roles: Roles,
    /// The person's groups elsewhere give the roles: where they give none, the
    /// person has none, and is not viewer and operator of everything.
    pub grouped: bool,
    /// The session was opened with two factors.
    pub second_factor: bool,
    /// Where the request comes from.
    pub network: Option<IpAddr>,
    /// What the person gave as the reason for what this session looks at.
    pub reason: Option<String>,
}

impl Principal {
    pub(crate) fn device(&self) -> Option<DeviceId> {
        match self {
            Principal::Gateway(_) | Principal::Service(_) | Principal::Link(_) => None,
            Principal::Sheet(device) => Some(*device),
            Principal::Person { device, .. } => *device,
        }
    }

    pub(crate) fn actor(&self) -> String {
        match self {
            Principal::Gateway(gateway) => gateway.to_string(),
            Principal::Person { person, .. } => person.to_string(),
            Principal::Service(service) => service.to_string(),
            Principal::Sheet(device) => device.to_string(),
            Principal::Link(share) => share.to_string(),
        }
    }
}

impl FactorChange {
    fn name(self) -> &'static str {
        match self {
            FactorChange::AddPasskey => "add_passkey",
            FactorChange::RenamePasskey => "rename_passkey",
            FactorChange::RemovePasskey => "remove_passkey",
            FactorChange::SetPassword => "set_password",
            FactorChange::RemovePassword => "remove_password",
            FactorChange::MakeRecoveryCodes => "make_recovery_codes",
            FactorChange::UseRecoveryCode => "use_recovery_code",
        }
    }
}

impl SignInWay {
    fn name(self) -> &'static str {
        match self {
            SignInWay::Passkey => "passkey",
            SignInWay::Password => "password",
            SignInWay::Device => "device",
            SignInWay::Provider => "identity provider",
        }
    }
}

impl ProvisionChange {
    fn name(self, about: Provisioned) -> &'static str {
        match (about, self) {
            (Provisioned::Person(_), ProvisionChange::Create) => "create_person",
            (Provisioned::Person(_), ProvisionChange::Describe) => "describe_person",
            (Provisioned::Person(_), ProvisionChange::Disable) => "disable_person",
            (Provisioned::Person(_), ProvisionChange::Enable) => "enable_person",
            (Provisioned::Person(_), ProvisionChange::Membership) => "set_groups",
            (Provisioned::Person(_), ProvisionChange::Delete) => "remove_person",
            (Provisioned::Group(_), ProvisionChange::Create) => "create_group",
            (Provisioned::Group(_), ProvisionChange::Membership) => "set_members",
            (Provisioned::Group(_), ProvisionChange::Delete) => "remove_group",
            (Provisioned::Group(_), _) => "describe_group",
        }
    }
}

impl Action {
    /// The word that stands in the history.
    pub fn name(&self) -> &'static str {
        match self {
            Action::MintUpload(_) => "mint_upload",
            Action::Playback { .. } => "playback",
            Action::ReadEvents { .. } => "read_events",
            Action::Live { .. } => "live",
            Action::RaiseEvent { .. } => "raise_event",
            Action::ListRecordings { .. } => "list_recordings",
            Action::Configure { .. } => "configure",
            Action::Enrol { .. } => "enrol",
            Action::Invite { .. } => "invite",
            Action::LinkDevice { .. } => "link_device",
            Action::DeclineDevice { .. } => "decline_device",
            Action::OpenPast { .. } => "open_past",
            Action::HandOn { .. } => "hand_on",
            Action::AppendRoster { .. } => "append_roster",
            Action::UseSheet { .. } => "use_sheet",
            Action::Propose { .. } => "propose",
            Action::Approve { .. } => "approve",
            Action::Decline { .. } => "decline",
            Action::Export { .. } => "export",
            Action::Ptz { .. } => "ptz",
            Action::ChangePresets { .. } => "change_presets",
            Action::Bookmark { .. } => "bookmark",
            Action::LockFootage { .. } => "lock_footage",
            Action::LiftLock { .. } => "lift_lock",
            Action::RemoveBookmark { .. } => "remove_bookmark",
            Action::Share { .. } => "share",
            Action::OpenShare { .. } => "open_share",
            Action::EndShare { .. } => "end_share",
            Action::ReadHistory => "read_history",
            Action::ListCameras => "list_cameras",
            Action::ListGateways => "list_gateways",
            Action::CreateServiceAccount { .. } => "create_service_account",
            Action::RevokeServiceAccount { .. } => "revoke_service_account",
            Action::AssignRoles { .. } => "assign_roles",
            Action::ErasePerson { .. } => "erase_person",
            Action::SetPolicy { .. } => "set_policy",
            Action::StateReason { .. } => "state_reason",
            Action::ArrangeWall { .. } => "arrange_wall",
            Action::SignIn { .. } => "sign_in",
            Action::EndSessions { .. } => "end_sessions",
            Action::Provision { about, change } => change.name(*about),
            Action::ChangeFactors { change, .. } => change.name(),
            Action::OrderNotices { .. } => "order_notices",
            Action::EndNotices { .. } => "end_notices",
            Action::OrderMail { .. } => "order_mail",
            Action::EndMail { .. } => "end_mail",
            Action::ReadGrants { .. } => "read_grants",
        }
    }

    /// SHA-256 of what a device signed for it.
    pub(crate) fn signature(&self) -> Option<Hash> {
        match self {
            Action::AppendRoster { statement: hash }
            | Action::UseSheet { statement: hash }
            | Action::Propose { proposal: hash }
            | Action::Approve { proposal: hash }
            | Action::Export { signature: hash, .. }
            | Action::Share { signature: hash, .. }
            | Action::ChangePresets { signature: hash, .. }
            | Action::LockFootage { signature: hash, .. }
            | Action::LiftLock { signature: hash, .. }
            | Action::OpenPast { signature: hash, .. }
            | Action::CreateServiceAccount { signature: hash, .. }
            | Action::AssignRoles { signature: hash, .. }
            | Action::ErasePerson { signature: hash, .. }
            | Action::SetPolicy { signature: hash, .. }
            | Action::Configure { command: hash, .. } => Some(*hash),
            _ => None,
        }
    }

    /// What it is done to, as it stands in the history.
    pub fn resource(&self) -> String {
        match self {
            Action::MintUpload(object) => {
                format!("{}/{} {} {}", object.container.as_str(), object.name, object.bytes, object.sha256)
            }
            Action::Playback { camera, recording } => format!("{camera} {recording}"),
            Action::Live { camera, rendition } => format!("{camera} {rendition}"),
            Action::RaiseEvent { camera, seconds } => format!("{camera} {seconds}"),
            Action::ListRecordings { camera }
            | Action::ReadEvents { camera }
            | Action::Ptz { camera }
            | Action::ChangePresets { camera, .. } => camera.to_string(),
            Action::Configure { gateway, .. } | Action::Enrol { gateway } => gateway.to_string(),
            Action::Invite { person }
            | Action::LinkDevice { person }
            | Action::EndSessions { person }
            | Action::AssignRoles { person, .. }
            | Action::ErasePerson { person, .. }
            | Action::OrderMail { person }
            | Action::EndMail { person }
            | Action::ChangeFactors { person, .. } => person.to_string(),
            Action::DeclineDevice { device } => device.to_string(),
            Action::ArrangeWall { wall } => wall.to_string(),
            Action::OpenPast { device, from, .. } => format!("{device} {}", from.0),
            Action::HandOn { device, epochs } => format!("{device} {epochs}"),
            Action::SignIn { way } => way.name().to_owned(),
            Action::Provision { about: Provisioned::Person(person), .. } => person.to_string(),
            Action::Provision { about: Provisioned::Group(group), .. } => group.to_string(),
            Action::SetPolicy { digest: hash, .. } | Action::StateReason { reference: hash } => {
                hash.to_string()
            }
            Action::AppendRoster { statement } | Action::UseSheet { statement } => statement.to_string(),
            Action::Propose { proposal } | Action::Approve { proposal } | Action::Decline { proposal } => {
                proposal.to_string()
            }
            Action::Bookmark { camera, bookmark }
            | Action::LockFootage { camera, bookmark, .. }
            | Action::LiftLock { camera, bookmark, .. } => format!("{camera} {bookmark}"),
            Action::RemoveBookmark { bookmark } => bookmark.to_string(),
            Action::Export { camera, from, to, .. } => format!("{camera} {}-{}", from.0, to.0),
            Action::Share { share, camera, from, to, .. } => format!("{share} {camera} {}-{}", from.0, to.0),
            Action::OpenShare { share } | Action::EndShare { share } => share.to_string(),
            Action::CreateServiceAccount { account, .. } | Action::RevokeServiceAccount { account } => {
                account.to_string()
            }
            Action::ReadHistory | Action::ListCameras | Action::ListGateways => String::new(),
            Action::OrderNotices { device } | Action::EndNotices { device } => device.to_string(),
            Action::ReadGrants { epoch, device } => format!("{epoch} {device}"),
        }
    }
}
