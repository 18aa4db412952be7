//! Pictures to H.264 access units. CPU is dear where this runs, so everything
//! that costs time for little picture is switched off.

use std::time::SystemTime;

use anyhow::Context as _;
use bytes::Bytes;
use media::nal::{self, h264};
use openh264::OpenH264API;
use openh264::encoder::{Complexity, EncoderConfig, FrameRate, IntraFramePeriod, RateControlMode};
use openh264::formats::YUVSlices;

use crate::Shape;
use crate::head::Position;
use crate::picture::Picture;

/// A key frame every two seconds, as cameras come from the factory.
pub(crate) const GOP_SECONDS: u32 = 2;

pub(crate) struct Encoder {
    shape: Shape,
    picture: Picture,
    inner: openh264::encoder::Encoder,
}

impl Encoder {
    pub(crate) fn new(shape: Shape, name: &str) -> anyhow::Result<Self> {
        shape.check()?;
        let config = EncoderConfig::new()
            .max_frame_rate(FrameRate::from_hz(shape.frames_per_second as f32))
            .intra_frame_period(IntraFramePeriod::from_num_frames(GOP_SECONDS * shape.frames_per_second))
            // The scene hardly changes, so a fixed quality stays below 1 Mbit/s.
            .rate_control_mode(RateControlMode::Off)
            .complexity(Complexity::Low)
            .scene_change_detect(false)
            .adaptive_quantization(false)
            .skip_frames(false)
            .num_threads(1);
        let inner = openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), config)
            .context("the H.264 encoder does not start")?;
        Ok(Encoder { shape, picture: Picture::new(shape, name), inner })
    }

    /// Where the camera looks from the next picture on.
    pub(crate) fn look(&mut self, at: Position) {
        self.picture.look(at);
    }

    /// The NAL units of one picture. Key frames bring their parameter sets.
    pub(crate) fn encode(
        &mut self,
        number: u64,
        now: SystemTime,
        key_frame: bool,
    ) -> anyhow::Result<Vec<Bytes>> {
        self.picture.draw(number, now);
        if key_frame {
            self.inner.force_intra_frame();
        }
        let (width, height) = (self.shape.width, self.shape.height);
        let (luma, chroma) = self.picture.planes().split_at(width * height);
        let (blue, red) = chroma.split_at(chroma.len() / 2);
        let source = YUVSlices::new((luma, blue, red), (width, height), (width, width / 2, width / 2));
        let stream = self.inner.encode(&source).context("the H.264 encoder failed")?.to_vec();
        Ok(nal::annex_b(&stream).map(Bytes::copy_from_slice).collect())
    }
}

pub(crate) fn is_key_frame(units: &[Bytes]) -> bool {
    units.iter().any(|unit| h264::unit_type(unit) == Some(h264::IDR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_come_on_demand_and_with_parameter_sets() {
        let shape = Shape { width: 320, height: 180, frames_per_second: 5 };
        let mut encoder = Encoder::new(shape, "TEST").unwrap();
        let keys: Vec<bool> = (0..16)
            .map(|n| {
                let units = encoder.encode(n, SystemTime::UNIX_EPOCH, n == 3).unwrap();
                let types: Vec<_> = units.iter().filter_map(|u| h264::unit_type(u)).collect();
                let key = is_key_frame(&units);
                assert_eq!(key, types.contains(&h264::SPS) && types.contains(&h264::PPS), "{types:?}");
                key
            })
            .collect();
        assert!(keys[0] && !keys[1] && keys[3] && keys[13], "{keys:?}");
    }
}
