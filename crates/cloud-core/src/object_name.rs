//! Names of objects in the store (format.md section 5). A name that parses
//! has no way out of its folder: every part is an id, a number, a digest or a
//! fixed word, so nobody downstream needs to look for `..`.

use std::fmt;

use model::wire::Container;
use model::{CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectName {
    Recording { org: OrgId, camera: CameraId, rendition: Rendition, started_at: Timestamp, root: Hash },
    EpochGrant { org: OrgId, gateway: GatewayId, epoch: EpochId, device: DeviceId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a recording or an epoch grant")]
pub struct ObjectNameError;

impl ObjectName {
    /// Reads the one spelling of a name: what it writes again must be equal.
    pub fn parse(container: Container, text: &str) -> Result<Self, ObjectNameError> {
        let name = match container {
            Container::Footage => Self::parse_recording(text),
            Container::Grants => Self::parse_grant(text),
        };
        name.filter(|name| name.to_string() == text).ok_or(ObjectNameError)
    }

    pub fn org(&self) -> OrgId {
        match self {
            ObjectName::Recording { org, .. } | ObjectName::EpochGrant { org, .. } => *org,
        }
    }

    fn parse_recording(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(8, '/').collect();
        let [org, camera, rendition, _year, _month, _day, file] = parts.as_slice() else {
            return None;
        };
        let (started_at, root) = file.strip_suffix(".lkr")?.split_once('-')?;
        let started_at = Timestamp(started_at.parse().ok()?);
        // format.md section 1: numbers stay below 2^53.
        (started_at.0 < 1 << 53).then_some(())?;
        Some(ObjectName::Recording {
            org: org.parse().ok()?,
            camera: camera.parse().ok()?,
            rendition: rendition.parse().ok()?,
            started_at,
            root: root.parse().ok()?,
        })
    }

    fn parse_grant(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(5, '/').collect();
        let [org, gateway, epoch, file] = parts.as_slice() else {
            return None;
        };
        Some(ObjectName::EpochGrant {
            org: org.parse().ok()?,
            gateway: gateway.parse().ok()?,
            epoch: epoch.parse().ok()?,
            device: file.strip_suffix(".json")?.parse().ok()?,
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Recording { org, camera, rendition, started_at, root } => {
                let (year, month, day) = started_at.utc_date();
                let started_at = started_at.0;
                write!(f, "{org}/{camera}/{rendition}/{year:04}/{month:02}/{day:02}/{started_at}-{root}.lkr")
            }
            ObjectName::EpochGrant { org, gateway, epoch, device } => {
                write!(f, "{org}/{gateway}/{epoch}/{device}.json")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> ObjectName {
        ObjectName::Recording {
            org: OrgId::from_random([1; 16]),
            camera: CameraId::from_random([2; 16]),
            rendition: Rendition::Main,
            started_at: Timestamp(1_763_836_800_000),
            root: Hash([3; 32]),
        }
    }

    #[test]
    fn names_read_back() {
        let name = recording();
        let text = name.to_string();
        assert!(text.contains("/main/2025/11/22/1763836800000-0303"), "{text}");
        assert_eq!(ObjectName::parse(Container::Footage, &text), Ok(name));
        let grant = ObjectName::EpochGrant {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([2; 16]),
            epoch: EpochId::from_random([3; 16]),
            device: DeviceId::from_random([4; 16]),
        };
        assert_eq!(ObjectName::parse(Container::Grants, &grant.to_string()), Ok(grant));
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = recording().to_string();
        let org = OrgId::from_random([1; 16]).to_string();
        for bad in [
            "",
            "..",
            "../../etc/passwd",
            &text.replace("/main/", "/main/../main/"),
            &text.replace("/2025/", "/2024/"),
            &text.replace("/1763836800000", "/01763836800000"),
            &text.replace("/1763836800000", "/+1763836800000"),
            &text.replace(".lkr", ".LKR"),
            &text.replace('/', "\\"),
            &format!("/{text}"),
            &format!("{text}/"),
            &format!("{text}\0"),
            &format!("{org}/{text}"),
        ] {
            assert_eq!(ObjectName::parse(Container::Footage, bad), Err(ObjectNameError), "{bad}");
        }
        assert!(ObjectName::parse(Container::Grants, &text).is_err());
    }
}
