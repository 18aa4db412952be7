//! MP4 for export: samples in, a file out that players, browsers and ffprobe
//! read (ISO/IEC 14496-12). Two layouts: fragmented, which needs only a
//! [`Write`] and can be played while it grows; plain, which needs [`Seek`] and
//! is what older editors want. Neither keeps pictures in memory: the fragmented
//! one holds at most one fragment, the plain one a few bytes for each sample.
//!
//! Time that has no samples becomes a long last sample, so that what follows
//! stands where it belongs. Refuses to decode, to re-encode and to invent.

mod fragmented;
mod plain;
mod tables;
mod tracks;

use std::io::{self, Seek, Write};

use bytes::Bytes;
use model::Timestamp;

use crate::{Codec, TrackDescription, TrackKind};
use fragmented::Fragments;
use plain::Plain;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// [`TrackDescription::id`].
    pub track: u8,
    /// Decode time in ticks since the start of the file; does not decrease
    /// within a track.
    pub time: u64,
    pub presentation_delta: i32,
    pub key_frame: bool,
    /// Length-prefixed NAL units, or one frame of audio.
    pub data: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    #[error("cannot write the MP4 file: {0}")]
    Io(#[from] io::Error),
    #[error("cannot make the MP4 boxes: {0}")]
    Box(#[from] mp4_atom::Error),
    #[error("track {track}: the codec {codec:?} does not go into an MP4 file")]
    Codec { track: u8, codec: String },
    #[error("track {track}: {codec} needs its parameters in the description")]
    NoDescription { track: u8, codec: String },
    #[error("sample of track {0}, which is not in the file")]
    UnknownTrack(u8),
    #[error("track {track}: sample at {time} after one at {previous}")]
    OutOfOrder { track: u8, time: u64, previous: u64 },
    #[error("an MP4 file needs at least one track")]
    NoTracks,
}

/// Writes one file. [`Mp4Writer::finish`] is not optional: without it the last
/// sample of each track, and in the plain layout the whole index, is missing.
#[derive(Debug)]
pub struct Mp4Writer<W> {
    out: W,
    tracks: Vec<Track>,
    layout: Layout<W>,
}

#[derive(Debug)]
enum Layout<W> {
    Fragmented(Fragments),
    Plain(Plain<W>),
}

#[derive(Debug)]
struct Track {
    description: TrackDescription,
    codec: Codec,
    /// Waits for the next one, which says how long it lasts.
    held: Option<Sample>,
    /// Of the sample before, for the last one of all.
    duration: u32,
}

impl<W: Write> Mp4Writer<W> {
    /// `started_at` is written as the time of creation.
    pub fn fragmented(
        mut out: W,
        tracks: &[TrackDescription],
        started_at: Timestamp,
    ) -> Result<Self, Mp4Error> {
        let tracks = check(tracks)?;
        out.write_all(&fragmented::head(&tracks, started_at)?)?;
        let layout = Layout::Fragmented(Fragments::new(tracks.len()));
        Ok(Mp4Writer { out, tracks, layout })
    }

    pub fn write(&mut self, sample: Sample) -> Result<(), Mp4Error> {
        let index = (self.tracks.iter())
            .position(|t| t.description.id == sample.track)
            .ok_or(Mp4Error::UnknownTrack(sample.track))?;
        let track = &mut self.tracks[index];
        let Some(held) = track.held.replace(sample.clone()) else { return Ok(()) };
        let Some(duration) = sample.time.checked_sub(held.time) else {
            let error = Mp4Error::OutOfOrder { track: sample.track, time: sample.time, previous: held.time };
            track.held = Some(held);
            return Err(error);
        };
        // 13 hours at 90 kHz. A gap longer than that belongs in two files.
        track.duration = u32::try_from(duration).unwrap_or(u32::MAX);
        let duration = track.duration;
        self.emit(index, held, duration)
    }

    fn emit(&mut self, track: usize, sample: Sample, duration: u32) -> Result<(), Mp4Error> {
        match &mut self.layout {
            Layout::Fragmented(f) => f.push(&mut self.out, &self.tracks, track, sample, duration),
            Layout::Plain(p) => p.push(&mut self.out, track, &sample, duration),
        }
    }

    /// Writes what is held back and gives the writer back, flushed.
    pub fn finish(mut self) -> Result<W, Mp4Error> {
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            if let Some(sample) = track.held.take() {
                let duration = track.last_duration(&sample);
                self.emit(index, sample, duration)?;
            }
        }
        match &mut self.layout {
            Layout::Fragmented(fragments) => fragments.flush(&mut self.out, &self.tracks)?,
            Layout::Plain(plain) => plain.finish(&mut self.out, &self.tracks)?,
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write + Seek> Mp4Writer<W> {
    /// As [`Mp4Writer::fragmented`], with one index at the end of the file.
    pub fn plain(mut out: W, tracks: &[TrackDescription], started_at: Timestamp) -> Result<Self, Mp4Error> {
        let tracks = check(tracks)?;
        let plain = Plain::begin(&mut out, tracks.len(), started_at)?;
        Ok(Mp4Writer { out, tracks, layout: Layout::Plain(plain) })
    }
}

impl Track {
    fn last_duration(&self, sample: &Sample) -> u32 {
        match self.description.kind {
            TrackKind::Audio => self.description.audio_frame_ticks(sample.data.len()),
            // A file of one picture shows it for a fifteenth of a second.
            TrackKind::Video if self.duration == 0 => self.description.timescale / 15,
            TrackKind::Video => self.duration,
        }
    }
}

/// Everything that can be wrong with the tracks is said before a byte is written.
fn check(tracks: &[TrackDescription]) -> Result<Vec<Track>, Mp4Error> {
    if tracks.is_empty() {
        return Err(Mp4Error::NoTracks);
    }
    let check = |t: &TrackDescription| {
        let codec =
            Codec::of(&t.codec).ok_or_else(|| Mp4Error::Codec { track: t.id, codec: t.codec.clone() })?;
        if matches!(codec, Codec::H264 | Codec::H265 | Codec::Aac) && t.description.is_none() {
            return Err(Mp4Error::NoDescription { track: t.id, codec: t.codec.clone() });
        }
        Ok(Track { description: t.clone(), codec, held: None, duration: 0 })
    };
    tracks.iter().map(check).collect()
}
