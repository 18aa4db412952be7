//! Where a rendition's access units come from: a live encoder that every client
//! shares, or a prepared loop that each client plays for itself and that costs
//! no more than copying.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use media::Codec;
use media::nal::{self, h264, h265};
use tokio::sync::broadcast;

use crate::encode::{self, Encoder};
use crate::head::Head;
use crate::{Shape, rtp};

/// Ticks in a second of every RTP video clock (RFC 6184 section 8.2.1).
pub(crate) const TICKS: u64 = 90_000;
/// Pictures that a slow client may lag behind before it misses some.
const LAG_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) key: bool,
    pub(crate) payloads: Vec<Bytes>,
}

/// What an SDP says of a codec.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) codec: Codec,
    pub(crate) units: Vec<Bytes>,
}

impl Parameters {
    fn of(codec: Codec, units: &[Bytes]) -> Self {
        let kept = |unit: &&Bytes| match codec {
            Codec::H265 => {
                matches!(h265::unit_type(unit), Some(h265::VPS | h265::SPS | h265::PPS))
            }
            _ => matches!(h264::unit_type(unit), Some(h264::SPS | h264::PPS)),
        };
        Parameters { codec, units: units.iter().filter(kept).cloned().collect() }
    }
}

#[derive(Debug)]
pub(crate) enum Feed {
    Live(Arc<Live>),
    Prepared(Prepared),
}

impl Feed {
    pub(crate) fn parameters(&self) -> &Parameters {
        match self {
            Feed::Live(live) => &live.parameters,
            Feed::Prepared(prepared) => &prepared.parameters,
        }
    }

    /// Size and pace, and pictures from one key frame to the next, as the media
    /// services tell them.
    pub(crate) fn shape(&self) -> (Shape, u32) {
        match self {
            Feed::Live(live) => (live.shape, live.shape.frames_per_second * encode::GOP_SECONDS),
            Feed::Prepared(prepared) => {
                let keys = prepared.frames.iter().filter(|frame| frame.key).count().max(1);
                let every = u32::try_from(prepared.frames.len() / keys).unwrap_or(u32::MAX);
                (prepared.shape, every)
            }
        }
    }

    pub(crate) fn play(&self) -> Player {
        match self {
            Feed::Live(live) => Player::Live { frames: live.subscribe(), whole: false },
            Feed::Prepared(prepared) => {
                Player::Loop { prepared: prepared.clone(), next: 0, began: Instant::now() }
            }
        }
    }
}

/// One client's place in a feed. The first frame is a key frame.
#[derive(Debug)]
pub(crate) enum Player {
    Live {
        frames: broadcast::Receiver<(u64, Arc<Frame>)>,
        /// Nothing is missing since the last key frame.
        whole: bool,
    },
    Loop {
        prepared: Prepared,
        next: u64,
        began: Instant,
    },
}

impl Player {
    /// The next frame and its time in ticks. May be dropped without losing one.
    /// `None` if the encoder died.
    pub(crate) async fn next(&mut self) -> Option<(u64, Arc<Frame>)> {
        match self {
            Player::Live { frames, whole } => loop {
                match frames.recv().await {
                    Ok((ticks, frame)) if *whole || frame.key => {
                        *whole = true;
                        return Some((ticks, frame));
                    }
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => *whole = false,
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            },
            Player::Loop { prepared, next, began } => {
                let per_second = u64::from(prepared.frames_per_second);
                let due = *began + Duration::from_nanos(*next * 1_000_000_000 / per_second);
                tokio::time::sleep_until(due.into()).await;
                let frames = &prepared.frames;
                let place = usize::try_from(*next % frames.len() as u64).expect("below the length");
                let ticks = *next * TICKS / per_second;
                *next += 1;
                Some((ticks, Arc::clone(&frames[place])))
            }
        }
    }
}

/// An encoder that runs while somebody watches.
#[derive(Debug)]
pub(crate) struct Live {
    shape: Shape,
    name: String,
    head: Arc<Head>,
    parameters: Parameters,
    began: Instant,
    frames: broadcast::Sender<(u64, Arc<Frame>)>,
    key_wanted: AtomicBool,
    running: Mutex<bool>,
}

impl Live {
    pub(crate) fn new(shape: Shape, name: &str, head: &Arc<Head>) -> anyhow::Result<Arc<Self>> {
        // Parameter sets depend on the shape alone; one picture tells them.
        let units = Encoder::new(shape, name)?.encode(0, SystemTime::now(), true)?;
        Ok(Arc::new(Live {
            shape,
            name: name.into(),
            head: head.clone(),
            parameters: Parameters::of(Codec::H264, &units),
            began: Instant::now(),
            frames: broadcast::channel(LAG_MAX).0,
            key_wanted: AtomicBool::new(false),
            running: Mutex::new(false),
        }))
    }

    fn subscribe(self: &Arc<Self>) -> broadcast::Receiver<(u64, Arc<Frame>)> {
        let receiver = self.frames.subscribe();
        // As cameras do it: whoever comes need not wait for the next GOP.
        self.key_wanted.store(true, Ordering::Relaxed);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !*running {
            *running = true;
            let live = Arc::clone(self);
            std::thread::spawn(move || {
                if let Err(error) = live.run() {
                    tracing::error!("the simulated camera's encoder ended: {error:#}");
                }
                *live.running.lock().unwrap_or_else(PoisonError::into_inner) = false;
            });
        }
        receiver
    }

    fn run(&self) -> anyhow::Result<()> {
        let mut encoder = Encoder::new(self.shape, &self.name)?;
        let per_second = u64::from(self.shape.frames_per_second);
        let due = |number: u64| Duration::from_nanos(number * 1_000_000_000 / per_second);
        let number_at = |elapsed: Duration| {
            u64::try_from(elapsed.as_nanos() * u128::from(per_second) / 1_000_000_000).unwrap_or(0)
        };
        let mut number = number_at(self.began.elapsed()) + 1;
        loop {
            if self.frames.receiver_count() == 0 && self.stop() {
                return Ok(());
            }
            std::thread::sleep(due(number).saturating_sub(self.began.elapsed()));
            let key = self.key_wanted.swap(false, Ordering::Relaxed);
            encoder.look(self.head.position());
            let units = encoder.encode(number, SystemTime::now(), key)?;
            let frame =
                Frame { key: encode::is_key_frame(&units), payloads: rtp::payloads(Codec::H264, &units) };
            // Nobody may be left; the next round sees it.
            let _ = self.frames.send((number * TICKS / per_second, Arc::new(frame)));
            // A machine that is too slow shows fewer pictures, not later ones.
            number = (number + 1).max(number_at(self.began.elapsed()));
        }
    }

    /// Whether nobody came between the count and the lock.
    fn stop(&self) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = self.frames.receiver_count() > 0;
        !*running
    }
}

/// Access units in memory, cut into packets once and played for ever. Cloning is
/// cheap; hundreds of cameras may share one.
#[derive(Clone, Debug)]
pub struct Prepared {
    parameters: Parameters,
    pictures: Arc<[Vec<Bytes>]>,
    frames: Arc<[Arc<Frame>]>,
    frames_per_second: u32,
    /// Of a file, its pace alone: nobody reads its size here.
    shape: Shape,
}

impl Prepared {
    /// Encodes the moving picture once. Its clock stands still in time: it shows
    /// the seconds of the first round for ever.
    pub fn encode(shape: Shape, name: &str, seconds: u32) -> anyhow::Result<Self> {
        let mut encoder = Encoder::new(shape, name)?;
        let now = SystemTime::now();
        let mut stream = Vec::new();
        for number in 0..shape.frames_per_second * seconds.max(1) {
            let at = now + Duration::from_secs(1) * number / shape.frames_per_second;
            stream.push(encoder.encode(u64::from(number), at, number == 0)?);
        }
        let made = Self::of_access_units(Codec::H264, &stream, shape.frames_per_second)?;
        Ok(Prepared { shape, ..made })
    }

    /// A `.h264` or `.h265` file as encoders write it (Annex B).
    pub fn read(path: &Path, frames_per_second: u32) -> anyhow::Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let codec = match extension.to_ascii_lowercase().as_str() {
            "h264" | "264" | "avc" => Codec::H264,
            "h265" | "265" | "hevc" => Codec::H265,
            _ => bail!("{}: a byte stream is named .h264 or .h265", path.display()),
        };
        let data = std::fs::read(path).with_context(|| path.display().to_string())?;
        Self::of_byte_stream(codec, &data, frames_per_second).with_context(|| path.display().to_string())
    }

    pub fn of_byte_stream(codec: Codec, data: &[u8], frames_per_second: u32) -> anyhow::Result<Self> {
        let mut stream: Vec<Vec<Bytes>> = Vec::new();
        let mut picture_began = true;
        for unit in nal::annex_b(data) {
            let (begins, slice) = match codec {
                Codec::H265 => (h265::begins_picture(unit), h265::unit_type(unit).is_some_and(|t| t < 32)),
                _ => (
                    h264::begins_picture(unit),
                    matches!(h264::unit_type(unit), Some(h264::SLICE..=h264::IDR)),
                ),
            };
            // What is no slice stands before the picture that it belongs to.
            let next = picture_began && (begins || !slice);
            if next || stream.is_empty() {
                stream.push(Vec::new());
                picture_began = false;
            }
            picture_began |= slice;
            stream.last_mut().expect("just pushed").push(Bytes::copy_from_slice(unit));
        }
        Self::of_access_units(codec, &stream, frames_per_second)
    }

    fn of_access_units(codec: Codec, stream: &[Vec<Bytes>], frames_per_second: u32) -> anyhow::Result<Self> {
        if !(1..=Shape::FRAMES_PER_SECOND_MAX).contains(&frames_per_second) {
            bail!("a camera makes 1 to {} pictures a second", Shape::FRAMES_PER_SECOND_MAX);
        }
        let key = |units: &[Bytes]| match codec {
            Codec::H265 => units.iter().any(|unit| h265::is_random_access_point(unit)),
            _ => encode::is_key_frame(units),
        };
        let pictures: Arc<[_]> = stream.iter().skip_while(|units| !key(units)).cloned().collect();
        let frames = pictures
            .iter()
            .map(|units| Arc::new(Frame { key: key(units), payloads: rtp::payloads(codec, units) }))
            .collect();
        let Some(first) = pictures.first() else {
            bail!("no key frame in this stream");
        };
        let parameters = Parameters::of(codec, first);
        if parameters.units.is_empty() {
            bail!("the first key frame comes without parameter sets");
        }
        let shape = Shape { frames_per_second, ..Shape::MAIN };
        Ok(Prepared { parameters, pictures, frames, frames_per_second, shape })
    }

    /// The NAL units of each picture, in the order in which every client gets them.
    pub fn pictures(&self) -> &[Vec<Bytes>] {
        &self.pictures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_encoder_runs_while_somebody_watches() {
        let shape = Shape { width: 64, height: 48, frames_per_second: 50 };
        let live = Live::new(shape, "X", &Arc::new(Head::new())).unwrap();
        let running = || *live.running.lock().unwrap();
        assert!(!running());
        let feed = Feed::Live(Arc::clone(&live));
        for _ in 0..2 {
            let (mut first, mut second) = (feed.play(), feed.play());
            assert!(running());
            let (ticks, frame) = first.next().await.unwrap();
            assert!(frame.key && second.next().await.unwrap().1.key);
            drop(second);
            assert!(first.next().await.unwrap().0 > ticks);
            drop(first);
            while running() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[test]
    fn a_byte_stream_is_cut_at_its_pictures() {
        let code = [0, 0, 0, 1];
        let units: [&[u8]; 8] = [
            &[0x41, 0x80],       // a picture that nothing precedes
            &[0x67, 0x42, 0, 9], // SPS
            &[0x68, 1],          // PPS
            &[0x65, 0x88],       // IDR, two slices
            &[0x65, 0x08],
            &[0x41, 0x9a],
            &[0x06, 1, 2], // SEI of the next
            &[0x41, 0x9b],
        ];
        let data: Vec<u8> = units.iter().flat_map(|unit| [&code, *unit].concat()).collect();
        let prepared = Prepared::of_byte_stream(Codec::H264, &data, 25).unwrap();
        let counts: Vec<_> = prepared.frames.iter().map(|f| (f.key, f.payloads.len())).collect();
        assert_eq!(counts, [(true, 4), (false, 1), (false, 2)]);
        assert_eq!(prepared.parameters.units.len(), 2);
        assert!(Prepared::of_byte_stream(Codec::H264, &data[..6], 25).is_err());
        assert!(Prepared::of_byte_stream(Codec::H264, &data, 0).is_err());
    }
}
