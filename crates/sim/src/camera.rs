//! Cameras, and the model of what they gave: every access unit that was
//! accepted has a number, which is inside what is sealed.

use bytes::{BufMut as _, Bytes, BytesMut};
use media::{AccessUnit, TrackDescription, TrackKind};
use model::wire::GapReason;
use model::{CameraId, Rendition, Timestamp};

pub(crate) const VIDEO: u8 = 0;
pub(crate) const SOUND: u8 = 1;
const VIDEO_TIMESCALE: u32 = 90_000;
/// A frame of AAC lasts 64 ms, so two are one chunk.
const SOUND_TIMESCALE: u32 = 16_000;
const FRAME_MS: u64 = 64;
const NUMBER_AT: usize = 5;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Camera {
    pub(crate) id: CameraId,
    pub(crate) rendition: Rendition,
    pub(crate) has_sound: bool,
    pub(crate) picture_ms: u64,
    pub(crate) faults: Faults,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Connections fail, for this reason.
    pub(crate) refuses: Option<GapReason>,
    /// Gives nothing more.
    pub(crate) stalls: bool,
    /// Connections break after a few seconds.
    pub(crate) resets: bool,
    /// Sends other parameters every few seconds.
    pub(crate) changes: bool,
    /// Some units are none.
    pub(crate) bad_units: bool,
    pub(crate) few_key_frames: bool,
}

impl Camera {
    pub(crate) fn tracks(&self) -> Vec<TrackDescription> {
        let track = |id, kind, codec: &str, timescale| TrackDescription {
            id,
            kind,
            codec: codec.to_owned(),
            timescale,
            description: None,
            width: 0,
            height: 0,
            sample_rate: 0,
            channels: u32::from(id),
        };
        let video = track(VIDEO, TrackKind::Video, "avc1.64001f", VIDEO_TIMESCALE);
        let sound = track(SOUND, TrackKind::Audio, "mp4a.40.2", SOUND_TIMESCALE);
        if self.has_sound { vec![video, sound] } else { vec![video] }
    }
}

/// One unit, and its number.
pub(crate) struct Given {
    pub(crate) number: u64,
    pub(crate) unit: AccessUnit,
    pub(crate) at_ms: u64,
}

/// One connection to a camera: what it gives, and when.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Of the simulation.
    pub(crate) began_ms: u64,
    pub(crate) started_at: Timestamp,
    next_picture_ms: u64,
    next_sound_ms: u64,
    pictures: u64,
}

impl Connection {
    pub(crate) fn new(now_ms: u64, started_at: Timestamp) -> Self {
        Connection { began_ms: now_ms, started_at, next_picture_ms: 0, next_sound_ms: 20, pictures: 0 }
    }

    /// What arrived until now, in order. Sound comes in the first seconds of
    /// each minute: it is many units, all alike.
    pub(crate) fn take(&mut self, camera: &Camera, now_ms: u64, number: &mut u64) -> Vec<Given> {
        let elapsed = now_ms - self.began_ms;
        let mut given = Vec::new();
        while self.next_picture_ms <= elapsed {
            let gop = if camera.faults.few_key_frames { 400 } else { 5 };
            let key_frame = self.pictures.is_multiple_of(gop);
            let broken = camera.faults.bad_units && self.pictures % 7 == 3;
            given.push(Given {
                number: *number,
                unit: AccessUnit {
                    track: VIDEO,
                    time: (self.next_picture_ms * u64::from(VIDEO_TIMESCALE) / 1_000) as i64,
                    presentation_delta: 0,
                    key_frame,
                    discontinuity: false,
                    data: picture(*number, broken),
                },
                at_ms: self.next_picture_ms,
            });
            *number += 1;
            self.pictures += 1;
            self.next_picture_ms += camera.picture_ms;
        }
        while camera.has_sound && self.next_sound_ms <= elapsed {
            if self.next_sound_ms % 60_000 < 6_000 {
                given.push(Given {
                    number: *number,
                    unit: AccessUnit {
                        track: SOUND,
                        time: (self.next_sound_ms * u64::from(SOUND_TIMESCALE) / 1_000) as i64,
                        presentation_delta: 0,
                        key_frame: false,
                        discontinuity: false,
                        data: Bytes::copy_from_slice(&number.to_be_bytes()),
                    },
                    at_ms: self.next_sound_ms,
                });
                *number += 1;
            }
            self.next_sound_ms += FRAME_MS;
        }
        given.sort_by_key(|given| given.at_ms);
        given
    }
}

/// One NAL unit of some length with the number inside; or bytes that are none.
fn picture(number: u64, broken: bool) -> Bytes {
    let padding = (number % 40) as usize;
    let length = 1 + 8 + padding;
    let mut data = BytesMut::with_capacity(4 + length);
    data.put_u32(if broken { length as u32 + 9 } else { length as u32 });
    data.put_u8(0x65);
    data.put_u64(number);
    data.put_bytes(0xab, padding);
    data.freeze()
}

/// The number inside a picture.
pub(crate) fn number_of_picture(data: &[u8]) -> Option<u64> {
    data.get(NUMBER_AT..NUMBER_AT + 8)?.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn number_of_sound(frame: &[u8]) -> Option<u64> {
    frame.try_into().ok().map(u64::from_be_bytes)
}
