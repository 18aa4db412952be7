//! What retina learned of a stream, as a track of the recording header.

use bytes::Bytes;
use media::{Codec, TrackDescription};
use retina::client::Stream;
use retina::codec::ParametersRef;

/// Which of the camera's streams we record: the first video and the first audio
/// whose codec we know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) video: usize,
    pub(super) audio: Option<usize>,
}

impl Chosen {
    /// An error says what was offered instead.
    pub(super) fn of(streams: &[Stream]) -> Result<Self, String> {
        let find = |names: &[&str]| streams.iter().position(|s| names.contains(&s.encoding_name()));
        let video = find(&["h264", "h265"]).ok_or_else(|| {
            let offered: Vec<_> =
                streams.iter().take(8).map(|s| format!("{}/{}", s.media(), s.encoding_name())).collect();
            if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") }
        })?;
        Ok(Chosen { video, audio: find(&["mpeg4-generic", "pcmu", "pcma"]) })
    }
}

/// `None` while the parameters are not known, or of a codec that only
/// pretended to be one of ours.
pub(super) fn track(id: u8, stream: &Stream) -> Option<TrackDescription> {
    let description = match stream.parameters()? {
        ParametersRef::Video(video) => {
            let (width, height) = video.pixel_dimensions();
            TrackDescription {
                id,
                kind: media::TrackKind::Video,
                codec: rfc6381(video.rfc6381_codec()),
                timescale: stream.clock_rate_hz(),
                description: Some(Bytes::copy_from_slice(video.extra_data())),
                width,
                height,
                sample_rate: 0,
                channels: 0,
            }
        }
        ParametersRef::Audio(audio) => {
            let (codec, description) = match stream.encoding_name() {
                "pcmu" => ("ulaw".to_owned(), None),
                "pcma" => ("alaw".to_owned(), None),
                _ => (rfc6381(audio.rfc6381_codec()?), Some(Bytes::copy_from_slice(audio.extra_data()))),
            };
            TrackDescription {
                id,
                kind: media::TrackKind::Audio,
                codec,
                timescale: audio.clock_rate(),
                description,
                width: 0,
                height: 0,
                sample_rate: audio.clock_rate(),
                channels: u32::from(audio.channels().get()),
            }
        }
        ParametersRef::Message(_) => return None,
    };
    let known = Codec::of(&description.codec).is_some_and(|codec| codec.kind() == description.kind);
    (known && description.timescale > 0).then_some(description)
}

/// format.md section 5 has the hex of H.264 in lower case; the tier and
/// constraints of H.265 are in upper case by their own rule (ISO/IEC 14496-15
/// annex E.3).
fn rfc6381(codec: &str) -> String {
    match codec.split_once('.') {
        Some(("avc1", profile)) => format!("avc1.{}", profile.to_ascii_lowercase()),
        // retina names the sample entry by whether parameter sets come in band;
        // they never do in ours.
        Some(("hev1", rest)) => format!("hvc1.{rest}"),
        _ => codec.to_owned(),
    }
}
