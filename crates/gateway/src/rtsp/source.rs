//! One run of one rendition: from connecting to the loss of the stream.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use media::{AccessUnit, Timeline, TrackDescription};
use model::{CameraAccess, CameraUrl, Rendition, Timestamp};
use retina::client::{
    Credentials, Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionIdPolicy, SessionOptions,
    SetupOptions, TeardownPolicy, UnknownRtcpSsrcPolicy,
};
use retina::codec::{AudioFrame, CodecItem, FrameFormat, VideoFrame};
use retina::rtcp::ReceivedCompoundPacket;
use tokio::time::{Instant, timeout, timeout_at};

use super::bridge::{Bridge, Upstream};
use super::describe::{self, Chosen};
use super::error::Scrubber;
use super::{Limits, SourceError, tls};

/// How pictures come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Inside the RTSP connection.
    #[default]
    Tcp,
    /// Best effort, for cameras that have nothing else; never with RTSPS.
    Udp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SourceEvent {
    /// Before the first access unit, which is a key frame. Times of access
    /// units count from `started_at`.
    Described {
        tracks: Vec<TrackDescription>,
        started_at: Timestamp,
    },
    AccessUnit(AccessUnit),
    /// Before the key frame to which the new parameters belong.
    ParametersChanged(Vec<TrackDescription>),
    /// The run is over; nothing follows.
    Lost(SourceError),
}

/// Track ids in every recording of ours.
const VIDEO: u8 = 0;
const AUDIO: u8 = 1;

/// retina 0.4.21 does not ask to be woken again after a request from the camera
/// (RFC 2326 section 10 allows some), and sleeps on whatever comes next.
const POLL_AGAIN: Duration = Duration::from_millis(250);

pub struct RtspSource {
    demuxed: Demuxed,
    bridge: Bridge,
    chosen: Chosen,
    words: Scrubber,
    limits: Limits,
    timeline: Timeline,
    /// Empty until the first key frame.
    tracks: Vec<TrackDescription>,
    ready: VecDeque<SourceEvent>,
    lost: Option<SourceError>,
    played_at: Instant,
    last_picture_at: Option<Instant>,
    /// Units of the track were dropped here since the last one that was not.
    dropped: [bool; 2],
}

impl std::fmt::Debug for RtspSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtspSource").field("tracks", &self.tracks).finish_non_exhaustive()
    }
}

/// RTSP status of a camera that does not take pictures' transport (RFC 2326 section 11.3.14).
const UNSUPPORTED_TRANSPORT: u16 = 461;

impl RtspSource {
    /// Over TCP, and over UDP from a camera without TLS that refuses TCP.
    pub async fn connect_any(
        access: &CameraAccess,
        rendition: Rendition,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        match Box::pin(Self::connect(access, rendition, Transport::Tcp, limits)).await {
            Err(SourceError::Refused { status: UNSUPPORTED_TRANSPORT, .. })
                if access.certificate.is_none() =>
            {
                Box::pin(Self::connect(access, rendition, Transport::Udp, limits)).await
            }
            connected => connected,
        }
    }

    /// Returns once the camera has answered PLAY.
    pub async fn connect(
        access: &CameraAccess,
        rendition: Rendition,
        transport: Transport,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        let url = match rendition {
            Rendition::Main => &access.url,
            Rendition::Sub => access.sub_url.as_ref().ok_or(SourceError::NoSubStream)?,
            Rendition::Events => return Err(SourceError::NoPicture),
        };
        let upstream = open_upstream(access, url, transport, limits).await?;
        let bridge = Bridge::open(upstream, limits).await?;
        let words = Scrubber::new(access);
        let playing = unpanicked(Box::pin(play(access, url, &bridge, &words)));
        let seconds = limits.describe.as_secs();
        let answered = timeout(limits.describe, playing).await;
        let late = || SourceError::AnswerTimeout { step: "DESCRIBE, SETUP or PLAY", seconds };
        let (demuxed, chosen) = answered.map_err(|_| late())???;

        let streams = demuxed.streams();
        let mut timescales = vec![streams[chosen.video].clock_rate_hz()];
        timescales.extend(chosen.audio.map(|audio| streams[audio].clock_rate_hz()));
        Ok(RtspSource {
            demuxed,
            bridge,
            chosen,
            words,
            limits: limits.clone(),
            timeline: Timeline::new(&timescales),
            tracks: Vec::new(),
            ready: VecDeque::new(),
            lost: None,
            played_at: Instant::now(),
            last_picture_at: None,
            dropped: [false; 2],
        })
    }

    /// The next event. May be dropped and called again without losing one.
    /// After [`SourceEvent::Lost`] it says the same for ever.
    pub async fn next(&mut self) -> SourceEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if let Some(error) = &self.lost {
                return SourceEvent::Lost(error.clone());
            }
            let (deadline, late) = self.deadline();
            let patience = deadline.min(Instant::now() + POLL_AGAIN);
            let taken = match timeout_at(patience, unpanicked(self.demuxed.next())).await {
                Err(_) if patience < deadline => continue,
                Err(_) => Err(late),
                Ok(Err(panicked)) => Err(panicked),
                Ok(Ok(None)) => Err(self.bridge.failure().unwrap_or(SourceError::Closed)),
                Ok(Ok(Some(Err(error)))) => Err(cause(&self.bridge, &error, &self.words)),
                Ok(Ok(Some(Ok(item)))) => self.take(item),
            };
            if let Err(error) = taken {
                self.lost = Some(error);
            }
        }
    }

    fn deadline(&self) -> (Instant, SourceError) {
        let limits = &self.limits;
        let stall =
            |since: Instant| (since + limits.stall, SourceError::Stalled { seconds: limits.stall.as_secs() });
        let Some(last) = self.last_picture_at else {
            let seconds = limits.first_packet.as_secs();
            return (self.played_at + limits.first_packet, SourceError::NoPacket { seconds });
        };
        if !self.tracks.is_empty() {
            return stall(last);
        }
        let seconds = limits.key_frame.as_secs();
        let key_frame = (self.played_at + limits.key_frame, SourceError::NoKeyFrame { seconds });
        if key_frame.0 < stall(last).0 { key_frame } else { stall(last) }
    }

    fn take(&mut self, item: CodecItem) -> Result<(), SourceError> {
        match item {
            CodecItem::VideoFrame(frame) if frame.stream_id() == self.chosen.video => self.take_video(frame),
            CodecItem::AudioFrame(frame) if Some(frame.stream_id()) == self.chosen.audio => {
                self.take_audio(&frame);
                Ok(())
            }
            CodecItem::Rtcp(packet) => {
                self.take_report(&packet);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_video(&mut self, frame: VideoFrame) -> Result<(), SourceError> {
        self.last_picture_at = Some(Instant::now());
        let key_frame = frame.is_random_access_point();
        let received_at = wall_clock(frame.start_ctx().received_wall().into());
        if self.tracks.is_empty() {
            if !key_frame {
                // RTP time passed before the first key frame is checked here too:
                // a stream of nothing else ends at its deadline, not later.
                return if Instant::now() >= self.played_at + self.limits.key_frame {
                    Err(SourceError::NoKeyFrame { seconds: self.limits.key_frame.as_secs() })
                } else {
                    Ok(())
                };
            }
            self.tracks = self.describe()?;
            let tracks = self.tracks.clone();
            self.ready.push_back(SourceEvent::Described { tracks, started_at: received_at });
        } else if frame.has_new_parameters() {
            let tracks = self.describe()?;
            if tracks != self.tracks {
                self.tracks.clone_from(&tracks);
                self.ready.push_back(SourceEvent::ParametersChanged(tracks));
            }
        }
        let lost = frame.loss() > 0 || std::mem::take(&mut self.dropped[usize::from(VIDEO)]);
        let rtp = wrapping(frame.timestamp());
        let data = frame.into_data();
        if data.is_empty() || data.len() > self.limits.access_unit_bytes {
            self.dropped[usize::from(VIDEO)] = true;
            return Ok(());
        }
        self.give(VIDEO, rtp, received_at, lost, key_frame, data.into());
        Ok(())
    }

    fn take_audio(&mut self, frame: &AudioFrame) {
        let length = frame.data().len();
        let described = self.tracks.iter().any(|track| track.id == AUDIO);
        if !described || length == 0 || length > media::chunk::AUDIO_FRAME_MAX {
            self.dropped[usize::from(AUDIO)] = true;
            return;
        }
        let received_at = wall_clock(frame.ctx().received_wall().into());
        let lost = frame.loss() > 0 || std::mem::take(&mut self.dropped[usize::from(AUDIO)]);
        let data = Bytes::copy_from_slice(frame.data());
        self.give(AUDIO, wrapping(frame.timestamp()), received_at, lost, false, data);
    }

    fn give(
        &mut self,
        track: u8,
        rtp: u32,
        received_at: Timestamp,
        lost: bool,
        key_frame: bool,
        data: Bytes,
    ) {
        let placed = self.timeline.place(usize::from(track), rtp, received_at, lost);
        self.ready.push_back(SourceEvent::AccessUnit(AccessUnit {
            track,
            time: placed.time,
            presentation_delta: placed.presentation_delta,
            key_frame,
            discontinuity: placed.discontinuity,
            data,
        }));
    }

    fn take_report(&mut self, packet: &ReceivedCompoundPacket) {
        let track = match packet.stream_id() {
            id if id == self.chosen.video => VIDEO,
            id if Some(id) == self.chosen.audio => AUDIO,
            _ => return,
        };
        for report in packet.pkts().filter_map(|p| p.as_sender_report().ok().flatten()) {
            let (ntp, rtp) = (report.ntp_timestamp().0, report.rtp_timestamp());
            self.timeline.sender_report(usize::from(track), ntp, rtp);
        }
    }

    fn describe(&self) -> Result<Vec<TrackDescription>, SourceError> {
        let streams = self.demuxed.streams();
        let video = describe::track(VIDEO, &streams[self.chosen.video]).ok_or_else(|| {
            SourceError::BadStream { reason: "a key frame without usable parameter sets".into() }
        })?;
        let audio = self.chosen.audio.and_then(|audio| describe::track(AUDIO, &streams[audio]));
        Ok(std::iter::once(video).chain(audio).collect())
    }
}

/// A panic in a parser of foreign bytes ends the stream that brought them and
/// nothing else. sdp-types 0.1.8 asserts that a media description begins with
/// `m=`, which a camera can break. The caller polls no panicked future again.
async fn unpanicked<T>(future: impl Future<Output = T>) -> Result<T, SourceError> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| SourceError::BadStream {
        reason: "the camera sent something that broke the parser".into(),
    })
}

async fn open_upstream(
    access: &CameraAccess,
    url: &CameraUrl,
    transport: Transport,
    limits: &Limits,
) -> Result<Upstream, SourceError> {
    let pin = match (url.is_tls(), access.certificate, transport) {
        (true, _, Transport::Udp) => return Err(SourceError::UdpWithTls),
        (true, None, _) => return Err(SourceError::NoPin),
        // A camera with a pinned certificate speaks TLS; whoever has us speak in
        // the clear wants to read the password.
        (false, Some(_), _) => return Err(SourceError::PinWithoutTls),
        (_, pin, _) => pin,
    };
    let tcp = tls::connect_tcp(url.host(), url.port(), limits).await?;
    Ok(match (pin, transport) {
        (Some(pin), _) => Upstream::Tls(Box::new(tls::connect_pinned(tcp, url.host(), pin, limits).await?)),
        (None, Transport::Tcp) => Upstream::Plain(tcp),
        (None, Transport::Udp) => Upstream::WithUdp(tcp),
    })
}

/// Why a session ended. The bridge knows best, but for an answer with a status:
/// retina closes on one, and then the bridge may say so first.
fn cause(bridge: &Bridge, error: &retina::Error, words: &Scrubber) -> SourceError {
    let closed_on_answer =
        |failure: &SourceError| matches!(failure, SourceError::Closed) && error.status_code().is_some();
    bridge
        .failure()
        .filter(|failure| !closed_on_answer(failure))
        .unwrap_or_else(|| SourceError::from_retina(error, words))
}

async fn play(
    access: &CameraAccess,
    url: &CameraUrl,
    bridge: &Bridge,
    words: &Scrubber,
) -> Result<(Demuxed, Chosen), SourceError> {
    let failed = |error: retina::Error| cause(bridge, &error, words);
    let credentials = access.username.as_ref().map(|username| Credentials {
        username: username.clone(),
        password: access.password.as_ref().map_or_else(String::new, |p| p.expose().to_owned()),
    });
    let options = SessionOptions::default()
        .creds(credentials)
        .user_agent("Lenskeep".into())
        .session_id(SessionIdPolicy::UseFirst)
        // TEARDOWN on a new connection would go to a port that is no longer
        // ours, with credentials. Closing the connection ends the session.
        .teardown(TeardownPolicy::Never);
    let mut target = url.as_url().clone();
    let local = |()| SourceError::Local { reason: "the URL has no place for a host".into() };
    target.set_scheme("rtsp").map_err(local)?;
    target.set_host(Some("127.0.0.1")).map_err(|_| local(()))?;
    target.set_port(Some(bridge.port())).map_err(local)?;

    let mut session = Session::describe(target, options).await.map_err(failed)?;
    let chosen = Chosen::of(session.streams())
        .map_err(|offered| SourceError::NoVideo { offered: words.scrub(&offered) })?;
    for stream in std::iter::once(chosen.video).chain(chosen.audio) {
        let setup = SetupOptions::default().frame_format(FrameFormat::MP4);
        session.setup(stream, setup).await.map_err(failed)?;
    }
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Permissive)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let session = session.play(options).await.map_err(failed)?;
    Ok((session.demuxed().map_err(failed)?, chosen))
}

/// RTP's own 32 bits: our timeline unwraps them by its own rules.
fn wrapping(timestamp: retina::Timestamp) -> u32 {
    (timestamp.timestamp() & i64::from(u32::MAX)) as u32
}

fn wall_clock(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
