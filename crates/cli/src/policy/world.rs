//! An organisation to ask policies about: described in TOML for tests, or as
//! the roster and the roles have it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, bail};
use cloud_core::policy::{Asker, Circumstances, Object, Operation, PersonAsker, Posture, Question};
use model::{PersonId, Timestamp};
use seal::action::ServicePermission;
use seal::role::{Place, Role};
use seal::roster::{Roster, Scope};
use serde::Deserialize;

use super::RolesInForce;
use crate::text::printable;

/// The word for the organisation as the object of a question.
pub(super) const ORGANISATION: &str = "organisation";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct World {
    /// How many administrators the roster demands.
    administrators_needed: Option<u32>,
    pub(super) gateways: BTreeMap<String, GatewayFacts>,
    pub(super) cameras: BTreeMap<String, CameraFacts>,
    pub(super) people: BTreeMap<String, PersonFacts>,
    pub(super) programs: BTreeMap<String, ProgramFacts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GatewayFacts {
    posture: PostureText,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraFacts {
    gateway: String,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default)]
    posture: PostureText,
    /// For people to read.
    #[serde(skip)]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonFacts {
    /// Places that the roster lets the person open: `all`, `gateway:NAME`,
    /// `group:NAME`, `camera:NAME`.
    #[serde(default)]
    opens: BTreeSet<String>,
    /// As in `viewer group:doors`.
    #[serde(default)]
    roles: Vec<String>,
    /// Groups elsewhere give the roles: none is none.
    #[serde(default)]
    grouped: bool,
    #[serde(default)]
    administrator: bool,
    #[serde(default = "yes")]
    device: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgramFacts {
    opens: BTreeSet<String>,
    permissions: BTreeSet<ServicePermission>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct PostureText(Posture);

impl TryFrom<String> for PostureText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = Posture::ALL.into_iter().find(|posture| posture.as_str() == text);
        found.map(PostureText).ok_or_else(|| format!("`{text}` is no posture: good, failing or unknown"))
    }
}

fn yes() -> bool {
    true
}

/// Who does what to which, and under what circumstances.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Asked {
    /// A person, program or gateway.
    #[arg(long)]
    pub(super) who: String,
    /// An action of the schema, such as `live`.
    #[arg(long)]
    pub(super) does: String,
    /// A camera, a gateway, or `organisation`.
    #[arg(long)]
    pub(super) to: String,
    #[command(flatten)]
    pub(super) when: When,
}

/// Circumstances; whatever is left out is absent, and the time is now.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct When {
    /// RFC 3339, as in 2026-11-25T03:00:00Z.
    #[arg(long)]
    pub(super) at: Option<String>,
    /// The session was opened with two factors.
    #[arg(long)]
    pub(super) second_factor: bool,
    /// So many administrators signed.
    #[arg(long, default_value_t = 0)]
    pub(super) approvals: u32,
    /// Where the request comes from.
    #[arg(long)]
    pub(super) network: Option<IpAddr>,
    /// Why, in the person's words.
    #[arg(long)]
    pub(super) reason: Option<String>,
}

impl When {
    pub(super) fn circumstances(&self) -> anyhow::Result<Circumstances> {
        let now = crate::times::parse(self.at.as_deref().unwrap_or("now"))?;
        let When { second_factor, approvals, network, reason, .. } = self.clone();
        Ok(Circumstances { now, second_factor, approvals, network, reason })
    }
}

impl World {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str::<World>(text)?.checked()
    }

    /// What the roster says, and who has which role.
    pub(super) fn of(roster: &Roster, known_roles: &RolesInForce, now: Timestamp) -> Self {
        let RolesInForce { roles, grouped } = known_roles;
        let state = roster.state();
        let mut people: BTreeMap<PersonId, PersonFacts> = BTreeMap::new();
        let known = state.access.keys().chain(state.devices.values().map(|device| &device.person));
        for person in known.chain(roles.keys()) {
            let access = state.access.get(person).filter(|access| access.until.is_none_or(|end| now <= end));
            let opens = access.map_or_else(BTreeSet::new, |access| places(&access.scope));
            let devices: Vec<_> = roster.devices_of(*person, now).collect();
            let facts = PersonFacts {
                opens,
                roles: roles.get(person).into_iter().flatten().map(ToString::to_string).collect(),
                grouped: grouped.contains(person),
                administrator: devices.iter().any(|device| roster.is_administrator(device.id, now)),
                device: !devices.is_empty(),
            };
            people.insert(*person, facts);
        }
        let camera = |camera: &seal::roster::Camera| CameraFacts {
            gateway: camera.gateway.to_string(),
            groups: camera.groups.clone(),
            posture: PostureText::default(),
            name: printable(&camera.name),
        };
        World {
            administrators_needed: Some(state.administrators.k),
            gateways: state.gateways.keys().map(|id| (id.to_string(), GatewayFacts::default())).collect(),
            cameras: roster.cameras().map(|known| (known.id.to_string(), camera(known))).collect(),
            people: people.into_iter().map(|(id, facts)| (id.to_string(), facts)).collect(),
            programs: BTreeMap::new(),
        }
    }

    /// Names that nothing has are mistakes, and would answer no for the wrong
    /// reason.
    pub(super) fn checked(self) -> anyhow::Result<Self> {
        for (name, camera) in &self.cameras {
            if !self.gateways.contains_key(&camera.gateway) {
                bail!("camera {name}: there is no gateway `{}`", camera.gateway);
            }
        }
        for (name, person) in &self.people {
            for place in &person.opens {
                self.check_place(place).with_context(|| format!("person {name} opens"))?;
            }
            for (_, place) in roles(&person.roles).with_context(|| format!("person {name}"))? {
                self.check_place(&place).with_context(|| format!("person {name} has a role at"))?;
            }
        }
        for (name, program) in &self.programs {
            for place in &program.opens {
                self.check_place(place).with_context(|| format!("program {name} opens"))?;
            }
        }
        Ok(self)
    }

    fn check_place(&self, place: &str) -> anyhow::Result<()> {
        let known = match place.split_once(':') {
            None => place == "all",
            Some(("gateway", name)) => self.gateways.contains_key(name),
            Some(("camera", name)) => self.cameras.contains_key(name),
            Some(("group", name)) => self.cameras.values().any(|camera| camera.groups.contains(name)),
            Some(_) => false,
        };
        if known { Ok(()) } else { bail!("`{place}` is no place of this organisation") }
    }

    pub(super) fn question(&self, asked: &Asked) -> anyhow::Result<Question> {
        let operation = Operation::named(&asked.does).with_context(|| {
            let known: Vec<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
            format!("`{}` is no action; there are {}", asked.does, known.join(", "))
        })?;
        Ok(Question {
            asker: self.asker(&asked.who)?,
            operation,
            object: self.object(&asked.to)?,
            circumstances: asked.when.circumstances()?,
        })
    }

    pub(super) fn asker(&self, who: &str) -> anyhow::Result<Asker> {
        let id = who.to_owned();
        if let Some(person) = self.people.get(who) {
            let asker = PersonAsker {
                id,
                has_device: person.device,
                opens: person.opens.clone(),
                administers: person.administrator,
                ..PersonAsker::default()
            };
            if person.grouped && person.roles.is_empty() {
                return Ok(Asker::Person(asker));
            }
            return Ok(Asker::Person(asker.with_places(roles(&person.roles)?)));
        }
        if let Some(program) = self.programs.get(who) {
            let (opens, permissions) = (program.opens.clone(), program.permissions.clone());
            return Ok(Asker::Service { id, opens, permissions });
        }
        let gateway = self.gateways.get(who);
        let gateway = gateway.with_context(|| format!("there is no person, program or gateway `{who}`"))?;
        Ok(Asker::Gateway { id, posture: gateway.posture.0 })
    }

    pub(super) fn object(&self, to: &str) -> anyhow::Result<Object> {
        let id = to.to_owned();
        if let Some(camera) = self.cameras.get(to) {
            let (gateway, groups) = (camera.gateway.clone(), camera.groups.clone());
            return Ok(Object::Camera { id, gateway, groups, posture: camera.posture.0 });
        }
        if let Some(gateway) = self.gateways.get(to) {
            return Ok(Object::Gateway { id, posture: gateway.posture.0 });
        }
        if to == ORGANISATION {
            return Ok(Object::Organisation {
                id,
                administrators_needed: self.administrators_needed.unwrap_or(1),
            });
        }
        bail!("there is no camera or gateway `{to}`, nor is it `{ORGANISATION}`")
    }

    /// Without what roster and devices refuse, whatever policies say.
    pub(super) fn opens(&self, who: &str, camera: &str) -> bool {
        let (Some(person), Some(known)) = (self.people.get(who), self.cameras.get(camera)) else {
            return false;
        };
        person.device && known.is_in(camera, &person.opens)
    }

    /// Whether the policies have a say in what `who` does to `what`: the floor
    /// has refused the rest.
    pub(super) fn concerns(&self, who: &str, what: &str) -> bool {
        let gateway = self.gateways.contains_key(who);
        match self.cameras.get(what) {
            Some(camera) if gateway => camera.gateway == who,
            Some(camera) => match self.programs.get(who) {
                Some(program) => camera.is_in(what, &program.opens),
                None => self.opens(who, what),
            },
            None => !gateway || who == what,
        }
    }
}

impl CameraFacts {
    /// Whether it is at one of these places.
    fn is_in(&self, camera: &str, places: &BTreeSet<String>) -> bool {
        let opened = |place: &String| match place.split_once(':') {
            None => place == "all",
            Some(("gateway", name)) => self.gateway == name,
            Some(("camera", name)) => name == camera,
            Some(("group", name)) => self.groups.contains(name),
            Some(_) => false,
        };
        places.iter().any(opened)
    }
}

fn places(scope: &Scope) -> BTreeSet<String> {
    let text = |place: Place| place.to_string();
    match scope {
        Scope::All => BTreeSet::from([text(Place::All)]),
        Scope::Groups { groups } => groups.iter().map(|group| text(Place::Group(group.clone()))).collect(),
        Scope::Cameras { cameras } => cameras.iter().map(|camera| text(Place::Camera(*camera))).collect(),
    }
}

fn roles(texts: &[String]) -> anyhow::Result<Vec<(Role, String)>> {
    let role = |text: &String| {
        let (role, place) = text
            .split_once(' ')
            .with_context(|| format!("`{text}`: a role is given somewhere, as in `viewer all`"))?;
        Ok((role.parse().with_context(|| format!("`{text}`"))?, place.to_owned()))
    };
    texts.iter().map(role).collect()
}
