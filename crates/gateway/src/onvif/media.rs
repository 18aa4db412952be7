//! The requests by which a camera says what it is and which streams it has, and
//! what its answers say (ONVIF Core Specification section 8, Media and Media2
//! Service Specifications). H.265 is in the newer service alone.

use model::CameraUrl;
use quick_xml::escape::escape;
use url::Url;

use super::messages::{self, DEVICE, Request, SCHEMA};
use super::topics::turns_text;
use super::xml::{Element, Namespace, cut};

const MEDIA: Namespace = &["http://www.onvif.org/ver10/media/wsdl"];
const MEDIA2: Namespace = &["http://www.onvif.org/ver20/media/wsdl"];

/// Profiles that are looked at; recorders with many inputs have more.
pub(super) const PROFILES_MAX: usize = 8;
/// Of names, in bytes.
const WORDS_MAX: usize = 64;
/// Of tokens (ONVIF schema, `ReferenceToken`), in bytes.
const TOKEN_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Media,
    Media2,
}

impl Service {
    fn namespace(self) -> &'static str {
        match self {
            Service::Media => MEDIA[0],
            Service::Media2 => MEDIA2[0],
        }
    }
}

pub(super) fn ask_information() -> Request {
    Request {
        step: "GetDeviceInformation",
        action: "http://www.onvif.org/ver10/device/wsdl/GetDeviceInformation",
        body: format!("<GetDeviceInformation xmlns=\"{}\"/>", DEVICE[0]),
    }
}

pub(super) fn ask_profiles(service: Service) -> Request {
    let namespace = service.namespace();
    let (action, body) = match service {
        Service::Media => ("http://www.onvif.org/ver10/media/wsdl/GetProfiles", String::new()),
        Service::Media2 => (
            "http://www.onvif.org/ver20/media/wsdl/GetProfiles",
            "<Type>VideoEncoder</Type><Type>AudioEncoder</Type>".to_owned(),
        ),
    };
    let body = format!("<GetProfiles xmlns=\"{namespace}\">{body}</GetProfiles>");
    Request { step: "GetProfiles", action, body }
}

pub(super) fn ask_stream(service: Service, token: &str) -> Request {
    let (namespace, token) = (service.namespace(), escape(token));
    let (action, setup) = match service {
        Service::Media => (
            "http://www.onvif.org/ver10/media/wsdl/GetStreamUri",
            format!(
                "<StreamSetup><Stream xmlns=\"{0}\">RTP-Unicast</Stream><Transport xmlns=\"{0}\">\
                 <Protocol>RTSP</Protocol></Transport></StreamSetup>",
                SCHEMA[0]
            ),
        ),
        Service::Media2 => {
            ("http://www.onvif.org/ver20/media/wsdl/GetStreamUri", "<Protocol>RTSP</Protocol>".to_owned())
        }
    };
    Request {
        step: "GetStreamUri",
        action,
        body: format!(
            "<GetStreamUri xmlns=\"{namespace}\">{setup}<ProfileToken>{token}</ProfileToken></GetStreamUri>"
        ),
    }
}

/// As the camera names their addresses, the newer first, in an answer to
/// GetServices or GetCapabilities.
pub(super) fn services(answer: &Element) -> Vec<(Service, &str)> {
    // The capabilities name the older one alone.
    let newer = messages::service(answer, MEDIA2, "").map(|address| (Service::Media2, address));
    let older = messages::service(answer, MEDIA, "Media").map(|address| (Service::Media, address));
    newer.into_iter().chain(older).collect()
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Information {
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) firmware: Option<String>,
}

pub(super) fn information(answer: &Element) -> Information {
    let text = |name| answer.child(DEVICE, name).and_then(|element| words(element.text()));
    Information {
        manufacturer: text("Manufacturer"),
        model: text("Model"),
        firmware: text("FirmwareVersion"),
    }
}

/// A profile with a picture, before its address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) token: String,
    pub(super) name: String,
    pub(super) codec: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frames_per_second: Option<u32>,
    pub(super) kilobits_max: Option<u32>,
    pub(super) key_frame_every: Option<u32>,
    pub(super) has_audio: bool,
}

pub(super) fn profiles(answer: &Element) -> Vec<Profile> {
    let of = |namespace| answer.all(namespace, "Profiles");
    let found = of(MEDIA2).filter_map(newer).chain(of(MEDIA).filter_map(older));
    let mut found: Vec<Profile> = found.collect();
    // The largest first, and of those that are left out none that is larger.
    found.sort_by_key(|profile| std::cmp::Reverse(u64::from(profile.width) * u64::from(profile.height)));
    found.truncate(PROFILES_MAX);
    found
}

fn newer(element: &Element) -> Option<Profile> {
    let set = element.child(MEDIA2, "Configurations")?;
    let video = set.child(MEDIA2, "VideoEncoder")?;
    let every = video.attribute("GovLength").and_then(|text| text.parse().ok());
    profile(element, (MEDIA2, "Name"), video, every, set.child(MEDIA2, "AudioEncoder").is_some())
}

fn older(element: &Element) -> Option<Profile> {
    let video = element.child(SCHEMA, "VideoEncoderConfiguration")?;
    let of_codec = |name| video.child(SCHEMA, name).and_then(|codec| codec.child(SCHEMA, "GovLength"));
    let every = of_codec("H264").or_else(|| of_codec("MPEG4")).and_then(|length| length.text().parse().ok());
    let has_audio = element.child(SCHEMA, "AudioEncoderConfiguration").is_some();
    profile(element, (SCHEMA, "Name"), video, every, has_audio)
}

fn profile(
    element: &Element,
    (namespace, name): (Namespace, &str),
    video: &Element,
    key_frame_every: Option<u32>,
    has_audio: bool,
) -> Option<Profile> {
    let token = element.attribute("token").filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX)?;
    let name = element.child(namespace, name).and_then(|name| words(name.text()));
    let encoding = video.child(SCHEMA, "Encoding").map_or("", Element::text);
    let codec: String = encoding.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let side = |name| {
        let text = video.child(SCHEMA, "Resolution")?.child(SCHEMA, name)?.text();
        text.parse::<u32>().ok().filter(|side| *side <= 65_536)
    };
    let rate = |name| {
        let text = video.child(SCHEMA, "RateControl")?.child(SCHEMA, name)?.text();
        // The newer service has fractions of pictures.
        text.parse::<f64>().ok().filter(|rate| (1.0..1e7).contains(rate)).map(|rate| rate.round() as u32)
    };
    Some(Profile {
        token: token.to_owned(),
        name: name.unwrap_or_else(|| "Stream".to_owned()),
        codec,
        width: side("Width")?,
        height: side("Height")?,
        frames_per_second: rate("FrameRateLimit"),
        kilobits_max: rate("BitrateLimit"),
        key_frame_every: key_frame_every.filter(|every| *every > 0),
        has_audio,
    })
}

/// Where the camera says that a stream is, at the host where it was asked:
/// behind a translation of addresses a camera names wrong ones, and a hostile
/// one would have the gateway connect to others.
pub(super) fn stream_url(answer: &Element, device: &Url) -> Option<CameraUrl> {
    let newer = answer.child(MEDIA2, "Uri");
    let older = || answer.child(MEDIA, "MediaUri")?.child(SCHEMA, "Uri");
    let named = newer.or_else(older)?.text();
    let (named, _) = CameraUrl::parse_with_credentials(named).ok()?;
    let (named, host) = (named.as_url(), device.host_str()?);
    let port = named.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = named.query().map(|query| format!("?{query}")).unwrap_or_default();
    CameraUrl::parse(&format!("{}://{host}{port}{}{query}", named.scheme(), named.path())).ok()
}

fn words(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !c.is_control() && !turns_text(*c)).collect();
    let words = cut(plain.trim(), WORDS_MAX).trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// Of any answer what it tells is within bounds.
pub(super) fn fuzz(answer: &Element) {
    let device = Url::parse("http://192.0.2.10:8080/onvif/device_service").expect("a constant");
    let _ = services(answer);
    let _ = information(answer);
    let profiles = profiles(answer);
    assert!(profiles.len() <= PROFILES_MAX);
    assert!(profiles.iter().all(|profile| !profile.name.is_empty() && profile.name.len() <= WORDS_MAX));
    if let Some(url) = stream_url(answer, &device) {
        assert_eq!(url.host(), "192.0.2.10");
    }
}

#[cfg(test)]
mod tests {
    use super::super::soap;
    use super::*;

    fn content(body: &str) -> Element {
        let text = format!(
            "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:tds='{}' xmlns:trt='{}' \
             xmlns:tr2='{}' xmlns:tt='{}'><s:Body>{body}</s:Body></s:Envelope>",
            DEVICE[0], MEDIA[0], MEDIA2[0], SCHEMA[0]
        );
        soap::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_largest_of_many_profiles_is_looked_at_wherever_it_stands() {
        let profile = |n: usize| {
            format!(
                "<trt:Profiles token='{n}'><tt:Name>{n}</tt:Name><tt:VideoEncoderConfiguration token='v'>\
                 <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{}</tt:Width><tt:Height>360</tt:Height>\
                 </tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>",
                100 + n
            )
        };
        let many: String = (0..20).map(profile).collect();
        let found = profiles(&content(&format!("<trt:GetProfilesResponse>{many}</trt:GetProfilesResponse>")));
        let names: Vec<_> = found.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["19", "18", "17", "16", "15", "14", "13", "12"]);
    }

    #[test]
    fn profiles_of_both_services_are_read_the_largest_first() {
        let older = "<trt:GetProfilesResponse>\
            <trt:Profiles token='sub' fixed='true'><tt:Name>Sub &amp; small</tt:Name><tt:VideoEncoderConfiguration token='v1'>\
            <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width><tt:Height>360</tt:Height></tt:Resolution>\
            <tt:RateControl><tt:FrameRateLimit>10</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>\
            <tt:BitrateLimit>512</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>20</tt:GovLength></tt:H264>\
            </tt:VideoEncoderConfiguration></trt:Profiles>\
            <trt:Profiles token='nothing'><tt:Name>No picture</tt:Name></trt:Profiles>\
            <trt:Profiles token='main'><tt:Name>Main</tt:Name><tt:VideoEncoderConfiguration token='v0'>\
            <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>2688</tt:Width><tt:Height>1520</tt:Height></tt:Resolution>\
            </tt:VideoEncoderConfiguration><tt:AudioEncoderConfiguration token='a'/></trt:Profiles>\
            </trt:GetProfilesResponse>";
        let found = profiles(&content(older));
        assert_eq!(found.iter().map(|p| p.token.as_str()).collect::<Vec<_>>(), ["main", "sub"]);
        let sub = &found[1];
        assert_eq!((sub.name.as_str(), sub.codec.as_str()), ("Sub & small", "H264"));
        let numbers = (sub.frames_per_second, sub.kilobits_max, sub.key_frame_every, sub.has_audio);
        assert_eq!(numbers, (Some(10), Some(512), Some(20), false));
        assert!(found[0].has_audio && found[0].kilobits_max.is_none());

        let newer = "<tr2:GetProfilesResponse><tr2:Profiles token='1'><tr2:Name>4K</tr2:Name><tr2:Configurations>\
            <tr2:VideoEncoder token='v' GovLength='60'><tt:Encoding>H265</tt:Encoding><tt:Resolution><tt:Width>3840</tt:Width>\
            <tt:Height>2160</tt:Height></tt:Resolution><tt:RateControl ConstantBitRate='false'>\
            <tt:FrameRateLimit>29.97</tt:FrameRateLimit><tt:BitrateLimit>8192</tt:BitrateLimit></tt:RateControl>\
            </tr2:VideoEncoder><tr2:AudioEncoder token='a'/></tr2:Configurations></tr2:Profiles></tr2:GetProfilesResponse>";
        let found = &profiles(&content(newer))[0];
        assert_eq!(
            (found.codec.as_str(), found.frames_per_second, found.key_frame_every),
            ("H265", Some(30), Some(60))
        );
        assert!(found.has_audio);
    }

    #[test]
    fn a_stream_is_at_the_host_that_was_asked() {
        let device = Url::parse("http://192.0.2.10:8080/onvif/device_service").unwrap();
        let rows = [
            ("rtsp://192.0.2.10:554/stream1?a=1&amp;b=2", Some("rtsp://192.0.2.10:554/stream1?a=1&b=2")),
            ("rtsp://192.168.1.64/stream1", Some("rtsp://192.0.2.10/stream1")),
            ("rtsp://admin:word@198.51.100.9:8554/x", Some("rtsp://192.0.2.10:8554/x")),
            ("rtsps://169.254.169.254/latest", Some("rtsps://192.0.2.10/latest")),
            ("http://192.0.2.10/stream", None),
            ("rtsp://", None),
            ("", None),
        ];
        for (named, expected) in rows {
            let older = format!(
                "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{named}</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>"
            );
            let newer =
                format!("<tr2:GetStreamUriResponse><tr2:Uri>{named}</tr2:Uri></tr2:GetStreamUriResponse>");
            for text in [older, newer] {
                let url = stream_url(&content(&text), &device).map(|url| url.to_string());
                assert_eq!(url.as_deref(), expected, "{named}");
            }
        }
    }

    #[test]
    fn services_are_found_by_either_question() {
        let service = |namespace: &str, address: &str| {
            format!(
                "<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{address}</tds:XAddr></tds:Service>"
            )
        };
        let both = format!(
            "<tds:GetServicesResponse>{}{}</tds:GetServicesResponse>",
            service(MEDIA[0], "/old"),
            service(MEDIA2[0], "/new")
        );
        assert_eq!(services(&content(&both)), [(Service::Media2, "/new"), (Service::Media, "/old")]);
        let capabilities = "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>/old</tt:XAddr></tt:Media>\
            </tds:Capabilities></tds:GetCapabilitiesResponse>";
        assert_eq!(services(&content(capabilities)), [(Service::Media, "/old")]);
        assert!(services(&content("<tds:GetServicesResponse/>")).is_empty());
    }
}
