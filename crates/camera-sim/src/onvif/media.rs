//! The media services, old and new: which streams the camera has and where.

use model::CameraUrl;
use quick_xml::escape::escape;

use super::answers::{Answer, content};
use super::ptz;

/// One stream as the services tell it.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Also its profile's token.
    pub(crate) name: &'static str,
    pub(crate) url: CameraUrl,
    /// As ONVIF calls it.
    pub(crate) codec: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames_per_second: u32,
    pub(crate) key_frame_every: u32,
    pub(crate) audio: bool,
}

/// What the bandwidth of a profile is set to, in kbit/s.
fn kilobits(stream: &Stream) -> u32 {
    (stream.width * stream.height / 400).max(128)
}

pub(super) fn profiles(streams: &[Stream], is_new: bool, ptz: bool) -> Answer {
    let moves = if ptz { ptz::configuration(is_new) } else { String::new() };
    let profiles: String = streams
        .iter()
        .map(|stream| if is_new { newer(stream, &moves) } else { older(stream, &moves) })
        .collect();
    let prefix = if is_new { "tr2" } else { "trt" };
    content(&format!("<{prefix}:GetProfilesResponse>{profiles}</{prefix}:GetProfilesResponse>"))
}

fn newer(stream: &Stream, moves: &str) -> String {
    let Stream { name, codec, width, height, frames_per_second, key_frame_every, audio, .. } = stream;
    let sound = if *audio {
        "<tr2:AudioEncoder token=\"a\"><tt:Encoding>PCMU</tt:Encoding></tr2:AudioEncoder>"
    } else {
        ""
    };
    format!(
        "<tr2:Profiles token=\"{name}\" fixed=\"true\"><tr2:Name>{name}</tr2:Name><tr2:Configurations>\
         <tr2:VideoEncoder token=\"v_{name}\" GovLength=\"{key_frame_every}\"><tt:Name>{name}</tt:Name>\
         <tt:UseCount>1</tt:UseCount><tt:Encoding>{codec}</tt:Encoding>\
         <tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>\
         <tt:RateControl ConstantBitRate=\"false\"><tt:FrameRateLimit>{frames_per_second}</tt:FrameRateLimit>\
         <tt:BitrateLimit>{}</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder>{sound}{moves}</tr2:Configurations></tr2:Profiles>",
        kilobits(stream)
    )
}

fn older(stream: &Stream, moves: &str) -> String {
    let Stream { name, codec, width, height, frames_per_second, key_frame_every, audio, .. } = stream;
    let sound = if *audio {
        "<tt:AudioEncoderConfiguration token=\"a\"><tt:Encoding>G711</tt:Encoding></tt:AudioEncoderConfiguration>"
    } else {
        ""
    };
    format!(
        "<trt:Profiles token=\"{name}\" fixed=\"true\"><tt:Name>{name}</tt:Name>\
         <tt:VideoEncoderConfiguration token=\"v_{name}\"><tt:Name>{name}</tt:Name><tt:Encoding>{codec}</tt:Encoding>\
         <tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>\
         <tt:RateControl><tt:FrameRateLimit>{frames_per_second}</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>\
         <tt:BitrateLimit>{}</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>{key_frame_every}</tt:GovLength></tt:H264>\
         </tt:VideoEncoderConfiguration>{sound}{moves}</trt:Profiles>",
        kilobits(stream)
    )
}

/// `named`: the origin that the camera takes for its own, if that is another.
pub(super) fn stream_uri(streams: &[Stream], token: &str, is_new: bool, named: Option<&str>) -> Answer {
    let Some(stream) = streams.iter().find(|stream| stream.name == token) else {
        return Answer::fault("Sender", "NoProfile", "there is no such profile");
    };
    let host = |origin: &str| origin.split("://").nth(1)?.split([':', '/']).next().map(str::to_owned);
    let url = match named.and_then(host) {
        Some(host) => {
            let url = &stream.url;
            format!("rtsp://{host}:{}{}", url.port(), url.as_url().path())
        }
        None => stream.url.to_string(),
    };
    let uri = escape(&url);
    content(&match is_new {
        true => format!("<tr2:GetStreamUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"),
        false => format!(
            "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>\
             <tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>\
             <tt:Timeout>PT60S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"
        ),
    })
}
