//! What a track is and the unit in which it arrives.

use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    Video,
    Audio,
}

impl TrackKind {
    /// As the recording header spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            TrackKind::Video => "video",
            TrackKind::Audio => "audio",
        }
    }
}

/// The codecs that Lenskeep records, found from an RFC 6381 string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    H264,
    H265,
    Aac,
    /// G.711 µ-law, RTP's PCMU.
    Ulaw,
    /// G.711 A-law, RTP's PCMA.
    Alaw,
}

impl Codec {
    /// `None` for what we do not record.
    pub fn of(rfc6381: &str) -> Option<Self> {
        match rfc6381 {
            "ulaw" => Some(Codec::Ulaw),
            "alaw" => Some(Codec::Alaw),
            text if text.starts_with("avc1.") => Some(Codec::H264),
            text if text.starts_with("hvc1.") => Some(Codec::H265),
            text if text.starts_with("mp4a.40.") => Some(Codec::Aac),
            _ => None,
        }
    }

    pub fn kind(self) -> TrackKind {
        match self {
            Codec::H264 | Codec::H265 => TrackKind::Video,
            Codec::Aac | Codec::Ulaw | Codec::Alaw => TrackKind::Audio,
        }
    }
}

/// A `track` of the recording header (format.md section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDescription {
    /// 0 to 7.
    pub id: u8,
    pub kind: TrackKind,
    /// RFC 6381 in lower case (`avc1.64001f`), `ulaw` or `alaw`.
    pub codec: String,
    /// Ticks in a second, never 0.
    pub timescale: u32,
    /// avcC, hvcC or AudioSpecificConfig; none for G.711.
    pub description: Option<Bytes>,
    /// 0 for audio, as is `height`.
    pub width: u32,
    pub height: u32,
    /// 0 for video, as is `channels`.
    pub sample_rate: u32,
    pub channels: u32,
}

impl TrackDescription {
    pub const ID_MAX: u8 = 7;

    /// A time of this track in milliseconds.
    pub(crate) fn ms(&self, ticks: i64) -> i64 {
        (i128::from(ticks) * 1_000 / i128::from(self.timescale.max(1))) as i64
    }

    /// How long one frame of audio of this length lasts, in ticks (format.md
    /// section 5): AAC has 1 024 samples, G.711 one for each byte and channel.
    pub fn audio_frame_ticks(&self, length: usize) -> u32 {
        match Codec::of(&self.codec) {
            Some(Codec::Aac) => 1_024,
            _ => u32::try_from(length).unwrap_or(u32::MAX) / self.channels.max(1),
        }
    }
}

/// One coded picture or one frame of audio, in decode order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// [`TrackDescription::id`].
    pub track: u8,
    /// Decode time in ticks since the run started. Does not decrease within a
    /// track, whatever the camera's clock did.
    pub time: i64,
    /// Ticks to add to `time` for the time of presentation.
    pub presentation_delta: i32,
    pub key_frame: bool,
    /// Time or frames are missing before this unit.
    pub discontinuity: bool,
    /// Length-prefixed NAL units (ISO/IEC 14496-15) or one frame of audio.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_from_their_strings() {
        let rows = [
            ("avc1.64001f", Some(Codec::H264)),
            ("hvc1.1.6.L93.B0", Some(Codec::H265)),
            ("mp4a.40.2", Some(Codec::Aac)),
            ("ulaw", Some(Codec::Ulaw)),
            ("alaw", Some(Codec::Alaw)),
            ("mp4v", None),
            ("", None),
        ];
        for (text, codec) in rows {
            assert_eq!(Codec::of(text), codec, "{text}");
        }
    }
}
