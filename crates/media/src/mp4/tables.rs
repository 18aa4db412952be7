//! The sample tables of one track of the plain layout (ISO/IEC 14496-12 section
//! 8.6 and 8.7), grown sample by sample in run-length form.

use mp4_atom::{
    Co64, Ctts, CttsEntry, Encode as _, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry,
};

use super::{Mp4Error, Sample};

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Decode time of the first sample.
    pub(super) start: u64,
    /// Sum of all durations.
    pub(super) duration: u64,
    durations: Vec<SttsEntry>,
    deltas: Vec<CttsEntry>,
    key_frames: Vec<u32>,
    sizes: Vec<u32>,
    chunks: Vec<u64>,
    chunk_lengths: Vec<StscEntry>,
    /// Where the next sample has to be to lie in the same chunk.
    chunk_end: u64,
    in_chunk: u32,
}

/// A chunk, in the sense of MP4, is a row of samples without others between.
const CHUNK_SAMPLES_MAX: u32 = 64;

impl Tables {
    pub(super) fn push(&mut self, at: u64, sample: &Sample, size: u32, duration: u32) {
        if self.sizes.is_empty() {
            self.start = sample.time;
        }
        self.duration += u64::from(duration);
        match self.durations.last_mut() {
            Some(run) if run.sample_delta == duration => run.sample_count += 1,
            _ => self.durations.push(SttsEntry { sample_count: 1, sample_delta: duration }),
        }
        let offset = i64::from(sample.presentation_delta);
        match self.deltas.last_mut() {
            Some(run) if run.sample_offset == offset => run.sample_count += 1,
            _ => self.deltas.push(CttsEntry { sample_count: 1, sample_offset: offset }),
        }
        self.sizes.push(size);
        if sample.key_frame {
            self.key_frames.push(count(self.sizes.len()));
        }
        if at != self.chunk_end || self.in_chunk == 0 || self.in_chunk >= CHUNK_SAMPLES_MAX {
            self.end_chunk();
            self.chunks.push(at);
        }
        self.in_chunk += 1;
        self.chunk_end = at + u64::from(size);
    }

    fn end_chunk(&mut self) {
        if self.in_chunk == 0 {
            return;
        }
        let samples_per_chunk = std::mem::take(&mut self.in_chunk);
        if self.chunk_lengths.last().is_some_and(|e| e.samples_per_chunk == samples_per_chunk) {
            return;
        }
        self.chunk_lengths.push(StscEntry {
            first_chunk: count(self.chunks.len()),
            samples_per_chunk,
            sample_description_index: 1,
        });
    }

    /// `sync` says that the track has samples that are no key frames.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, sync: bool) -> Result<(), Mp4Error> {
        self.end_chunk();
        Stts { entries: std::mem::take(&mut self.durations) }.encode(out)?;
        if self.deltas.iter().any(|run| run.sample_offset != 0) {
            Ctts { entries: std::mem::take(&mut self.deltas) }.encode(out)?;
        }
        if sync {
            Stss { entries: std::mem::take(&mut self.key_frames) }.encode(out)?;
        }
        Stsc { entries: std::mem::take(&mut self.chunk_lengths) }.encode(out)?;
        let sizes = std::mem::take(&mut self.sizes);
        Stsz { samples: StszSamples::Different { sizes } }.encode(out)?;
        Ok(Co64 { entries: std::mem::take(&mut self.chunks) }.encode(out)?)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("4 billion samples last four years")
}
