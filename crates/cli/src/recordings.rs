//! `lenskeep recording list` and `lenskeep export`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use media::chunk::{AudioChunk, VideoChunk};
use media::mp4::{Mp4Writer, Sample};
use media::{TrackDescription, TrackKind};
use model::wire::Gap;
use model::{CameraId, EpochId, Hash, Rendition, Timestamp};
use seal::action::Action;
use seal::recording::{ChunkOpener, Recording};
use serde::{Deserialize, Serialize};

use crate::client::Session;
use crate::grants::Grants;
use crate::times;

#[derive(clap::Args)]
pub(crate) struct Range {
    #[arg(long, value_name = "ID")]
    pub(crate) camera: CameraId,
    /// RFC 3339 (2026-11-23T10:00:00Z), or a time ago such as 15m or 2h.
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "1h")]
    pub(crate) from: Timestamp,
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "now")]
    pub(crate) to: Timestamp,
    /// `main` or `sub`.
    #[arg(long, default_value = "main")]
    pub(crate) rendition: Rendition,
}

#[derive(Deserialize, Serialize)]
struct Page {
    recordings: Vec<Listed>,
    gaps: Vec<Gap>,
    more_from: Option<Timestamp>,
}

/// The cloud's index of one recording: where to look, not what to believe.
#[derive(Deserialize, Serialize)]
struct Listed {
    id: Hash,
    epoch: EpochId,
    started_at: Timestamp,
    duration_ms: u64,
    bytes: u64,
    codec: String,
    has_audio: bool,
    available: bool,
}

#[derive(Serialize, Default)]
struct List {
    recordings: Vec<Listed>,
    gaps: Vec<Gap>,
}

pub(crate) async fn list(session: &Session, range: &Range, as_json: bool) -> anyhow::Result<()> {
    let list = fetch(session, range).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    if list.recordings.is_empty() {
        println!("No recordings in this time. A recording is listed when it has closed and was forwarded.");
    }
    for recording in &list.recordings {
        let Listed { id, started_at, duration_ms, bytes, codec, .. } = recording;
        let begin = times::format(*started_at);
        println!("{begin}  {:>6.1} s  {:>9} bytes  {codec}  {id}", *duration_ms as f64 / 1_000.0, bytes);
    }
    for gap in &list.gaps {
        let (from, to) = (times::format(gap.from), times::format(gap.to));
        println!("gap {from} to {to}: {}", gap.reason.as_str().replace('_', " "));
    }
    Ok(())
}

async fn fetch(session: &Session, range: &Range) -> anyhow::Result<List> {
    let Range { camera, rendition, mut from, to } = *range;
    ensure!(from < to, "--from must be before --to");
    let mut list = List::default();
    loop {
        let path =
            format!("/api/v1/cameras/{camera}/recordings?from={}&to={}&rendition={rendition}", from.0, to.0);
        let page: Page = session.client.get(&path).await?;
        list.recordings.extend(page.recordings);
        list.gaps.extend(page.gaps);
        match page.more_from {
            Some(more) if more > from => from = more,
            _ => return Ok(list),
        }
    }
}

/// Opens the recordings of a range and writes one MP4, or several where the
/// camera's parameters changed.
pub(crate) async fn export(
    session: &mut Session,
    range: &Range,
    reason: Option<String>,
    out: &Path,
) -> anyhow::Result<()> {
    let list = fetch(session, range).await?;
    ensure!(!list.recordings.is_empty(), "there are no recordings in this time");
    let Range { camera, from, to, .. } = *range;
    session.act(Action::Export { camera, from, to, reason }).await?;
    let progress = ProgressBar::new(list.recordings.len() as u64);
    progress.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} recordings, {eta} left")?);
    let mut grants = Grants::default();
    let mut export = Export { range, out, file: None, files: Vec::new() };
    for listed in &list.recordings {
        let bytes = session.client.bytes(&format!("/api/v1/recordings/{}", listed.id)).await?;
        let recording = Recording::parse(&bytes)?;
        // First the header: what is not believed is not read on.
        let opener = grants.opener(session, &recording.header).await?;
        recording.verify(&session.roster)?;
        ensure!(recording.header.id == listed.id, "the cloud sent another recording than was asked for");
        let header = &recording.header.header;
        ensure!(
            header.camera == range.camera && header.rendition == range.rendition,
            "the cloud sent a recording of another camera"
        );
        export.add(&recording, &opener)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let files = export.finish()?;
    for gap in &list.gaps {
        let (from, to) = (times::format(gap.from), times::format(gap.to));
        println!("gap {from} to {to}: {}", gap.reason.as_str().replace('_', " "));
    }
    for file in files {
        println!("{}", file.display());
    }
    Ok(())
}

struct Export<'a> {
    range: &'a Range,
    out: &'a Path,
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

impl Export<'_> {
    fn add(&mut self, recording: &Recording<'_>, opener: &ChunkOpener) -> anyhow::Result<()> {
        let header = &recording.header.header;
        let tracks: Vec<TrackDescription> = header.tracks.iter().map(describe).collect();
        let timescale =
            |id: u8| tracks.iter().find(|track| track.id == id).map_or(1, |track| u64::from(track.timescale));
        let at = |track: u8, time: u32| header.started_at.plus_ms(u64::from(time) * 1_000 / timescale(track));
        // From the key frame at or before the range on, so that it decodes.
        let video = recording.chunks.iter().filter(|chunk| chunk.head.is_key_frame());
        let before =
            video.take_while(|chunk| at(chunk.head.track, chunk.head.time) <= self.range.from).last();
        let first = before.map_or(0, |chunk| chunk.number);
        for chunk in recording.chunks.iter().filter(|chunk| chunk.number >= first) {
            let track = chunk.head.track;
            let time = at(track, chunk.head.time);
            if time >= self.range.to {
                continue;
            }
            let mut buffer = chunk.ciphertext.to_vec();
            let length = opener.open(chunk.number, chunk.head_bytes, &mut buffer)?.len();
            buffer.truncate(length);
            let plaintext = Bytes::from(buffer);
            let file = self.file_for(&tracks, time)?;
            let start = file.tick(track, header.started_at, chunk.head.time, timescale(track));
            let description = tracks.iter().find(|t| t.id == track).context("a chunk of an unknown track")?;
            match description.kind {
                TrackKind::Video => {
                    let video = VideoChunk::decode(plaintext)?;
                    let sample = Sample {
                        track,
                        time: start,
                        presentation_delta: video.presentation_delta,
                        key_frame: chunk.head.is_key_frame(),
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

    fn close(&mut self) -> anyhow::Result<()> {
        if let Some(file) = self.file.take() {
            let out = file.writer.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            out.sync_all()?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Vec<PathBuf>> {
        self.close()?;
        if self.files.is_empty() {
            bail!("the recordings of this time hold no picture within it");
        }
        Ok(self.files)
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

fn describe(track: &seal::recording::Track) -> TrackDescription {
    TrackDescription {
        id: track.id,
        kind: match track.kind {
            seal::recording::TrackKind::Video => TrackKind::Video,
            seal::recording::TrackKind::Audio => TrackKind::Audio,
        },
        codec: track.codec.clone(),
        timescale: track.timescale,
        description: track.description.as_ref().map(|bytes| Bytes::copy_from_slice(&bytes.0)),
        width: track.width,
        height: track.height,
        sample_rate: track.sample_rate,
        channels: track.channels,
    }
}
