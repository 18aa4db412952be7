//! Footage by its first bytes, whatever its name says.

/// What a file is that matters on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Mp4,
    Matroska,
    Avi,
    Asf,
    Flv,
    /// MPEG-TS, with or without the four bytes of times before each packet.
    TransportStream,
    ProgramStream,
    H264,
    H265,
    /// What Dahua records (`DHAV`), and those whom it makes cameras for.
    Dahua,
    /// What Hikvision writes before its program streams (`IMKH`).
    Hikvision,
    /// Pictures one after the other, which are a recording.
    Mjpeg,
    Jpeg,
    Heif,
    /// A file of eCryptfs.
    Encrypted,
}

impl Media {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Media::Mp4 => "MP4",
            Media::Matroska => "Matroska",
            Media::Avi => "AVI",
            Media::Asf => "ASF",
            Media::Flv => "FLV",
            Media::TransportStream => "MPEG-TS",
            Media::ProgramStream => "MPEG-PS",
            Media::H264 => "H.264",
            Media::H265 => "H.265",
            Media::Dahua => "DHAV",
            Media::Hikvision => "IMKH",
            Media::Mjpeg => "MJPEG",
            Media::Jpeg => "JPEG",
            Media::Heif => "HEIF",
            Media::Encrypted => "eCryptfs",
        }
    }

    pub(crate) fn is_picture(self) -> bool {
        matches!(self, Media::Jpeg | Media::Heif)
    }
}

const ASF: [u8; 16] =
    [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0, 0xaa, 0, 0x62, 0xce, 0x6c];

/// What begins so. Each form asks for more than its magic number, so that a text that
/// begins with one is none.
pub(crate) fn of(head: &[u8]) -> Option<Media> {
    let at = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
    match head {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => is_matroska(head).then_some(Media::Matroska),
        [b'R', b'I', b'F', b'F', ..] => (at(8, 16) == b"AVI LIST").then_some(Media::Avi),
        [b'F', b'L', b'V', 1, flags, ..] => {
            (flags & !5 == 0 && at(5, 9) == [0, 0, 0, 9]).then_some(Media::Flv)
        }
        [b'D', b'H', b'A', b'V', 0xf0..=0xfe, ..] => Some(Media::Dahua),
        [b'I', b'M', b'K', b'H', 1, 1, ..] => Some(Media::Hikvision),
        [0xff, 0xd8, 0xff, 0xc0..=0xfe, high, low, ..] => {
            // The length of a first segment, whatever it is.
            (u16::from_be_bytes([*high, *low]) >= 2).then_some(Media::Jpeg)
        }
        _ if head.starts_with(&ASF) => Some(Media::Asf),
        // Eight bytes that a film may have as well tell what is encrypted.
        _ => {
            let media = boxes(head).or_else(|| packets(head)).or_else(|| start_codes(head));
            media.or_else(|| is_ecryptfs(head).then_some(Media::Encrypted))
        }
    }
}

/// The same, of a file with this name: whether more pictures follow the first, it says.
pub(crate) fn of_file(path: &str, head: &[u8]) -> Option<Media> {
    let lower = path.to_ascii_lowercase();
    let is_stream = || [".mjpeg", ".mjpg", ".mjpe"].iter().any(|end| lower.ends_with(end));
    match of(head)? {
        Media::Jpeg if is_stream() => Some(Media::Mjpeg),
        media => Some(media),
    }
}

/// EBML, and the type of document that says which kind (RFC 9559).
fn is_matroska(head: &[u8]) -> bool {
    let head = &head[..head.len().min(128)];
    [b"matroska".as_slice(), b"webm"].iter().any(|name| memchr::memmem::find(head, name).is_some())
}

/// Two boxes of ISO BMFF, one behind the other. Files that a camera did not close have
/// no `moov` yet.
fn boxes(head: &[u8]) -> Option<Media> {
    const FIRST: [&[u8]; 4] = [b"ftyp", b"styp", b"moof", b"moov"];
    const ROOM: [&[u8]; 3] = [b"free", b"skip", b"wide"];
    const NEXT: [&[u8]; 13] = [
        b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"sidx", b"pdin", b"meta", b"mvhd",
        b"mfhd", b"udta",
    ];
    let kind = head.get(4..8)?;
    let bytes = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    if kind == b"mdat" {
        return is_data(head, bytes).then_some(Media::Mp4);
    }
    let is_first = FIRST.contains(&kind) || ROOM.contains(&kind);
    if !is_first || bytes < 8 {
        return None;
    }
    // Room at the beginning, in which a box was to be: what follows says what it is.
    if ROOM.contains(&kind) {
        let follows = head.get(bytes..).filter(|rest| rest.len() >= 16).and_then(boxes);
        return follows.filter(|media| *media == Media::Mp4);
    }
    let next = if matches!(kind, b"moof" | b"moov") { 8 } else { bytes };
    if !NEXT.contains(&head.get(next.checked_add(4)?..next.checked_add(8)?)?) {
        return None;
    }
    match (kind, head.get(8..12)) {
        (b"ftyp", Some(b"heic" | b"heix" | b"mif1" | b"avif")) => Some(Media::Heif),
        // Sound alone.
        (b"ftyp", Some(b"M4A " | b"M4B ")) => None,
        _ => Some(Media::Mp4),
    }
}

/// Whether a box `mdat` at the beginning, as recorders write that add the rest at the end,
/// holds pictures: units of H.264 or H.265 with their lengths, of which the first fits in.
fn is_data(head: &[u8], bytes: usize) -> bool {
    let start = match bytes {
        // To the end of the file.
        0 => 8,
        // The length stands behind.
        1 => 16,
        _ => 8,
    };
    let Some(first) = head.get(start..start + 6) else { return false };
    let unit = u32::from_be_bytes([first[0], first[1], first[2], first[3]]) as usize;
    // No bit that is forbidden, and none of a kind that no coder writes first.
    let is_unit = first[4] & 0x80 == 0 && first[4] != 0;
    let is_within = bytes < 16 || unit < bytes - 8;
    is_unit && is_within && (2..16 << 20).contains(&unit)
}

/// Packets of MPEG-TS, or a pack of MPEG-PS (ISO 13818-1) behind which something begins.
fn packets(head: &[u8]) -> Option<Media> {
    let is_stream = |first: usize, bytes: usize| {
        let packets = head.len().saturating_sub(first).div_ceil(bytes).min(8);
        packets >= 4 && (0..packets).all(|packet| head[first + packet * bytes] == 0x47)
    };
    if is_stream(0, 188) || is_stream(4, 192) {
        // A text of nothing but `G` is none.
        return (head[1..188] != head[2..189]).then_some(Media::TransportStream);
    }
    let pack = head.strip_prefix(&[0, 0, 1, 0xba])?;
    let header = match pack.first()? >> 4 {
        0b0010 => 8,
        0b0100..=0b0111 => 10 + usize::from(pack.get(9)? & 7),
        _ => return None,
    };
    pack.get(header..)?.starts_with(&[0, 0, 1]).then_some(Media::ProgramStream)
}

/// Bytes in which the parameters of a stream without a container follow each other.
const PARAMETERS: usize = 1024;

/// A stream as the coder gives it (Annex B of H.264 and H.265): its parameters come
/// first, in their order.
fn start_codes(head: &[u8]) -> Option<Media> {
    if !head.starts_with(&[0, 0, 1]) && !head.starts_with(&[0, 0, 0, 1]) {
        return None;
    }
    let head = &head[..head.len().min(PARAMETERS)];
    let units = || memchr::memmem::find_iter(head, &[0, 0, 1]).filter_map(|at| head.get(at + 3..at + 6));
    let profiles = [66, 77, 88, 100, 110, 122, 244];
    let h264 = units()
        .position(|unit| unit[0] & 0x9f == 7 && unit[0] & 0x60 != 0 && profiles.contains(&unit[1]))
        .filter(|sps| units().skip(sps + 1).any(|unit| unit[0] & 0x9f == 8));
    let h265 = units()
        .position(|unit| unit[..2] == [0x40, 1])
        .filter(|vps| units().skip(vps + 1).any(|unit| unit[..2] == [0x42, 1]));
    match (h264, h265) {
        (_, Some(_)) => Some(Media::H265),
        (Some(_), _) => Some(Media::H264),
        _ => None,
    }
}

/// The mark of eCryptfs: two numbers, of which the second is the first turned by a
/// constant (`fs/ecryptfs/crypto.c` of Linux).
fn is_ecryptfs(head: &[u8]) -> bool {
    let word =
        |at: usize| head.get(at..at + 4).and_then(|word| Some(u32::from_be_bytes(word.try_into().ok()?)));
    matches!((word(8), word(12)), (Some(first), Some(second)) if first ^ second == 0x3c81_b7f5)
}

/// Folders of systems, whose pictures are no footage.
pub(crate) fn is_of_a_system(path: &str) -> bool {
    const FOLDERS: [&str; 10] =
        ["bin", "boot", "etc", "lib", "lib64", "opt", "sbin", "usr", "www", "System Volume Information"];
    let mut names = path.split('/');
    let first = names.next().unwrap_or_default();
    FOLDERS.contains(&first)
        || matches!((first, names.next()), ("var" | "srv" | "home" | "mnt", Some("www" | "web" | "html")))
}

/// Who lays files out like this.
pub(crate) fn layout(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let folders = || path.split('/');
    if folders().any(is_axis) {
        return Some("cameras of Axis");
    }
    if lower.strip_prefix("hiv").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Some("cameras of Hikvision");
    }
    if lower.ends_with(".dav") {
        return Some("cameras of Dahua");
    }
    if folders().any(|folder| folder == "Mp4Record") {
        return Some("cameras of Reolink");
    }
    folders().any(|folder| folder == "DCIM").then_some("DCF (DCIM)")
}

/// `20261128_215904_1F91_ACCC8E012345`: when it began, a number, and the camera.
fn is_axis(folder: &str) -> bool {
    let fields: Vec<&str> = folder.splitn(5, '_').collect();
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(fields[..], [day, time, number, camera]
        if digits(day, 8) && digits(time, 6) && hex(number, 4) && hex(camera, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_like_footage_is_none() {
        let near: [&[u8]; 19] = [
            b"\0\0\0\x08free and a text that follows it",
            b"    mdat is a box of films, says this text",
            b"\0\0\0\x18mdat\0\0\0\0\0\0\0\0",
            b"\0\0\0\x08wide\0\0\0\x08free",
            b"\0\0\0\x08free\0\0\0\x18ftypM4A \0\0\0\0isomM4A \0\0\0\x08free",
            b"",
            b"    ftypography is the art of letters, and this is a text about it",
            b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2 and then a text",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"\x1a\x45\xdf\xa3 a text that begins so",
            b"FLV\x01 player",
            b"DHAV is what Dahua calls it",
            b"IMKH is what Hikvision calls it",
            b"\xff\xd8\xff",
            &[b'G'; 2000],
            &[0; 4096],
            b"\0\0\x01\xba a text",
            b"\0\0\0\x01\x67 a text",
            b"0&\xb2u",
        ];
        for head in near {
            assert_eq!(of(head), None, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn streams_without_a_container_are_known_by_their_parameters() {
        let h264 =
            [0, 0, 0, 1, 0x09, 0x10, 0, 0, 0, 1, 0x67, 100, 0, 40, 0xac, 0, 0, 1, 0x68, 0xee, 0x3c, 0x80];
        assert_eq!(of(&h264), Some(Media::H264));
        let h265 = [0, 0, 0, 1, 0x40, 1, 12, 1, 0, 0, 0, 1, 0x42, 1, 1, 1, 0, 0, 0, 1, 0x44, 1, 0xc0, 0xf7];
        assert_eq!(of(&h265), Some(Media::H265));
        let ps = [0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xf8, 0, 0, 1, 0xbb];
        assert_eq!(of(&ps), Some(Media::ProgramStream));
    }

    #[test]
    fn films_that_begin_with_room_or_with_their_pictures_are_known() {
        let ftyp = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41\0\0\0\x08free";
        let unit = b"\0\0\0\x20\x67\x64\0\x28";
        for head in [
            [b"\0\0\0\x10free\0\0\0\0\0\0\0\0".as_slice(), ftyp].concat(),
            [b"\0\0\0\x08wide\0\x10\0\0mdat".as_slice(), unit].concat(),
            [b"\0\x10\0\0mdat".as_slice(), unit].concat(),
            [b"\0\0\0\0mdat".as_slice(), unit].concat(),
            [b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0".as_slice(), unit].concat(),
        ] {
            assert_eq!(of(&head), Some(Media::Mp4), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn pictures_one_after_the_other_are_a_recording() {
        let head = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
        assert_eq!(of_file("A/20261128.MJPEG", head), Some(Media::Mjpeg));
        assert_eq!(of_file("A/20261128.jpg", head), Some(Media::Jpeg));
        assert_eq!(of_file("A/20261128.mjpeg", b"text"), None);
    }

    #[test]
    fn layouts_are_those_of_vendors() {
        for (path, expected) in [
            (
                "20261128/21/20261128_215904_1F91_ACCC8E012345/20261128_21/20261128_215904_6A9C.mkv",
                Some("cameras of Axis"),
            ),
            ("datadir0/hiv00012.mp4", Some("cameras of Hikvision")),
            ("2026-11-28/001/dav/21/21.00.00-21.10.00[M][0@0][0].dav", Some("cameras of Dahua")),
            ("Mp4Record/2026-11-28/RecM01_20261128_215904_215930.mp4", Some("cameras of Reolink")),
            ("DCIM/100MEDIA/A.MP4", Some("DCF (DCIM)")),
            ("films/hive.mp4", None),
        ] {
            assert_eq!(layout(path), expected, "{path}");
        }
    }
}
