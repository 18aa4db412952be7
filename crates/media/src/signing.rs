//! Signatures that a camera puts into its own stream: SEI messages with the
//! UUIDs of Axis Signed Video and ONVIF Media Signing. They are found and named,
//! and not checked: what they are worth is for the programs of their makers to
//! say, on the stream as it was kept.

use std::collections::BTreeSet;

use crate::Codec;
use crate::nal::{self, h264, h265};

/// ITU-T H.264 and H.265, annex D: `user_data_unregistered`.
const USER_DATA_UNREGISTERED: u32 = 5;
const UUID_LEN: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CameraSignature {
    /// `kUuidSignedVideo` of AxisCommunications/signed-video-framework.
    AxisSignedVideo,
    /// `kUuidMediaSigning` of onvif/media-signing-framework.
    OnvifMediaSigning,
}

impl CameraSignature {
    pub const ALL: [Self; 2] = [Self::AxisSignedVideo, Self::OnvifMediaSigning];

    pub fn uuid(self) -> [u8; UUID_LEN] {
        match self {
            Self::AxisSignedVideo => *b"Signed Video...0",
            Self::OnvifMediaSigning => [
                0x00, 0x5b, 0xc9, 0x3f, 0x2d, 0x71, 0x5e, 0x95, 0xad, 0xa4, 0x79, 0x6f, 0x90, 0x87, 0x7a,
                0x6f,
            ],
        }
    }
}

impl std::fmt::Display for CameraSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AxisSignedVideo => "Axis Signed Video",
            Self::OnvifMediaSigning => "ONVIF Media Signing",
        })
    }
}

/// Which of them one length-prefixed access unit carries. Takes any bytes: what
/// is torn carries none from there on.
pub fn camera_signatures(codec: Codec, access_unit: &[u8]) -> BTreeSet<CameraSignature> {
    let mut found = BTreeSet::new();
    for unit in nal::length_prefixed(access_unit).map_while(Result::ok) {
        if let Some(message) = supplemental(codec, unit) {
            read(message, &mut found);
        }
    }
    found
}

/// What stands after the header of a NAL unit with SEI messages.
fn supplemental(codec: Codec, unit: &[u8]) -> Option<&[u8]> {
    match codec {
        Codec::H264 => unit.get(1..).filter(|_| h264::unit_type(unit) == Some(h264::SEI)),
        Codec::H265 => {
            let is_sei = matches!(h265::unit_type(unit), Some(h265::PREFIX_SEI | h265::SUFFIX_SEI));
            unit.get(2..).filter(|_| is_sei)
        }
        _ => None,
    }
}

/// Messages one after the other (7.3.2.3.1 of H.264, 7.3.5 of H.265). Each byte
/// is looked at once.
fn read(payload: &[u8], found: &mut BTreeSet<CameraSignature>) {
    let mut bytes = without_emulation_prevention(payload);
    loop {
        let (Some(kind), Some(size)) = (coded(&mut bytes), coded(&mut bytes)) else { return };
        let mut message = bytes.by_ref().take(size as usize);
        if kind == USER_DATA_UNREGISTERED {
            let uuid: Vec<u8> = message.by_ref().take(UUID_LEN).collect();
            found.extend(CameraSignature::ALL.into_iter().filter(|known| known.uuid()[..] == uuid));
        }
        message.for_each(drop);
    }
}

/// A number as 255s and what is left.
fn coded(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut number = 0_u32;
    loop {
        let byte = bytes.next()?;
        number = number.saturating_add(byte.into());
        if byte != 0xff {
            return Some(number);
        }
    }
}

/// `00 00 03` stands for `00 00` (7.4.1).
fn without_emulation_prevention(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0_usize;
    bytes.iter().copied().filter(move |&byte| {
        let prevents = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !prevents
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this kind, with its bytes as they are coded.
    fn sei(header: &[u8], kind: u8, size: usize, rest: &[u8]) -> Vec<u8> {
        let sizes = [vec![0xff; size / 255], vec![(size % 255) as u8]].concat();
        [header, &[kind], &sizes, rest, &[0x80]].concat()
    }

    fn found(codec: Codec, units: &[&[u8]]) -> Vec<CameraSignature> {
        camera_signatures(codec, &nal::to_length_prefixed(units.iter().copied())).into_iter().collect()
    }

    #[test]
    fn both_signatures_are_found_in_both_codecs() {
        for known in CameraSignature::ALL {
            let body = [known.uuid().as_slice(), &[7; 500]].concat();
            let h264 = sei(&[0x06], 5, body.len(), &body);
            assert_eq!(found(Codec::H264, &[&[0x67, 1], &h264, &[0x65, 0x88]]), [known]);
            for header in [[39 << 1, 1], [40 << 1, 1]] {
                let h265 = sei(&header, 5, body.len(), &body);
                assert_eq!(found(Codec::H265, &[&h265]), [known]);
            }
            assert_eq!(found(Codec::H265, &[&h264]), [], "of the other codec");
            assert_eq!(found(Codec::H264, &[&[&[0x65], &h264[1..]].concat()]), [], "in a picture");
            assert_eq!(found(Codec::H264, &[&h264[..18]]), [], "torn");
            let short = sei(&[0x06], 5, 15, &body[..15]);
            assert_eq!(found(Codec::H264, &[&short]), []);
            assert_eq!(found(Codec::H264, &[&sei(&[0x06], 4, body.len(), &body)]), [], "of another kind");
        }
    }

    /// Zeros before the UUID make a camera write bytes that do not count.
    #[test]
    fn it_is_found_behind_other_messages_and_emulation_prevention() {
        let onvif = CameraSignature::OnvifMediaSigning.uuid();
        let other = [0x01, 0x05, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x01];
        let own = [&[0x05, 0x10], onvif.as_slice()].concat();
        let unit = [&[0x06], other.as_slice(), &own, &[0x80]].concat();
        assert_eq!(found(Codec::H264, &[&unit]), [CameraSignature::OnvifMediaSigning]);
        // A message that only says so within its own text is another's.
        let within = sei(&[0x06], 4, own.len(), &own);
        assert_eq!(found(Codec::H264, &[&within]), []);
    }
}
