//! The fragmented layout (ISO/IEC 14496-12 section 8.8): one `moof` and `mdat`
//! for each group of pictures.

use std::io::Write;

use bytes::{BufMut as _, Bytes};
use model::Timestamp;
use mp4_atom::{
    Encode as _, Ftyp, Mfhd, Moof, Mvex, Stco, Stsc, Stsz, Stts, Tfdt, Tfhd, Traf, Trex, Trun, TrunEntry,
    TrunSamples,
};

use super::tracks::{self, TrackBox, boxed};
use super::{Mp4Error, Sample, Track};
use crate::TrackKind;

/// A fragment ends at a key frame, or when it holds this much.
const BYTES_MAX: usize = 16 << 20;
const SAMPLES_MAX: usize = 8_192;
/// Audio without video has no key frames: a fragment for so many samples.
const AUDIO_SAMPLES_MAX: usize = 256;

/// ISO/IEC 14496-12 section 8.8.3.1: depends on no other sample, or on others
/// and is no sync sample.
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

pub(super) fn head(tracks: &[Track], started_at: Timestamp) -> Result<Vec<u8>, Mp4Error> {
    let mut out = Vec::new();
    Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"isom".into(), b"mp41".into()],
    }
    .encode(&mut out)?;
    let header = tracks::movie_header(tracks.len(), started_at, 0);
    boxed(&mut out, b"moov", |out| {
        header.encode(out)?;
        for (index, track) in tracks.iter().enumerate() {
            let (movie_duration, media_duration) = (0, 0);
            TrackBox { index, track, created: &header, movie_duration, media_duration, edits: None }.write(
                out,
                |out| {
                    Stts::default().encode(out)?;
                    Stsc::default().encode(out)?;
                    Stsz::default().encode(out)?;
                    Ok(Stco::default().encode(out)?)
                },
            )?;
        }
        let trex = |index| Trex {
            track_id: tracks::number(index),
            default_sample_description_index: 1,
            default_sample_duration: 0,
            default_sample_size: 0,
            default_sample_flags: 0,
        };
        Ok(Mvex { mehd: None, trex: (0..tracks.len()).map(trex).collect() }.encode(out)?)
    })?;
    Ok(out)
}

#[derive(Debug)]
pub(super) struct Fragments {
    sequence: u32,
    bytes: usize,
    samples: usize,
    runs: Vec<Run>,
}

#[derive(Debug, Default)]
struct Run {
    time: u64,
    entries: Vec<TrunEntry>,
    data: Vec<Bytes>,
}

impl Fragments {
    pub(super) fn new(tracks: usize) -> Self {
        let runs = (0..tracks).map(|_| Run::default()).collect();
        Fragments { sequence: 0, bytes: 0, samples: 0, runs }
    }

    pub(super) fn push(
        &mut self,
        out: &mut impl Write,
        tracks: &[Track],
        track: usize,
        sample: Sample,
        duration: u32,
    ) -> Result<(), Mp4Error> {
        let has_video = tracks.iter().any(|t| t.description.kind == TrackKind::Video);
        let video = tracks[track].description.kind == TrackKind::Video;
        let full = self.bytes + sample.data.len() > BYTES_MAX
            || self.samples >= if has_video { SAMPLES_MAX } else { AUDIO_SAMPLES_MAX };
        let begins_group = video && sample.key_frame && !self.runs[track].entries.is_empty();
        if full || begins_group {
            self.flush(out, tracks)?;
        }
        let run = &mut self.runs[track];
        if run.entries.is_empty() {
            run.time = sample.time;
        }
        run.entries.push(TrunEntry {
            duration: Some(duration),
            size: Some(size(&sample.data)?),
            flags: Some(if !video || sample.key_frame { SYNC } else { NOT_SYNC }),
            cts: Some(i64::from(sample.presentation_delta)),
        });
        self.bytes += sample.data.len();
        self.samples += 1;
        run.data.push(sample.data);
        Ok(())
    }

    pub(super) fn flush(&mut self, out: &mut impl Write, tracks: &[Track]) -> Result<(), Mp4Error> {
        if self.samples == 0 {
            return Ok(());
        }
        self.sequence += 1;
        let runs: Vec<Run> = self.runs.iter_mut().map(std::mem::take).collect();
        // Offsets count from the start of the `moof`, whose length does not
        // depend on their values: make it twice.
        let mut moof = Vec::new();
        self.moof(&runs, 0)?.encode(&mut moof)?;
        let length = moof.len();
        moof.clear();
        self.moof(&runs, length + 8)?.encode(&mut moof)?;
        debug_assert_eq!((moof.len(), tracks.len()), (length, runs.len()));
        let mdat = u32::try_from(self.bytes + 8).map_err(|_| mp4_atom::Error::TooLarge(b"mdat".into()))?;
        moof.put_u32(mdat);
        moof.put_slice(b"mdat");
        out.write_all(&moof)?;
        for data in runs.iter().flat_map(|run| &run.data) {
            out.write_all(data)?;
        }
        self.bytes = 0;
        self.samples = 0;
        Ok(())
    }

    fn moof(&self, runs: &[Run], data_at: usize) -> Result<Moof, Mp4Error> {
        let mut offset = data_at;
        let mut traf = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            if run.entries.is_empty() {
                continue;
            }
            let data_offset = i32::try_from(offset).map_err(|_| mp4_atom::Error::TooLarge(b"moof".into()))?;
            traf.push(Traf {
                tfhd: Tfhd { track_id: tracks::number(index), default_base_is_moof: true, ..Tfhd::default() },
                tfdt: Some(Tfdt { base_media_decode_time: run.time }),
                trun: vec![Trun {
                    data_offset: Some(data_offset),
                    samples: TrunSamples::Explicit(run.entries.clone()),
                }],
                ..Traf::default()
            });
            offset += run.data.iter().map(Bytes::len).sum::<usize>();
        }
        Ok(Moof { mfhd: Mfhd { sequence_number: self.sequence }, traf })
    }
}

pub(super) fn size(data: &Bytes) -> Result<u32, Mp4Error> {
    Ok(u32::try_from(data.len()).map_err(|_| mp4_atom::Error::TooLarge(b"mdat".into()))?)
}
