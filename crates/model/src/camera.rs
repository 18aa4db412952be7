//! How to reach a camera. Credentials leave the URL at parsing and live on as
//! [`Secret`], so that no log, error or configuration dump shows them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use zeroize::Zeroizing;

use crate::Hash;

/// A text that does not print and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// The one way to the text, so that uses are easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// An `rtsp://` or `rtsps://` URL without credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CameraUrl(Url);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraUrlError {
    #[error("this is not a URL ({0}); a camera's looks like rtsp://192.0.2.10/stream1")]
    NotAUrl(url::ParseError),
    #[error("a camera's URL begins with rtsp:// or rtsps://")]
    Scheme,
    #[error("the URL names no host; a camera's looks like rtsp://192.0.2.10/stream1")]
    NoHost,
    #[error("user name and password do not belong in the URL; give them in their own fields")]
    Credentials,
    #[error("the URL is longer than {} characters", CameraUrl::LENGTH_MAX)]
    TooLong,
    #[error(
        "the address of a camera's event service begins with http:// or https://, as http://192.0.2.10/onvif/device_service"
    )]
    OnvifScheme,
}

impl CameraUrl {
    pub const LENGTH_MAX: usize = 2_048;

    /// Refuses embedded credentials: nobody downstream needs to look again.
    pub fn parse(text: &str) -> Result<Self, CameraUrlError> {
        let (url, credentials) = Self::parse_with_credentials(text)?;
        match credentials {
            None => Ok(url),
            Some(_) => Err(CameraUrlError::Credentials),
        }
    }

    /// For input that people paste: splits `user:password@` off at once.
    pub fn parse_with_credentials(text: &str) -> Result<(Self, Option<(String, Secret)>), CameraUrlError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(CameraUrlError::TooLong);
        }
        let mut url = Url::parse(text.trim()).map_err(CameraUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "rtsp" | "rtsps") {
            return Err(CameraUrlError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(CameraUrlError::NoHost);
        }
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let password = Secret::new(percent_decode(url.password().unwrap_or("")));
            (percent_decode(url.username()), password)
        });
        // Cannot fail: the URL has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // Escaping makes it longer, and it is read again as it is kept.
        if url.as_str().len() > Self::LENGTH_MAX {
            return Err(CameraUrlError::TooLong);
        }
        Ok((CameraUrl(url), credentials))
    }

    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "rtsps"
    }

    /// Host as the URL has it; IPv6 addresses stand in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().expect("parse demands a host")
    }

    /// RFC 7826 section 19.2 and IANA: 554, with TLS 322.
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(if self.is_tls() { 322 } else { 554 })
    }

    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for CameraUrl {
    type Err = CameraUrlError;

    fn from_str(text: &str) -> Result<Self, CameraUrlError> {
        Self::parse(text)
    }
}

impl Serialize for CameraUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for CameraUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The `http://` or `https://` address of a camera's ONVIF device service, or of its
/// event stream, without credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OnvifUrl(Url);

impl OnvifUrl {
    const EVENT_STREAM: &str = "/vapix/ws-data-stream";

    /// Refuses embedded credentials: the camera's own are used.
    pub fn parse(text: &str) -> Result<Self, CameraUrlError> {
        if text.len() > CameraUrl::LENGTH_MAX {
            return Err(CameraUrlError::TooLong);
        }
        let url = Url::parse(text.trim()).map_err(CameraUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(CameraUrlError::OnvifScheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(CameraUrlError::NoHost);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CameraUrlError::Credentials);
        }
        if url.as_str().len() > CameraUrl::LENGTH_MAX {
            return Err(CameraUrlError::TooLong);
        }
        Ok(OnvifUrl(url))
    }

    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// It is that of an event stream, as cameras of Axis have it (VAPIX, "Event
    /// streaming over WebSocket").
    pub fn is_event_stream(&self) -> bool {
        self.0.path() == Self::EVENT_STREAM
    }

    /// Of the device service; beside an event stream it stands where every camera of
    /// that make has it.
    pub fn device_service(&self) -> Url {
        let mut url = self.0.clone();
        if self.is_event_stream() {
            url.set_path("/onvif/device_service");
            url.set_query(None);
            url.set_fragment(None);
        }
        url
    }
}

impl fmt::Display for OnvifUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OnvifUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OnvifUrl {
    type Err = CameraUrlError;

    fn from_str(text: &str) -> Result<Self, CameraUrlError> {
        Self::parse(text)
    }
}

impl Serialize for OnvifUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for OnvifUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Everything a gateway needs to pull from one camera (format.md section 3,
/// SEALED). Exists in clear on the administrator's device and the gateway only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraAccess {
    pub url: CameraUrl,
    pub sub_url: Option<CameraUrl>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// SHA-256 of the pinned TLS certificate (DER). `rtsps` without it is refused.
    pub certificate: Option<Hash>,
    /// Where the camera says what it sees; `None`: it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onvif_url: Option<OnvifUrl>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url_and_do_not_print() {
        let (url, credentials) =
            CameraUrl::parse_with_credentials("rtsp://admin:p%40ss@cam.example:8554/main").unwrap();
        let (user, password) = credentials.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("admin", "p@ss"));
        assert_eq!(url.to_string(), "rtsp://cam.example:8554/main");
        assert_eq!(format!("{url:?} {password:?}"), "rtsp://cam.example:8554/main Secret(…)");
        assert_eq!(CameraUrl::parse("rtsp://admin@cam.example/"), Err(CameraUrlError::Credentials));
    }

    #[test]
    fn what_is_not_a_camera_is_refused() {
        assert_eq!(CameraUrl::parse("http://cam.example/"), Err(CameraUrlError::Scheme));
        assert!(matches!(CameraUrl::parse("cam.example"), Err(CameraUrlError::NotAUrl(_))));
        assert_eq!(CameraUrl::parse("rtsp:///x"), Err(CameraUrlError::NoHost));
        let long = format!("rtsp://cam.example/{}", "x".repeat(CameraUrl::LENGTH_MAX));
        assert_eq!(CameraUrl::parse(&long), Err(CameraUrlError::TooLong));
        // Three bytes for each of these once they are escaped: what is taken must
        // be taken again when it is read from where it was kept.
        let grows = format!("rtsp://cam.example/{}", "\u{fc}".repeat(CameraUrl::LENGTH_MAX / 4));
        assert!(grows.len() < CameraUrl::LENGTH_MAX);
        assert_eq!(CameraUrl::parse(&grows), Err(CameraUrlError::TooLong));
    }

    #[test]
    fn an_event_service_is_reached_by_http_and_without_credentials_in_its_address() {
        let good = "http://192.0.2.10/onvif/device_service";
        assert_eq!(OnvifUrl::parse(good).unwrap().to_string(), good);
        assert_eq!(OnvifUrl::parse("rtsp://192.0.2.10/"), Err(CameraUrlError::OnvifScheme));
        assert_eq!(OnvifUrl::parse("http://admin:x@192.0.2.10/"), Err(CameraUrlError::Credentials));
        assert!(OnvifUrl::parse("192.0.2.10").is_err());
    }

    #[test]
    fn ports_default_to_the_schemes_own() {
        assert_eq!(CameraUrl::parse("rtsp://cam.example/").unwrap().port(), 554);
        assert_eq!(CameraUrl::parse("rtsps://cam.example/").unwrap().port(), 322);
    }
}
