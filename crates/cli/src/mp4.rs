//! Opened chunks as MP4: one file, or several where the camera's parameters
//! changed.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use media::chunk::{AudioChunk, VideoChunk};
use media::mp4::{Mp4Writer, Sample};
use media::{CameraSignature, Codec, TrackDescription, TrackKind, camera_signatures};
use model::Timestamp;
use seal::recording::{ChunkHead, Header};

/// Of which recording chunks are.
pub(crate) struct Source {
    tracks: Vec<TrackDescription>,
    started_at: Timestamp,
}

impl Source {
    /// With all tracks, or those of pictures alone.
    pub(crate) fn of(header: &Header, sound: bool) -> Self {
        let tracks = header.tracks.iter().filter_map(describe);
        let tracks = tracks.filter(|track| sound || track.kind != TrackKind::Audio).collect();
        Source { tracks, started_at: header.started_at }
    }

    /// The time of day of a chunk.
    pub(crate) fn at(&self, track: u8, time: u32) -> Timestamp {
        self.started_at.plus_ms(u64::from(time) * 1_000 / self.timescale(track))
    }

    pub(crate) fn has(&self, track: u8) -> bool {
        self.tracks.iter().any(|known| known.id == track)
    }

    pub(crate) fn is_sound(&self, track: u8) -> bool {
        self.tracks.iter().any(|known| known.id == track && known.kind == TrackKind::Audio)
    }

    /// Signatures that the camera itself put into an opened chunk.
    pub(crate) fn camera_signatures(&self, track: u8, plaintext: &[u8]) -> BTreeSet<CameraSignature> {
        let known = self.tracks.iter().find(|known| known.id == track && known.kind == TrackKind::Video);
        let codec = known.and_then(|track| Codec::of(&track.codec));
        match (codec, plaintext.split_first_chunk::<4>()) {
            (Some(codec), Some((_, access_unit))) => camera_signatures(codec, access_unit),
            _ => BTreeSet::new(),
        }
    }

    fn timescale(&self, track: u8) -> u64 {
        let known = self.tracks.iter().find(|known| known.id == track);
        known.map_or(1, |track| u64::from(track.timescale))
    }
}

/// What is said of signatures that were found.
pub(crate) fn signed_by_camera(found: &BTreeSet<CameraSignature>) -> Option<String> {
    let names: Vec<String> = found.iter().map(CameraSignature::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the camera's own signatures ({}) are in the picture; they were kept as they came and are not checked by \
             Lenskeep",
            names.join(", ")
        )
    })
}

/// Files that are not finished are removed.
pub(crate) struct Clips<'p> {
    out: &'p Path,
    file: Option<OpenMp4>,
    files: Vec<PathBuf>,
}

struct OpenMp4 {
    writer: Mp4Writer<BufWriter<File>>,
    tracks: Vec<TrackDescription>,
    /// Wall-clock time of tick 0.
    starts_at: Timestamp,
    /// Per track: the last tick written.
    last: HashMap<u8, u64>,
}

impl<'p> Clips<'p> {
    /// A second file is numbered.
    pub(crate) fn at(out: &'p Path) -> Self {
        Clips { out, file: None, files: Vec::new() }
    }

    pub(crate) fn add(&mut self, source: &Source, head: ChunkHead, plaintext: Bytes) -> anyhow::Result<()> {
        let track = head.track;
        let file = self.file_for(&source.tracks, source.at(track, head.time))?;
        let start = file.tick(track, source.started_at, head.time, source.timescale(track));
        let description =
            source.tracks.iter().find(|t| t.id == track).context("a chunk of an unknown track")?;
        match description.kind {
            TrackKind::Video => {
                let video = VideoChunk::decode(plaintext)?;
                let sample = Sample {
                    track,
                    time: start,
                    presentation_delta: video.presentation_delta,
                    key_frame: head.is_key_frame(),
                    data: video.data,
                };
                file.write(sample)?;
            }
            TrackKind::Audio => {
                let mut time = start;
                for data in AudioChunk::decode(plaintext)?.frames {
                    let ticks = u64::from(description.audio_frame_ticks(data.len()));
                    file.write(Sample { track, time, presentation_delta: 0, key_frame: true, data })?;
                    time += ticks;
                }
            }
        }
        Ok(())
    }

    fn file_for(&mut self, tracks: &[TrackDescription], time: Timestamp) -> anyhow::Result<&mut OpenMp4> {
        if self.file.as_ref().is_some_and(|file| file.tracks != tracks) {
            self.close()?;
        }
        if self.file.is_none() {
            let path = match self.files.len() {
                0 => self.out.to_owned(),
                n => numbered(self.out, n + 1),
            };
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .with_context(|| format!("{} could not be made", path.display()))?;
            let writer = Mp4Writer::plain(BufWriter::new(file), tracks, time)?;
            self.files.push(path);
            self.file =
                Some(OpenMp4 { writer, tracks: tracks.to_vec(), starts_at: time, last: HashMap::new() });
        }
        self.file.as_mut().context("opened above")
    }

    /// What comes next is in another file.
    pub(crate) fn cut(&mut self) -> anyhow::Result<()> {
        self.close()
    }

    fn close(&mut self) -> anyhow::Result<()> {
        if let Some(file) = self.file.take() {
            let out = file.writer.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            out.sync_all()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<PathBuf>> {
        self.close()?;
        if self.files.is_empty() {
            bail!("there is no picture in it");
        }
        Ok(std::mem::take(&mut self.files))
    }
}

impl Drop for Clips<'_> {
    fn drop(&mut self) {
        self.file = None;
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl OpenMp4 {
    /// Recordings are placed by the wall clock, chunks within them by their own.
    fn tick(&self, track: u8, started_at: Timestamp, time: u32, timescale: u64) -> u64 {
        let offset_ms = i128::from(started_at.0) - i128::from(self.starts_at.0);
        let tick = offset_ms * i128::from(timescale) / 1_000 + i128::from(time);
        // Two recordings may overlap by a little; a track does not run back.
        let last = self.last.get(&track).copied().unwrap_or(0);
        u64::try_from(tick).unwrap_or(0).max(last)
    }

    fn write(&mut self, sample: Sample) -> anyhow::Result<()> {
        self.last.insert(sample.track, sample.time);
        Ok(self.writer.write(sample)?)
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number}.mp4"))
}

/// `None` for what is no picture and no sound.
fn describe(track: &seal::recording::Track) -> Option<TrackDescription> {
    Some(TrackDescription {
        id: track.id,
        kind: match track.kind {
            seal::recording::TrackKind::Video => TrackKind::Video,
            seal::recording::TrackKind::Audio => TrackKind::Audio,
            seal::recording::TrackKind::Events => return None,
        },
        codec: track.codec.clone(),
        timescale: track.timescale,
        description: track.description.as_ref().map(|bytes| Bytes::copy_from_slice(&bytes.0)),
        width: track.width,
        height: track.height,
        sample_rate: track.sample_rate,
        channels: track.channels,
    })
}
