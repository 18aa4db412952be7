//! Whether a stream of zlib (RFC 1950) begins. Its magic number is two bytes, which
//! stand in any program thousands of times: the first block of deflate (RFC 1951)
//! must be sensible, and the beginning must unpack.

use flate2::{Decompress, FlushDecompress, Status};

/// Unpacked on trial, in bytes. Noise is found out much earlier: in a block of fixed
/// codes every tenth symbol reaches back to before the stream began.
const OUT: usize = 1024;
const IN: usize = 4096;
/// What trials may read and write for each byte of a window, beyond `FREE`. Real
/// programs take a twentieth of it.
const RATIO: u64 = 4;
const FREE: u64 = 1 << 20;

/// The trials of one window.
#[derive(Default)]
pub(super) struct Trials {
    /// Made with the first: it takes 40 KiB.
    decoder: Option<Decompress>,
    spent: u64,
    /// Where the last trial ended; looked at only when the budget is spent.
    end: usize,
}

impl Trials {
    /// Whether a stream begins at `at`. When the budget is spent no byte is tried
    /// twice, so that a window of nothing but beginnings takes time in proportion to
    /// its length.
    pub(super) fn zlib(&mut self, window: &[u8], at: usize) -> bool {
        let head = &window[at..];
        if !is_block(head.get(2..).unwrap_or_default()) {
            return false;
        }
        let allowed = FREE + RATIO * window.len() as u64;
        if self.spent > allowed && at < self.end {
            return false;
        }
        let decoder = self.decoder.get_or_insert_with(|| Decompress::new(true));
        decoder.reset(true);
        let mut out = [0; OUT];
        let result = decoder.decompress(&head[..head.len().min(IN)], &mut out, FlushDecompress::None);
        let (read, unpacked) = match &result {
            Ok(_) => (decoder.total_in(), decoder.total_out()),
            // How far it came is not told.
            Err(_) => (head.len().min(IN) as u64, 0),
        };
        self.spent += 64 + read + unpacked;
        self.end = self.end.max(at + read as usize);
        match result {
            Ok(Status::StreamEnd) => unpacked > 0,
            Ok(_) => unpacked >= 16 || head.len() <= IN && unpacked > 0,
            Err(_) => false,
        }
    }

    #[cfg(test)]
    fn spent(&self) -> u64 {
        self.spent
    }
}

/// Whether the header of a block of deflate can be one, as far as that is told by a
/// look; what is cut short is left to the trial.
fn is_block(data: &[u8]) -> bool {
    let Some(first) = data.first() else { return false };
    match first >> 1 & 3 {
        0 => match data.get(1..5) {
            Some([a, b, c, d]) => *a == !c && *b == !d,
            _ => true,
        },
        1 => true,
        2 => data.first_chunk().is_none_or(|head| is_dynamic(u128::from_le_bytes(*head))),
        _ => false,
    }
}

/// 3.2.7: counts of codes, and the lengths of the codes of lengths, which must fill
/// their tree.
fn is_dynamic(bits: u128) -> bool {
    let field = |at: u32, width: u32| (bits >> at) as u32 & ((1 << width) - 1);
    let (literals, distances, lengths) = (field(3, 5), field(8, 5), field(13, 4) + 4);
    if literals > 29 || distances > 29 {
        return false;
    }
    let (mut room, mut used) = (0, 0);
    for index in 0..lengths {
        let length = field(17 + 3 * index, 3);
        if length > 0 {
            room += 128 >> length;
            used += 1;
        }
    }
    room == 128 || used == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn zlib(data: &[u8], level: u32) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
        out.write_all(data).expect("to memory");
        out.finish().expect("to memory")
    }

    /// Stored, fixed and dynamic blocks, of every length in which they differ.
    #[test]
    fn each_stream_is_found_at_its_beginning() {
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..400_usize {
            let letters = 1 + round % 200;
            let data: Vec<u8> = (0..1 + round * 11).map(|_| 32 + random.usize(..letters) as u8).collect();
            for level in [0, 1, 6, 9] {
                let stream = zlib(&data, level);
                assert!(Trials::default().zlib(&stream, 0), "{round} at level {level}");
            }
        }
    }

    #[test]
    fn noise_is_none() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut noise: Vec<u8> = (0..4 << 20).map(|_| random.u8(..)).collect();
        let mut trials = Trials::default();
        let mut passed = 0;
        for at in (0..noise.len() - 4).step_by(128) {
            noise[at..at + 2].copy_from_slice(&[0x78, 0x9c]);
            passed += u32::from(trials.zlib(&noise, at));
        }
        assert!(passed <= 3, "{passed} of {}", noise.len() / 128);
    }

    /// Each two bytes begin a stream that goes on for long.
    #[test]
    fn a_window_of_beginnings_costs_in_proportion() {
        // A block of fixed codes whose letters are `x` and 0x9c, again and again.
        let window = [0x78, 0x9c, 0x63].repeat(1 << 20);
        let mut trials = Trials::default();
        for at in (0..window.len()).step_by(3) {
            trials.zlib(&window, at);
        }
        let (most, len) = (trials.spent(), window.len() as u64);
        assert!(most <= FREE + (RATIO + 4) * len, "{most} for {len}");
    }
}
