//! The plain layout: `ftyp`, one `mdat` whose length is filled in at the end,
//! and the index after it.

use std::io::{self, Seek, SeekFrom, Write};

use bytes::BufMut as _;
use model::Timestamp;
use mp4_atom::{Edts, Elst, ElstEntry, Encode as _, Ftyp};

use super::fragmented::size;
use super::tables::Tables;
use super::tracks::{self, MOVIE_TIMESCALE, TrackBox, boxed};
use super::{Mp4Error, Sample, Track};
use crate::TrackKind;

#[derive(Debug)]
pub(super) struct Plain<W> {
    started_at: Timestamp,
    /// Where the 64-bit length of `mdat` belongs.
    length_at: u64,
    /// Where the next sample goes.
    at: u64,
    tables: Vec<Tables>,
    /// Kept from `begin`, where `W` was known to seek: `finish` is shared with
    /// writers that do not.
    patch: fn(&mut W, u64, u64) -> io::Result<()>,
}

fn patch<W: Write + Seek>(out: &mut W, at: u64, value: u64) -> io::Result<()> {
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(at))?;
    out.write_all(&value.to_be_bytes())?;
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

impl<W: Write + Seek> Plain<W> {
    pub(super) fn begin(out: &mut W, tracks: usize, started_at: Timestamp) -> Result<Self, Mp4Error> {
        let mut head = Vec::new();
        Ftyp {
            major_brand: b"isom".into(),
            minor_version: 0x200,
            compatible_brands: vec![b"isom".into(), b"iso6".into(), b"mp41".into()],
        }
        .encode(&mut head)?;
        // Length 1 says that the real one follows in 64 bits (section 4.2).
        head.put_u32(1);
        head.put_slice(b"mdat");
        let start = out.stream_position()?;
        let length_at = start + head.len() as u64;
        head.put_u64(0);
        out.write_all(&head)?;
        let tables = (0..tracks).map(|_| Tables::default()).collect();
        Ok(Plain { started_at, length_at, at: length_at + 8, tables, patch: patch::<W> })
    }
}

impl<W: Write> Plain<W> {
    pub(super) fn push(
        &mut self,
        out: &mut W,
        track: usize,
        sample: &Sample,
        duration: u32,
    ) -> Result<(), Mp4Error> {
        let size = size(&sample.data)?;
        out.write_all(&sample.data)?;
        self.tables[track].push(self.at, sample, size, duration);
        self.at += u64::from(size);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut W, tracks: &[Track]) -> Result<(), Mp4Error> {
        // The box begins with its short length and type, 8 bytes before.
        (self.patch)(out, self.length_at, self.at - (self.length_at - 8))?;
        let in_movie = |ticks: u64, track: &Track| {
            u64::try_from(
                u128::from(ticks) * u128::from(MOVIE_TIMESCALE)
                    / u128::from(track.description.timescale.max(1)),
            )
            .unwrap_or(u64::MAX)
        };
        let ends = (self.tables.iter().zip(tracks)).map(|(t, track)| in_movie(t.start + t.duration, track));
        let header = tracks::movie_header(tracks.len(), self.started_at, ends.max().unwrap_or(0));
        let mut moov = Vec::new();
        boxed(&mut moov, b"moov", |moov| {
            header.encode(moov)?;
            for (index, (track, tables)) in tracks.iter().zip(&mut self.tables).enumerate() {
                let (start, duration) = (in_movie(tables.start, track), in_movie(tables.duration, track));
                TrackBox {
                    index,
                    track,
                    created: &header,
                    movie_duration: start + duration,
                    media_duration: tables.duration,
                    edits: (start > 0).then(|| starts_later(start, duration)),
                }
                .write(moov, |out| tables.write(out, track.description.kind == TrackKind::Video))?;
            }
            Ok(())
        })?;
        Ok(out.write_all(&moov)?)
    }
}

/// An empty edit, then the media (section 8.6.6).
fn starts_later(start: u64, duration: u64) -> Edts {
    let entries = vec![
        ElstEntry { segment_duration: start, media_time: None, media_rate: 1.into() },
        ElstEntry { segment_duration: duration, media_time: Some(0), media_rate: 1.into() },
    ];
    Edts { elst: Some(Elst { entries }) }
}
