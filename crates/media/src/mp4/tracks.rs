//! The boxes that describe tracks, common to both layouts. Leaves come from
//! `mp4-atom`; containers and sample entries are written here, because it has
//! no G.711 and would parse a camera's avcC only to write it again.

use bytes::BufMut as _;
use model::Timestamp;
use mp4_atom::{
    Audio, Dinf, Dref, DrefEntry, Edts, Encode as _, Hdlr, Mdhd, Mvhd, Smhd, Tkhd, Url, Visual, Vmhd,
};

use super::{Mp4Error, Track};
use crate::{Codec, TrackKind};

/// Ticks in a second of the movie's own clock (durations, edit lists).
pub(super) const MOVIE_TIMESCALE: u32 = 1_000;

/// Seconds from 1904-01-01, where MP4 counts from, to 1970-01-01.
const EPOCH_1904: u64 = 2_082_844_800;

/// One box: length, type, and what `body` writes.
pub(super) fn boxed(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Mp4Error>,
) -> Result<(), Mp4Error> {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    body(out)?;
    let length = u32::try_from(out.len() - start).map_err(|_| mp4_atom::Error::TooLarge((*kind).into()))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(super) fn movie_header(tracks: usize, started_at: Timestamp, duration: u64) -> Mvhd {
    let created = started_at.0 / Timestamp::SECOND + EPOCH_1904;
    Mvhd {
        creation_time: created,
        modification_time: created,
        timescale: MOVIE_TIMESCALE,
        duration,
        rate: 1.into(),
        volume: 1.into(),
        next_track_id: number(tracks),
        ..Mvhd::default()
    }
}

/// Track numbers in the file count from 1, in the order given.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index + 1).expect("track ids are u8, so there are at most 256 tracks")
}

/// A `trak`. Durations are 0 in the fragmented layout; `tables` writes what
/// stands in `stbl` after the sample description.
pub(super) struct TrackBox<'a> {
    pub(super) index: usize,
    pub(super) track: &'a Track,
    pub(super) created: &'a Mvhd,
    pub(super) movie_duration: u64,
    pub(super) media_duration: u64,
    pub(super) edits: Option<Edts>,
}

impl TrackBox<'_> {
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        tables: impl FnOnce(&mut Vec<u8>) -> Result<(), Mp4Error>,
    ) -> Result<(), Mp4Error> {
        let description = &self.track.description;
        let video = description.kind == TrackKind::Video;
        let header = Tkhd {
            creation_time: self.created.creation_time,
            modification_time: self.created.creation_time,
            track_id: number(self.index),
            duration: self.movie_duration,
            enabled: true,
            in_movie: true,
            volume: u8::from(!video).into(),
            width: short(description.width).into(),
            height: short(description.height).into(),
            ..Tkhd::default()
        };
        let media = Mdhd {
            creation_time: self.created.creation_time,
            modification_time: self.created.creation_time,
            timescale: description.timescale,
            duration: self.media_duration,
            language: "und".into(),
        };
        let (handler, name) = if video { (b"vide", "Video") } else { (b"soun", "Audio") };
        boxed(out, b"trak", |out| {
            header.encode(out)?;
            if let Some(edits) = &self.edits {
                edits.encode(out)?;
            }
            boxed(out, b"mdia", |out| {
                media.encode(out)?;
                Hdlr { handler: handler.into(), name: name.into() }.encode(out)?;
                boxed(out, b"minf", |out| {
                    match video {
                        true => Vmhd::default().encode(out)?,
                        false => Smhd::default().encode(out)?,
                    }
                    let here = DrefEntry::Url(Url { location: String::new() });
                    Dinf { dref: Dref { entries: vec![here] } }.encode(out)?;
                    boxed(out, b"stbl", |out| {
                        sample_description(out, self.track)?;
                        tables(out)
                    })
                })
            })
        })
    }
}

fn sample_description(out: &mut Vec<u8>, track: &Track) -> Result<(), Mp4Error> {
    let t = &track.description;
    let parameters = t.description.as_deref().unwrap_or_default();
    boxed(out, b"stsd", |out| {
        out.put_u32(0); // version, flags
        out.put_u32(1);
        match track.codec {
            // ISO/IEC 14496-15 sections 5.4.2 and 8.4.1.
            Codec::H264 => boxed(out, b"avc1", |out| visual(out, track, b"avcC", parameters)),
            Codec::H265 => boxed(out, b"hvc1", |out| visual(out, track, b"hvcC", parameters)),
            Codec::Aac => boxed(out, b"mp4a", |out| {
                audio(out, track)?;
                boxed(out, b"esds", |out| {
                    elementary_stream(out, parameters);
                    Ok(())
                })
            }),
            // QuickTime File Format, sound sample descriptions: 16 bits is the
            // size after expansion.
            Codec::Ulaw => boxed(out, b"ulaw", |out| audio(out, track)),
            Codec::Alaw => boxed(out, b"alaw", |out| audio(out, track)),
        }
    })
}

fn visual(out: &mut Vec<u8>, track: &Track, kind: &[u8; 4], parameters: &[u8]) -> Result<(), Mp4Error> {
    let visual = Visual {
        data_reference_index: 1,
        width: short(track.description.width),
        height: short(track.description.height),
        ..Visual::default()
    };
    visual.encode(out)?;
    boxed(out, kind, |out| {
        out.put_slice(parameters);
        Ok(())
    })
}

fn audio(out: &mut Vec<u8>, track: &Track) -> Result<(), Mp4Error> {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: short(track.description.channels.max(1)),
        sample_size: 16,
        // 16.16 fixed point: rates from 65 536 on stand as 0 and are read from
        // the decoder's parameters (ISO/IEC 14496-12 section 12.2.3).
        sample_rate: u16::try_from(track.description.sample_rate).unwrap_or(0).into(),
    };
    Ok(audio.encode(out)?)
}

/// ES_Descriptor of ISO/IEC 14496-1 section 7.2.6.5 for AAC.
fn elementary_stream(out: &mut Vec<u8>, parameters: &[u8]) {
    // A length of 7 bits. An AudioSpecificConfig has 2 to 64 bytes; longer
    // foreign ones are cut, and a decoder will say so.
    let parameters = &parameters[..parameters.len().min(64)];
    let length = |n: usize| u8::try_from(n).expect("at most 64 bytes and the heads around them");
    out.put_u32(0); // version, flags
    out.put_slice(&[0x03, length(3 + 2 + 13 + 2 + parameters.len() + 3), 0, 0, 0]);
    // Object type 0x40 is ISO/IEC 14496-3 audio, stream type 5 is audio.
    out.put_slice(&[0x04, length(13 + 2 + parameters.len()), 0x40, 5 << 2 | 1]);
    out.put_slice(&[0; 11]); // buffer size, greatest and average bit rate: unknown
    out.put_slice(&[0x05, length(parameters.len())]);
    out.put_slice(parameters);
    out.put_slice(&[0x06, 1, 2]); // SLConfigDescriptor: predefined for MP4
}

fn short(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
