//! Noise, which is what good encryption makes, told from everything else.

use super::bytes::take;
use crate::read::ReadAt;

const SAMPLES: u64 = 64;
const SAMPLE: u64 = 4096;
/// Noise has so many samples at least.
const NOISE_MIN: u32 = 16;
/// A small file is called noise from so many bytes on.
const NOISE_BYTES_MIN: u64 = 1024;
/// Chi-square of noise is 255, give or take 23; more than this in a sample has one of
/// ten million, and more than that in all of them together one of ten thousand.
const SAMPLE_CHI_MAX: f64 = 400.0;
const ALL_CHI_MAX: f64 = 350.0;
/// Of a header and what belongs to it: all of the 2 MiB that most have.
const SAMPLES_BETWEEN: u64 = 512;
/// Fewer bytes say nothing.
const PLAIN_MIN: usize = 64;

/// What is in blocks that lie all over a source.
#[derive(Default)]
pub(super) struct Sampled {
    pub(super) noise: u32,
    /// One byte again and again: never written, or erased.
    pub(super) empty: u32,
    pub(super) plain: u32,
    pub(super) failed: u32,
    /// How often each byte stands in those of noise.
    counts: Vec<u32>,
}

impl Sampled {
    /// Reads at most [`SAMPLES`] blocks from `start` on.
    pub(super) fn of(source: &dyn ReadAt, start: u64) -> Sampled {
        let mut sampled = Sampled { counts: vec![0; 256], ..Sampled::default() };
        let blocks = source.len().saturating_sub(start) / SAMPLE;
        let samples = blocks.min(SAMPLES);
        for sample in 0..samples {
            // The first and the last block are among them.
            let block = sample * (blocks - 1) / (samples - 1).max(1);
            match take(source, start + block * SAMPLE, SAMPLE) {
                Ok(data) => sampled.add(&data),
                Err(_) => sampled.failed += 1,
            }
        }
        sampled
    }

    fn add(&mut self, data: &[u8]) {
        if data.iter().all(|byte| *byte == data[0]) {
            self.empty += 1;
            return;
        }
        let mut counts = [0_u32; 256];
        data.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        if chi_square(&counts) > SAMPLE_CHI_MAX {
            self.plain += 1;
            return;
        }
        self.noise += 1;
        self.counts.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }

    pub(super) fn is_noise(&self) -> bool {
        self.noise >= NOISE_MIN && self.plain == 0 && chi_square(&self.counts) < ALL_CHI_MAX
    }

    /// Shannon's entropy of a byte of noise.
    pub(super) fn bits(&self) -> f64 {
        let all = f64::from(self.counts.iter().sum::<u32>());
        let shares = self.counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
        shares.map(|share| -share * share.log2()).sum()
    }
}

/// Whether a file is nothing but noise, from its first byte to its last.
pub(crate) fn is_noise(source: &dyn ReadAt) -> bool {
    let bytes = source.len();
    if bytes >= u64::from(NOISE_MIN) * SAMPLE {
        return Sampled::of(source, 0).is_noise();
    }
    // Fewer say too little to be sure.
    if bytes < NOISE_BYTES_MIN {
        return false;
    }
    let Ok(data) = take(source, 0, bytes) else { return false };
    let mut counts = [0_u32; 256];
    data.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    chi_square(&counts) < ALL_CHI_MAX
}

fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// Whether something else than noise lies in a stretch, such as that between a header and
/// what is encrypted. Zeros around noise are none: what stands there ends anywhere.
pub(super) fn is_plain_between(source: &dyn ReadAt, from: u64, to: u64) -> bool {
    let blocks = to.min(source.len()).saturating_sub(from).div_ceil(SAMPLE);
    let samples = blocks.min(SAMPLES_BETWEEN);
    (0..samples).any(|sample| {
        let at = from + sample * (blocks - 1) / (samples - 1).max(1) * SAMPLE;
        let bytes = SAMPLE.min(to.min(source.len()) - at);
        take(source, at, bytes).is_ok_and(|data| is_plain(&data))
    })
}

fn is_plain(block: &[u8]) -> bool {
    let is_byte = |byte: &u8| *byte != 0;
    let from = block.iter().position(is_byte).unwrap_or(block.len());
    let to = block.iter().rposition(is_byte).map_or(from, |last| last + 1);
    let mut counts = [0_u32; 256];
    block[from..to].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    to - from >= PLAIN_MIN && chi_square(&counts) > SAMPLE_CHI_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_is_noise_or_not() {
        let mut random = fastrand::Rng::with_seed(31);
        let mut noise = |bytes: usize| (0..bytes).map(|_| random.u8(..)).collect::<Vec<u8>>();
        // Slots of keys end anywhere, and behind them lies nothing.
        for bytes in [0, 1, 64, 100, 500, 2048, 4096, 64 * 4000] {
            let mut data = noise(bytes);
            data.resize(1 << 20, 0);
            assert!(!is_plain_between(&data, 0, 1 << 20), "{bytes}");
            let text = b"rtsp://admin:Zebra77crossing@10.0.0.1/live and so on, for some lines of it\n";
            data[300_000..300_000 + text.len()].copy_from_slice(text);
            assert!(is_plain_between(&data, 0, 1 << 20), "{bytes}");
            assert!(!is_plain_between(&data, 400_000, u64::MAX));
            assert!(!is_plain_between(&data, 2 << 20, 3 << 20));
        }
    }
}
