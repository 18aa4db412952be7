//! Names of objects in the store (format.md section 5). A name that parses
//! has no way out of its folder: every part is an id, a number, a digest or a
//! fixed word, so nobody downstream needs to look for `..`.

use std::fmt;

use model::wire::Container;
use model::{CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};
use seal::hour::HOUR_BYTES_MAX;

use crate::UPLOAD_BYTES_MAX;

/// Stands in the place of the rendition: what lies there is of both.
const HOURS: &str = "hours";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectName {
    Recording {
        org: OrgId,
        camera: CameraId,
        rendition: Rendition,
        started_at: Timestamp,
        root: Hash,
    },
    /// The signed index of an hour; `hash` is that of the statement.
    Hour {
        org: OrgId,
        camera: CameraId,
        hour: Timestamp,
        hash: Hash,
    },
    EpochGrant {
        org: OrgId,
        gateway: GatewayId,
        epoch: EpochId,
        device: DeviceId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a recording, the index of an hour or an epoch grant")]
pub struct ObjectNameError;

impl ObjectName {
    /// Reads the one spelling of a name: what it writes again must be equal.
    pub fn parse(container: Container, text: &str) -> Result<Self, ObjectNameError> {
        let name = match container {
            Container::Footage => Self::parse_footage(text),
            Container::Grants => Self::parse_grant(text),
        };
        name.filter(|name| name.to_string() == text).ok_or(ObjectNameError)
    }

    pub fn org(&self) -> OrgId {
        match self {
            ObjectName::Recording { org, .. }
            | ObjectName::Hour { org, .. }
            | ObjectName::EpochGrant { org, .. } => *org,
        }
    }

    /// Of the largest object that may have this name.
    pub fn bytes_max(&self) -> u64 {
        match self {
            ObjectName::Recording { .. } | ObjectName::EpochGrant { .. } => UPLOAD_BYTES_MAX,
            ObjectName::Hour { .. } => HOUR_BYTES_MAX,
        }
    }

    fn parse_footage(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(8, '/').collect();
        let [org, camera, kind, _year, _month, _day, file] = parts.as_slice() else {
            return None;
        };
        let (org, camera) = (org.parse().ok()?, camera.parse().ok()?);
        if *kind == HOURS {
            let (hour, hash) = time_and_hash(file.strip_suffix(".json")?)?;
            hour.0.is_multiple_of(Timestamp::HOUR).then_some(())?;
            return Some(ObjectName::Hour { org, camera, hour, hash });
        }
        let (started_at, root) = time_and_hash(file.strip_suffix(".lkr")?)?;
        Some(ObjectName::Recording { org, camera, rendition: kind.parse().ok()?, started_at, root })
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

fn time_and_hash(text: &str) -> Option<(Timestamp, Hash)> {
    let (time, hash) = text.split_once('-')?;
    let time = Timestamp(time.parse().ok()?);
    // format.md section 1: numbers stay below 2^53.
    (time.0 < 1 << 53).then_some(())?;
    Some((time, hash.parse().ok()?))
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Recording { org, camera, rendition, started_at, root } => {
                let (year, month, day) = started_at.utc_date();
                let started_at = started_at.0;
                write!(f, "{org}/{camera}/{rendition}/{year:04}/{month:02}/{day:02}/{started_at}-{root}.lkr")
            }
            ObjectName::Hour { org, camera, hour, hash } => {
                let (year, month, day) = hour.utc_date();
                let hour = hour.0;
                write!(f, "{org}/{camera}/{HOURS}/{year:04}/{month:02}/{day:02}/{hour}-{hash}.json")
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

    fn hour() -> ObjectName {
        ObjectName::Hour {
            org: OrgId::from_random([1; 16]),
            camera: CameraId::from_random([2; 16]),
            hour: Timestamp(1_763_838_000_000),
            hash: Hash([3; 32]),
        }
    }

    #[test]
    fn names_read_back() {
        let name = recording();
        let text = name.to_string();
        assert!(text.contains("/main/2025/11/22/1763836800000-0303"), "{text}");
        assert_eq!(ObjectName::parse(Container::Footage, &text), Ok(name));
        let text = hour().to_string();
        assert!(text.contains("/hours/2025/11/22/1763838000000-0303"), "{text}");
        assert_eq!(ObjectName::parse(Container::Footage, &text), Ok(hour()));
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

    #[test]
    fn an_index_of_an_hour_has_one_name() {
        let text = hour().to_string();
        let far = (1_u64 << 53).next_multiple_of(Timestamp::HOUR);
        for bad in [
            &text.replace("/hours/", "/main/"),
            &text.replace("/hours/", "/Hours/"),
            &text.replace("/hours/", "/hours/../hours/"),
            &text.replace("/hours/", "/../hours/"),
            &text.replace("/hours/", "/"),
            &text.replace("/hours/", "//"),
            &text.replace("/22/", "/23/"),
            &text.replace("/22/", "/../"),
            &text.replace("1763838000000", "1763838000001"),
            &text.replace("1763838000000", "01763838000000"),
            &text.replace("1763838000000", "-1763838000000"),
            &text.replace("1763838000000", &far.to_string()),
            &text.replace(".json", ".lkr"),
            &text.replace(".json", ".json.lkr"),
            &text.replace(".json", ".json/"),
            &text.replace(".json", ".json\0"),
            &text.replace("0303", "030"),
            &text.replace("0303", "ABCD"),
            &recording().to_string().replace("/main/", "/hours/"),
            &recording().to_string().replace("/main/", "/hours/").replace(".lkr", ".json"),
            &format!("../{text}"),
            &format!("/{text}"),
        ] {
            assert_eq!(ObjectName::parse(Container::Footage, bad), Err(ObjectNameError), "{bad}");
        }
        assert!(ObjectName::parse(Container::Grants, &text).is_err());
    }
}
