//! NAL units of H.264 and H.265 in their two framings: length-prefixed
//! (ISO/IEC 14496-15, what we keep) and Annex B byte stream (what encoders and
//! `.h264` files give). Looks at no more than the NAL unit header.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The data ends inside a length or a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff;

/// The NAL units of one length-prefixed access unit. Ends after the first error.
pub fn length_prefixed(mut data: &[u8]) -> impl Iterator<Item = Result<&[u8], CutOff>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let unit = data.split_first_chunk::<4>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
        });
        Some(match unit {
            Some((unit, rest)) => {
                data = rest;
                Ok(unit)
            }
            None => {
                data = &[];
                Err(CutOff)
            }
        })
    })
}

/// The NAL units of an Annex B byte stream (ITU-T H.264 and H.265, Annex B):
/// what stands between start codes, without trailing zero bytes.
pub fn annex_b(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(data).map(|(_, after)| &data[after..]);
    std::iter::from_fn(move || {
        loop {
            let unit = rest.take()?;
            let unit = match start_code(unit) {
                Some((before, after)) => {
                    rest = Some(&unit[after..]);
                    &unit[..before]
                }
                None => unit,
            };
            let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if end > 0 {
                return Some(&unit[..end]);
            }
        }
    })
}

/// Where the first `00 00 01` begins and ends.
fn start_code(data: &[u8]) -> Option<(usize, usize)> {
    data.windows(3).position(|window| window == [0, 0, 1]).map(|at| (at, at + 3))
}

/// Units with 4-byte lengths before them.
pub fn to_length_prefixed<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = BytesMut::new();
    for unit in units {
        out.put_u32(u32::try_from(unit.len()).expect("a NAL unit fits in memory and in 4 GiB"));
        out.put_slice(unit);
    }
    out.freeze()
}

/// ITU-T H.264 table 7-1.
pub mod h264 {
    pub const SLICE: u8 = 1;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const ACCESS_UNIT_DELIMITER: u8 = 9;

    pub fn unit_type(unit: &[u8]) -> Option<u8> {
        unit.first().map(|byte| byte & 0x1f)
    }

    /// Whether the slice begins a picture: `first_mb_in_slice` is the first
    /// field after the header and 0 is coded as a single 1 bit (7.3.3).
    pub fn begins_picture(unit: &[u8]) -> bool {
        matches!(unit_type(unit), Some(SLICE | IDR)) && unit.get(1).is_some_and(|b| b & 0x80 != 0)
    }
}

/// ITU-T H.265 table 7-1.
pub mod h265 {
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const ACCESS_UNIT_DELIMITER: u8 = 35;
    pub const PREFIX_SEI: u8 = 39;
    pub const SUFFIX_SEI: u8 = 40;

    pub fn unit_type(unit: &[u8]) -> Option<u8> {
        unit.first().map(|byte| byte >> 1 & 0x3f)
    }

    /// `first_slice_segment_in_pic_flag` is the first bit after the two-byte
    /// header (7.3.6.1).
    pub fn begins_picture(unit: &[u8]) -> bool {
        unit_type(unit).is_some_and(|t| t < 32) && unit.get(2).is_some_and(|b| b & 0x80 != 0)
    }

    /// IDR, CRA and BLA pictures (types 16 to 21).
    pub fn is_random_access_point(unit: &[u8]) -> bool {
        unit_type(unit).is_some_and(|t| (16..=21).contains(&t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_splits_at_both_start_codes() {
        let stream = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3, 0, 0];
        let units: Vec<_> = annex_b(&stream).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x68, 2], &[0x65, 3]]);
        assert_eq!(annex_b(&[0, 0, 1, 0, 0, 1, 0, 0, 1, 9]).collect::<Vec<_>>(), [&[9][..]]);
        assert_eq!(annex_b(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn length_prefixed_reads_back_and_stops_where_it_is_cut() {
        let data = to_length_prefixed([&[1u8, 2][..], &[3]]);
        let units: Vec<_> = length_prefixed(&data).collect();
        assert_eq!(units, [Ok(&[1u8, 2][..]), Ok(&[3])]);
        let cut: Vec<_> = length_prefixed(&data[..data.len() - 1]).collect();
        assert_eq!(cut, [Ok(&[1u8, 2][..]), Err(CutOff)]);
        assert_eq!(length_prefixed(&[0xff; 4]).collect::<Vec<_>>(), [Err(CutOff)]);
    }
}
