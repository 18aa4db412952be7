//! Typed ids: a prefix that says what it is and 128 random bits in hex. A
//! camera's id given where a gateway's belongs does not compile, and does not
//! parse either.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected `{prefix}` and 32 lower-case hex digits")]
pub struct IdError {
    prefix: &'static str,
}

fn parse(prefix: &'static str, text: &str) -> Result<[u8; 16], IdError> {
    let hex = text.strip_prefix(prefix).ok_or(IdError { prefix })?;
    let mut bytes = [0; 16];
    crate::bytes::hex_decode(hex, &mut bytes).ok_or(IdError { prefix })?;
    Ok(bytes)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The caller draws the bytes; 128 random bits do not collide.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                crate::bytes::write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organisation: the scope of everything the cloud stores.
    OrgId = "org_";
    /// A person with an account.
    PersonId = "usr_";
    /// A browser, app or command line that holds keys.
    DeviceId = "dev_";
    /// A gateway on a site.
    GatewayId = "gw_";
    /// A camera. Stays the same when the device is replaced at its place.
    CameraId = "cam_";
    /// The time during which one set of epoch keys is used by a gateway.
    EpochId = "ep_";
    /// Something that happened at a camera, from its beginning to its end.
    EventId = "ev_";
    /// A program with an account of its own.
    ServiceId = "svc_";
    /// Cameras side by side, as a person arranged them.
    WallId = "wall_";
    /// Footage that somebody without an account opens by a link.
    ShareId = "shr_";
    /// A stretch of a camera's time that somebody wrote a note about.
    BookmarkId = "bm_";
    /// One request to a server, for its log and the history.
    RequestId = "req_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_another_kind_does_not() {
        let id = CameraId::from_random([0xab; 16]);
        let text = id.to_string();
        assert_eq!(text, "cam_abababababababababababababababab");
        assert_eq!(text.parse(), Ok(id));
        assert!(text.parse::<GatewayId>().is_err());
        for bad in ["", "cam_", "cam_AB", "cam_abababababababababababababababAB", "cam_zz"] {
            assert!(bad.parse::<CameraId>().is_err(), "{bad}");
        }
    }
}
