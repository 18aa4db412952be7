//! Access units in, chunk plaintexts out: `push` a unit, `pull` until none is
//! left. Video goes one picture to a chunk; audio waits until a batch holds at
//! least 100 ms, because sealing has a cost per chunk. Knows neither keys nor
//! files; the recorder seals and stores what it pulls.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::chunk::{AUDIO_FRAME_MAX, AudioChunk, ChunkError, VideoChunk};
use crate::{AccessUnit, TrackDescription, TrackKind};

/// Least audio in one chunk (format.md section 5).
const AUDIO_MS_MIN: i64 = 100;
/// Sound that pauses leaves a batch that no frame completes. It goes out with
/// the picture that is so much later: what waits is lost in a crash.
const AUDIO_WAITS_MS_MAX: i64 = 500;
/// Most frames in one chunk, so that a camera with tiny frames cannot grow a batch.
const AUDIO_FRAMES_MAX: usize = 4_096;
/// Most bytes in one chunk of audio: a timescale that lies makes 100 ms long.
const AUDIO_BYTES_MAX: usize = 1 << 20;

/// What is sealed of a chunk, in pieces as they lie in memory: sealing copies
/// them, nothing before it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plaintext {
    Video { presentation_delta: [u8; 4], data: Bytes },
    Audio(Bytes),
}

impl Plaintext {
    pub fn parts(&self) -> [&[u8]; 2] {
        match self {
            Plaintext::Video { presentation_delta, data } => [presentation_delta, data],
            Plaintext::Audio(frames) => [frames, &[]],
        }
    }
}

/// What `seal` takes: the clear head's fields and the plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub track: u8,
    /// Of the first frame, in ticks since the run started.
    pub time: i64,
    pub key_frame: bool,
    pub discontinuity: bool,
    pub plaintext: Plaintext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkerError {
    #[error("access unit of track {0}, which was not described")]
    UnknownTrack(u8),
    #[error("access unit of track {track}: {source}")]
    Chunk { track: u8, source: ChunkError },
}

#[derive(Debug)]
pub struct Chunker {
    tracks: Vec<Track>,
    ready: VecDeque<Chunk>,
}

#[derive(Debug)]
struct Track {
    description: TrackDescription,
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    time: i64,
    /// Where the next frame would start.
    end: i64,
    discontinuity: bool,
    bytes: usize,
    frames: Vec<Bytes>,
}

impl Chunker {
    pub fn new(tracks: &[TrackDescription]) -> Self {
        let tracks = tracks.iter().map(|t| Track { description: t.clone(), batch: None }).collect();
        Chunker { tracks, ready: VecDeque::new() }
    }

    /// An error concerns this unit alone: it is dropped and the next may follow
    /// (marked as a discontinuity by whoever counts).
    pub fn push(&mut self, unit: AccessUnit) -> Result<(), ChunkerError> {
        let track = (self.tracks.iter_mut())
            .find(|t| t.description.id == unit.track)
            .ok_or(ChunkerError::UnknownTrack(unit.track))?;
        let id = unit.track;
        match track.description.kind {
            TrackKind::Video => {
                let at_ms = track.description.ms(unit.time);
                VideoChunk::check(&unit.data).map_err(|source| ChunkerError::Chunk { track: id, source })?;
                self.ready.push_back(Chunk {
                    track: id,
                    time: unit.time,
                    key_frame: unit.key_frame,
                    discontinuity: unit.discontinuity,
                    plaintext: Plaintext::Video {
                        presentation_delta: unit.presentation_delta.to_be_bytes(),
                        data: unit.data,
                    },
                });
                for track in &mut self.tracks {
                    track.finish_before(at_ms - AUDIO_WAITS_MS_MAX, &mut self.ready);
                }
                Ok(())
            }
            TrackKind::Audio => (track.push_audio(unit, &mut self.ready))
                .map_err(|source| ChunkerError::Chunk { track: id, source }),
        }
    }

    pub fn pull(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    /// Gives out unfinished batches, shorter than 100 ms as they may be: the
    /// recording closes.
    pub fn flush(&mut self) {
        for track in &mut self.tracks {
            track.finish(&mut self.ready);
        }
    }
}

impl Track {
    fn finish_before(&mut self, ms: i64, ready: &mut VecDeque<Chunk>) {
        if self.batch.as_ref().is_some_and(|batch| self.description.ms(batch.time) < ms) {
            self.finish(ready);
        }
    }

    fn push_audio(&mut self, unit: AccessUnit, ready: &mut VecDeque<Chunk>) -> Result<(), ChunkError> {
        let length = unit.data.len();
        if length == 0 {
            return Err(ChunkError::ZeroLength { at: 0 });
        }
        if length > AUDIO_FRAME_MAX {
            return Err(ChunkError::FrameTooLong { length });
        }
        let timescale = i64::from(self.description.timescale);
        // A chunk tells the time of its first frame only, so a hole, or a drift
        // of more than 20 ms, begins another.
        let apart = self.batch.as_ref().is_some_and(|b| (unit.time - b.end).abs() > timescale / 50);
        if unit.discontinuity || apart {
            self.finish(ready);
        }
        let ticks = i64::from(self.description.audio_frame_ticks(length));
        let batch = self.batch.get_or_insert_with(|| Batch {
            time: unit.time,
            end: unit.time,
            discontinuity: unit.discontinuity,
            bytes: 0,
            frames: Vec::new(),
        });
        batch.bytes += length;
        batch.frames.push(unit.data);
        batch.end += ticks;
        let long_enough = (batch.end - batch.time) * 1_000 >= AUDIO_MS_MIN * timescale;
        let full = batch.frames.len() >= AUDIO_FRAMES_MAX || batch.bytes >= AUDIO_BYTES_MAX;
        if long_enough || full {
            self.finish(ready);
        }
        Ok(())
    }

    fn finish(&mut self, ready: &mut VecDeque<Chunk>) {
        let Some(batch) = self.batch.take() else { return };
        // AUDIO_BYTES_MAX and one more frame are far below the bound.
        let Ok(plaintext) = AudioChunk::encode(batch.frames.iter().map(|f| &f[..])) else { return };
        ready.push_back(Chunk {
            track: self.description.id,
            time: batch.time,
            key_frame: false,
            discontinuity: batch.discontinuity,
            plaintext: Plaintext::Audio(plaintext),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(id: u8, kind: TrackKind, codec: &str, timescale: u32) -> TrackDescription {
        let audio = u32::from(kind == TrackKind::Audio);
        TrackDescription {
            id,
            kind,
            codec: codec.into(),
            timescale,
            description: None,
            width: 0,
            height: 0,
            sample_rate: audio * timescale,
            channels: audio,
        }
    }

    fn unit(track: u8, time: i64, data: &[u8]) -> AccessUnit {
        AccessUnit {
            track,
            time,
            presentation_delta: 0,
            key_frame: false,
            discontinuity: false,
            data: Bytes::copy_from_slice(data),
        }
    }

    fn times(chunker: &mut Chunker) -> Vec<(u8, i64, bool)> {
        std::iter::from_fn(|| chunker.pull()).map(|c| (c.track, c.time, c.discontinuity)).collect()
    }

    #[test]
    fn video_passes_at_once_and_audio_waits_for_100_ms() {
        let mut chunker = Chunker::new(&[
            track(0, TrackKind::Video, "avc1.42001e", 90_000),
            track(1, TrackKind::Audio, "ulaw", 8_000),
        ]);
        chunker.push(unit(0, 0, &[0, 0, 0, 1, 0x65])).unwrap();
        assert_eq!(times(&mut chunker), [(0, 0, false)]);
        for n in 0..5 {
            chunker.push(unit(1, n * 160, &[0xff; 160])).unwrap();
        }
        assert_eq!(times(&mut chunker), [(1, 0, false)]);
        chunker.push(unit(1, 800, &[0xff; 160])).unwrap();
        assert_eq!(times(&mut chunker), []);
        chunker.flush();
        assert_eq!(times(&mut chunker), [(1, 800, false)]);
    }

    #[test]
    fn a_hole_or_a_mark_begins_another_chunk() {
        let mut chunker = Chunker::new(&[track(1, TrackKind::Audio, "mp4a.40.2", 48_000)]);
        chunker.push(unit(1, 0, &[1])).unwrap();
        chunker.push(unit(1, 9_000, &[2])).unwrap();
        let marked = AccessUnit { discontinuity: true, ..unit(1, 10_024, &[3]) };
        chunker.push(marked).unwrap();
        chunker.flush();
        assert_eq!(times(&mut chunker), [(1, 0, false), (1, 9_000, false), (1, 10_024, true)]);
    }

    #[test]
    fn bad_units_are_refused_one_by_one() {
        let mut chunker = Chunker::new(&[track(1, TrackKind::Audio, "ulaw", 8_000)]);
        assert_eq!(chunker.push(unit(2, 0, &[1])), Err(ChunkerError::UnknownTrack(2)));
        assert!(chunker.push(unit(1, 0, &[])).is_err());
        chunker.push(unit(1, 0, &[1; 800])).unwrap();
        assert_eq!(times(&mut chunker), [(1, 0, false)]);
    }
}
