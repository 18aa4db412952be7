//! The session description (RFC 4566, RFC 6184 section 8.2, RFC 7798 section 7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::Codec;
use media::nal::h265;

use crate::Fault;
use crate::feed::Parameters;

pub(crate) const VIDEO_TYPE: u8 = 96;
/// PCMU, RFC 3551 table 4.
pub(crate) const AUDIO_TYPE: u8 = 0;

/// `control` stands before the streams' names.
pub(crate) fn describe(video: &Parameters, audio: bool, control: &str, fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::SdpGarbage) => return "v=0\r\n\u{7}m=x\r\n=\r\nthe lens is dirty\r\n".into(),
        Some(Fault::SdpHuge) => return format!("v=0\r\n{}", "a=x\r\n".repeat(2 << 20)),
        _ => {}
    }
    let mut sdp = String::from(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=camera\r\nt=0 0\r\na=control:*\r\na=range:npt=0-\r\n",
    );
    let (rtpmap, format) = match fault {
        Some(Fault::SdpNoVideo) => ("JPEG/90000", String::new()),
        Some(Fault::SdpWrongCodec) => ("H265/90000", String::new()),
        _ if video.codec == Codec::H265 => ("H265/90000", h265_format(video)),
        _ => ("H264/90000", h264_format(video)),
    };
    sdp += &format!("m=video 0 RTP/AVP {VIDEO_TYPE}\r\na=rtpmap:{VIDEO_TYPE} {rtpmap}\r\n");
    if !format.is_empty() {
        sdp += &format!("a=fmtp:{VIDEO_TYPE} {format}\r\n");
    }
    sdp += &format!("a=control:{control}video\r\n");
    if audio {
        sdp += &format!(
            "m=audio 0 RTP/AVP {AUDIO_TYPE}\r\na=rtpmap:{AUDIO_TYPE} PCMU/8000\r\na=control:{control}audio\r\n"
        );
    }
    sdp
}

fn h264_format(video: &Parameters) -> String {
    let sets: Vec<_> = video.units.iter().map(|unit| STANDARD.encode(unit)).collect();
    let profile: String = (video.units.first())
        .and_then(|sps| sps.get(1..4))
        .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        .unwrap_or_default();
    format!("packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={}", sets.join(","))
}

fn h265_format(video: &Parameters) -> String {
    let set = |name: &str, wanted: u8| {
        let units: Vec<_> = (video.units.iter())
            .filter(|unit| h265::unit_type(unit) == Some(wanted))
            .map(|unit| STANDARD.encode(unit))
            .collect();
        format!("{name}={}", units.join(","))
    };
    [set("sprop-vps", h265::VPS), set("sprop-sps", h265::SPS), set("sprop-pps", h265::PPS)].join(";")
}
