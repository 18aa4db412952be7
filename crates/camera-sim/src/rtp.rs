//! Access units and audio into RTP (RFC 3550, RFC 6184, RFC 7798, RFC 3551) and
//! RTCP sender reports.

use std::time::SystemTime;

use bytes::{BufMut as _, Bytes, BytesMut};
use media::Codec;

/// With headers this stays below Ethernet's 1 500 bytes.
const PAYLOAD_MAX: usize = 1_400;

/// RFC 6184 section 5.6 and 5.8, RFC 7798 section 4.4.1 and 4.4.3: a NAL unit is
/// a payload or several fragments. Cut once, whoever watches.
pub(crate) fn payloads(codec: Codec, units: &[Bytes]) -> Vec<Bytes> {
    let mut out = Vec::new();
    for unit in units {
        if unit.len() <= PAYLOAD_MAX {
            out.push(unit.clone());
        } else if codec == Codec::H265 {
            // FU type 49; F, layer and temporal id from the unit.
            let head = [unit[0] & 0x81 | 49 << 1, unit[1]];
            fragment(&unit[2..], &head, unit[0] >> 1 & 0x3f, &mut out);
        } else {
            // FU-A type 28; F and NRI from the unit.
            fragment(&unit[1..], &[unit[0] & 0xe0 | 28], unit[0] & 0x1f, &mut out);
        }
    }
    out
}

fn fragment(body: &[u8], head: &[u8], unit_type: u8, out: &mut Vec<Bytes>) {
    let pieces = body.chunks(PAYLOAD_MAX - head.len() - 1);
    let last = pieces.len() - 1;
    for (n, piece) in pieces.enumerate() {
        let (start, end) = (u8::from(n == 0) << 7, u8::from(n == last) << 6);
        let mut payload = BytesMut::with_capacity(PAYLOAD_MAX);
        payload.put_slice(head);
        payload.put_u8(start | end | unit_type);
        payload.put_slice(piece);
        out.push(payload.freeze());
    }
}

/// One track of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// RTP time of tick 0.
    pub(crate) base: u32,
    packets: u32,
    octets: u32,
}

impl Sender {
    pub(crate) fn new(payload_type: u8, ssrc: u32, sequence: u16, base: u32) -> Self {
        Sender { payload_type, ssrc, sequence, base, packets: 0, octets: 0 }
    }

    /// RTP time is 32 bits and wraps.
    pub(crate) fn rtp_time(&self, ticks: u64) -> u32 {
        self.base.wrapping_add((ticks & u64::from(u32::MAX)) as u32)
    }

    /// The header for the next packet.
    pub(crate) fn head(&mut self, ticks: u64, marker: bool, octets: usize) -> [u8; 12] {
        let mut head = [0; 12];
        head[0] = 0x80;
        head[1] = u8::from(marker) << 7 | self.payload_type;
        head[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&self.rtp_time(ticks).to_be_bytes());
        head[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(octets).unwrap_or(u32::MAX));
        head
    }

    /// RFC 3550 section 6.4.1: the instant of `ticks` on the camera's clock.
    pub(crate) fn report(&self, ticks: u64, clock: SystemTime) -> [u8; 28] {
        let mut report = [0; 28];
        report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
        report[4..8].copy_from_slice(&self.ssrc.to_be_bytes());
        report[8..16].copy_from_slice(&ntp(clock).to_be_bytes());
        report[16..20].copy_from_slice(&self.rtp_time(ticks).to_be_bytes());
        report[20..24].copy_from_slice(&self.packets.to_be_bytes());
        report[24..28].copy_from_slice(&self.octets.to_be_bytes());
        report
    }
}

/// Seconds since 1900 in 32.32 fixed point; 2036 begins another era.
fn ntp(clock: SystemTime) -> u64 {
    const FROM_1900_TO_1970: u64 = 2_208_988_800;
    let since = clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(FROM_1900_TO_1970) << 32;
    seconds | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

/// `$`, channel, length (RFC 2326 section 10.12).
pub(crate) fn interleave(channel: u8, parts: [&[u8]; 2], out: &mut Vec<u8>) {
    let length = u16::try_from(parts[0].len() + parts[1].len()).expect("packets are short");
    out.extend_from_slice(&[b'$', channel]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(parts[0]);
    out.extend_from_slice(parts[1]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn long_units_are_cut_and_short_ones_stay_whole() {
        let unit = Bytes::from(vec![0x65; 3_000]);
        let parts = payloads(Codec::H264, &[Bytes::from_static(&[0x67, 1]), unit.clone()]);
        let heads: Vec<_> = parts.iter().map(|p| p[..2].to_vec()).collect();
        assert_eq!(heads, [[0x67, 1], [0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]]);
        assert_eq!(parts[1..].iter().map(|p| p.len() - 2).sum::<usize>(), unit.len() - 1);

        let unit = Bytes::from([vec![19 << 1, 1], vec![7; 2_000]].concat());
        let parts = payloads(Codec::H265, &[unit]);
        let heads: Vec<_> = parts.iter().map(|p| p[..3].to_vec()).collect();
        assert_eq!(heads, [[98, 1, 0x80 | 19], [98, 1, 0x40 | 19]]);
        assert!(parts.iter().all(|part| part.len() <= PAYLOAD_MAX));
    }

    #[test]
    fn sequence_and_time_wrap() {
        let mut sender = Sender::new(96, 1, 65_535, u32::MAX);
        assert_eq!(sender.head(0, false, 10)[2..8], [255, 255, 255, 255, 255, 255]);
        assert_eq!(sender.head(2, true, 10)[1..8], [0x80 | 96, 0, 0, 0, 0, 0, 1]);
        let clock = SystemTime::UNIX_EPOCH + Duration::from_millis(500);
        let report = sender.report(1, clock);
        assert_eq!(report[8..16], [0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0]);
        assert_eq!(report[16..], [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 20]);
    }
}
