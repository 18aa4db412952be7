//! Roles (section 6): what a person does for the organisation, and where.
//! Administrators assign them by a signed action. A role narrows what the
//! roster opens and never widens it; who is an administrator stands in the
//! roster, so that is no role to be given here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use model::{CameraId, GatewayId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Of one person.
pub const ASSIGNMENTS_MAX: usize = 200;
const GROUP_CHARS_MAX: usize = 200;

pub type Roles = BTreeSet<Assignment>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watches and plays.
    Viewer,
    /// Does what a viewer does, hears, exports, moves, shares and locks.
    Operator,
    /// Reads the history.
    Auditor,
    /// Delivers signed orders to sites.
    Installer,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Auditor, Role::Installer];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Auditor => "auditor",
            Role::Installer => "installer",
        }
    }
}

/// A part of the organisation, as text `all`, `gateway:gw_…`, `group:NAME` or
/// `camera:cam_…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    All,
    Gateway(GatewayId),
    Group(String),
    Camera(CameraId),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    pub role: Role,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    #[error("a role is viewer, operator, auditor or installer")]
    Role,
    #[error("a place is `all`, `gateway:gw_…`, `group:NAME` or `camera:cam_…`")]
    Place,
    #[error("an assignment is a role and a place, as in `viewer all`")]
    Assignment,
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(RoleError::Role)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::All => f.write_str("all"),
            Place::Gateway(gateway) => write!(f, "gateway:{gateway}"),
            Place::Group(group) => write!(f, "group:{group}"),
            Place::Camera(camera) => write!(f, "camera:{camera}"),
        }
    }
}

impl FromStr for Place {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        if text == "all" {
            return Ok(Place::All);
        }
        let (kind, rest) = text.split_once(':').ok_or(RoleError::Place)?;
        match kind {
            "gateway" => rest.parse().map(Place::Gateway).map_err(|_| RoleError::Place),
            "camera" => rest.parse().map(Place::Camera).map_err(|_| RoleError::Place),
            "group" if is_name(rest) => Ok(Place::Group(rest.to_owned())),
            _ => Err(RoleError::Place),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=GROUP_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.as_str(), self.place)
    }
}

impl FromStr for Assignment {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let (role, place) = text.split_once(' ').ok_or(RoleError::Assignment)?;
        Ok(Assignment { role: role.parse()?, place: place.parse()? })
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_they_are_written() {
        for text in [
            "viewer all",
            "operator group:front doors",
            "installer gateway:gw_00000000000000000000000000000001",
            "auditor camera:cam_00000000000000000000000000000001",
        ] {
            assert_eq!(text.parse::<Assignment>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("viewer", RoleError::Assignment),
            ("administrator all", RoleError::Role),
            ("viewer everything", RoleError::Place),
            ("viewer gateway:gw_1", RoleError::Place),
            ("viewer group:", RoleError::Place),
            ("viewer group:a\nb", RoleError::Place),
            ("viewer site:x", RoleError::Place),
        ] {
            assert_eq!(text.parse::<Assignment>(), Err(error), "{text}");
        }
    }
}
