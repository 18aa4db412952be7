//! Still pictures as cameras give them. A camera is not believed: what is no JPEG
//! of sensible size is refused, and of a JPEG nothing is left but the picture.
//! Whatever else a file can carry (places, serial numbers, other files in
//! comments or behind the end) is cut out. Nothing is decoded here.

/// Of a file, as it comes. Snapshots of 640 by 360 have a tenth of that.
pub const BYTES_MAX: usize = 256 << 10;
/// Longest side that is taken, in pixels: a browser that decodes it needs 64 MB.
pub const SIDE_MAX: u16 = 4_096;
const SIDE_MIN: u16 = 16;
/// Segments before the end of the picture; progressive ones have some dozens.
const SEGMENTS_MAX: usize = 512;
/// Scans: a decoder goes over the whole picture for each, however short it is.
/// Progressive pictures have some ten.
const SCANS_MAX: usize = 32;

/// A JPEG of which nothing is left but the picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Still {
    bytes: Vec<u8>,
    pub width: u16,
    pub height: u16,
}

impl Still {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Pictures stand in no log.
impl std::fmt::Debug for Still {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Still({} by {}, {} bytes)", self.width, self.height, self.bytes.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    #[error("it is no JPEG")]
    NoJpeg,
    #[error("the JPEG has more than 256 KiB")]
    TooLong,
    #[error("the JPEG has more than 32 scans")]
    Scans,
    #[error("the JPEG ends too soon, at byte {at}")]
    CutOff { at: usize },
    #[error("the JPEG has no side of 16 to 4 096 pixels")]
    Size,
    #[error("the JPEG is of a kind that browsers do not show, at byte {at}")]
    Kind { at: usize },
    #[error("the JPEG's parts are out of order, at byte {at}")]
    Order { at: usize },
}

// ITU-T T.81, table B.1.
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const ADOBE: u8 = 0xee;

impl Still {
    pub fn read(file: &[u8]) -> Result<Self, JpegError> {
        if !file.starts_with(&[0xff, START, 0xff]) {
            return Err(JpegError::NoJpeg);
        }
        if file.len() > BYTES_MAX {
            return Err(JpegError::TooLong);
        }
        let mut bytes = vec![0xff, START];
        let (mut at, mut size, mut scans) = (2, None, 0);
        for _ in 0..SEGMENTS_MAX {
            let (marker, content) = marker(file, at)?;
            if marker == END {
                let (width, height) = size.filter(|_| scans > 0).ok_or(JpegError::Order { at })?;
                bytes.extend([0xff, END]);
                return Ok(Still { bytes, width, height });
            }
            let (segment, after) = segment(file, content)?;
            let is_kept = match marker {
                // Baseline, extended and progressive, of 8 bits and Huffman codes.
                0xc0..=0xc2 => {
                    if size.replace(frame(segment, at)?).is_some() {
                        return Err(JpegError::Order { at });
                    }
                    true
                }
                // Tables, and how often a decoder may begin anew.
                0xc4 | 0xdb | 0xdd => true,
                // By which the colours are told; what stands there alone.
                ADOBE => segment.starts_with(b"Adobe") && segment.len() == 12,
                SCAN if size.is_none() => return Err(JpegError::Order { at }),
                SCAN if scans == SCANS_MAX => return Err(JpegError::Scans),
                SCAN => true,
                // Of programs, and comments.
                0xe0..=0xef | 0xfe => false,
                _ => return Err(JpegError::Kind { at }),
            };
            if is_kept {
                bytes.extend([0xff, marker]);
                bytes.extend_from_slice(&file[content..after]);
            }
            at = after;
            if marker == SCAN {
                scans += 1;
                at = coded(file, after)?;
                bytes.extend_from_slice(&file[after..at]);
            }
        }
        Err(JpegError::TooLong)
    }
}

/// The marker at `at`, and where what belongs to it begins. It may be filled up
/// in front (section B.1.1.2).
fn marker(file: &[u8], at: usize) -> Result<(u8, usize), JpegError> {
    if *file.get(at).ok_or(JpegError::CutOff { at })? != 0xff {
        return Err(JpegError::Order { at });
    }
    let filled = file[at..].iter().take_while(|byte| **byte == 0xff).count();
    let marker = *file.get(at + filled).ok_or(JpegError::CutOff { at: file.len() })?;
    Ok((marker, at + filled + 1))
}

/// What a segment says, and where it ends. Its length counts itself.
fn segment(file: &[u8], at: usize) -> Result<(&[u8], usize), JpegError> {
    let length = file.get(at..at + 2).ok_or(JpegError::CutOff { at })?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length < 2 {
        return Err(JpegError::Order { at });
    }
    let segment = file.get(at + 2..at + length).ok_or(JpegError::CutOff { at })?;
    Ok((segment, at + length))
}

/// Section B.2.2.
fn frame(segment: &[u8], at: usize) -> Result<(u16, u16), JpegError> {
    let &[precision, h, l, w, r, components, ref rest @ ..] = segment else {
        return Err(JpegError::CutOff { at });
    };
    if precision != 8 || !matches!(components, 1 | 3) || rest.len() != 3 * usize::from(components) {
        return Err(JpegError::Kind { at });
    }
    let (height, width) = (u16::from_be_bytes([h, l]), u16::from_be_bytes([w, r]));
    let good = |side| (SIDE_MIN..=SIDE_MAX).contains(&side);
    if good(width) && good(height) { Ok((width, height)) } else { Err(JpegError::Size) }
}

/// Where the marker after the coded data stands that begins at `from`.
fn coded(file: &[u8], from: usize) -> Result<usize, JpegError> {
    let mut at = from;
    while let Some(found) = file[at..].iter().position(|byte| *byte == 0xff) {
        at += found;
        match file.get(at + 1) {
            // A byte of data, and where a decoder may begin anew.
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            Some(_) => return Ok(at),
            None => break,
        }
    }
    Err(JpegError::CutOff { at: file.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], content].concat()
    }

    fn frame(width: u16, height: u16) -> Vec<u8> {
        let ([h, l], [w, r]) = (height.to_be_bytes(), width.to_be_bytes());
        segment(0xc0, &[8, h, l, w, r, 1, 1, 0x11, 0])
    }

    fn scan() -> Vec<u8> {
        [segment(SCAN, &[1, 1, 0, 0, 63, 0]), vec![1, 2, 0xff, 0, 3, 0xff, 0xd0, 4]].concat()
    }

    fn file(parts: &[Vec<u8>]) -> Vec<u8> {
        [&[0xff, START][..], &parts.concat(), &[0xff, END]].concat()
    }

    #[test]
    fn nothing_is_left_but_the_picture() {
        let tables = segment(0xdb, &[0; 65]);
        let plain = file(&[tables.clone(), frame(640, 360), scan()]);
        let loaded = file(&[
            segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            segment(0xe1, b"Exif\0\0 47.3769 N 8.5417 E"),
            tables,
            segment(0xfe, b"<script>alert(1)</script>"),
            segment(ADOBE, b"Adobe and a lot of other things"),
            frame(640, 360),
            vec![0xff, 0xff],
            scan(),
        ]);
        let loaded = [&loaded[..], b"<html><script>alert(1)</script>PK\x03\x04"].concat();
        let read = Still::read(&loaded).unwrap();
        assert_eq!((read.width, read.height), (640, 360));
        assert_eq!(read.bytes(), plain);
        assert_eq!(Still::read(&plain).unwrap(), read, "what was read once is read again");
        assert_eq!(format!("{read:?}"), format!("Still(640 by 360, {} bytes)", plain.len()));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let rows: [(Vec<u8>, JpegError); 12] = [
            (b"<html><script>alert(1)</script></html>".to_vec(), JpegError::NoJpeg),
            (b"\x89PNG\r\n\x1a\n".to_vec(), JpegError::NoJpeg),
            (Vec::new(), JpegError::NoJpeg),
            ([&file(&[frame(64, 64), scan()])[..], &vec![0; BYTES_MAX]].concat(), JpegError::TooLong),
            (file(&[frame(65_500, 65_500), scan()]), JpegError::Size),
            (file(&[frame(64, 0), scan()]), JpegError::Size),
            (file(&[segment(0xc3, &[8, 0, 64, 0, 64, 1, 1, 0x11, 0]), scan()]), JpegError::Kind { at: 2 }),
            (file(&[segment(0xc0, &[8, 0, 64, 0, 64, 4, 1, 0x11, 0]), scan()]), JpegError::Kind { at: 2 }),
            (file(&[scan()]), JpegError::Order { at: 2 }),
            (file(&[frame(64, 64)]), JpegError::Order { at: 15 }),
            (file(&[frame(64, 64), frame(64, 64), scan()]), JpegError::Order { at: 15 }),
            (vec![0xff, START, 0xff, 0xe0, 0xff, 0xff], JpegError::CutOff { at: 4 }),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Still::read(&bytes).unwrap_err(), expected, "{:02x?}", &bytes[..bytes.len().min(40)]);
        }
        let whole = file(&[frame(64, 64), scan()]);
        for length in 0..whole.len() {
            assert!(Still::read(&whole[..length]).is_err(), "{length}");
        }
        assert!(Still::read(&file(&vec![segment(0xfe, b""); SEGMENTS_MAX + 1])).is_err());
        // Short for us, long for whoever decodes it.
        let scanned = |scans| Still::read(&file(&[vec![frame(4_096, 4_096)], vec![scan(); scans]].concat()));
        assert!(scanned(SCANS_MAX).is_ok());
        assert_eq!(scanned(SCANS_MAX + 1).unwrap_err(), JpegError::Scans);
    }
}
