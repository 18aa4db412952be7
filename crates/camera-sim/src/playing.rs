//! A stream that a client watches: frames and a tone into packets, and what goes
//! wrong with them on request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::UdpSocket;

use crate::Fault;
use crate::feed::{Frame, Player, TICKS};
use crate::rtp::{self, Sender};
use crate::running::{Camera, Played};

/// Of G.711.
const SAMPLES_PER_SECOND: u64 = 8_000;
const SAMPLES_PER_PACKET: usize = 160;
const REPORT_SECONDS: u64 = 5;
const HOUR: u32 = 3_600;

#[derive(Debug)]
pub(crate) enum Output {
    /// RTP's channel; RTCP's is the next.
    Interleaved(u8),
    Udp {
        rtp: UdpSocket,
        rtcp: UdpSocket,
    },
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) sender: Sender,
    pub(crate) output: Output,
}

impl Track {
    fn packet(&mut self, ticks: u64, marker: bool, payload: &[u8], out: &mut Vec<u8>) {
        let head = self.sender.head(ticks, marker, payload.len());
        match &self.output {
            Output::Interleaved(channel) => rtp::interleave(*channel, [&head, payload], out),
            // Best effort: what the socket does not take is lost.
            Output::Udp { rtp, .. } => drop(rtp.try_send(&[&head, payload].concat())),
        }
    }

    fn report(&self, ticks: u64, clock: SystemTime, out: &mut Vec<u8>) {
        let report = self.sender.report(ticks, clock);
        match &self.output {
            Output::Interleaved(channel) => rtp::interleave(channel + 1, [&report, &[]], out),
            Output::Udp { rtcp, .. } => drop(rtcp.try_send(&report)),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) player: Player,
    pub(crate) played: Arc<Played>,
    /// Once it is there, nothing else is written.
    pub(crate) endless: Option<Endless>,
    video: Track,
    audio: Option<Track>,
    tone: Vec<u8>,
    frames: u64,
    /// Ticks of the first frame.
    began: Option<u64>,
    samples: u64,
    report_at: u64,
    jumped: bool,
    clock_back: Duration,
}

impl Playing {
    pub(crate) fn new(player: Player, played: Arc<Played>, video: Track, audio: Option<Track>) -> Self {
        let tone = if audio.is_some() { tone() } else { Vec::new() };
        Playing {
            player,
            played,
            endless: None,
            video,
            audio,
            tone,
            frames: 0,
            began: None,
            samples: 0,
            report_at: 0,
            jumped: false,
            clock_back: Duration::ZERO,
        }
    }

    /// What to write for this frame. Whether the connection stays open.
    pub(crate) fn packets(&mut self, ticks: u64, frame: &Frame, camera: &Camera, out: &mut Vec<u8>) -> bool {
        let ticks = ticks - *self.began.get_or_insert(ticks);
        let begun = self.frames >= camera.options.fault_after;
        let fault = camera.fault().filter(|_| begun);
        self.frames += 1;
        let channel = match self.video.output {
            Output::Interleaved(channel) => channel,
            Output::Udp { .. } => 0,
        };
        let once = !std::mem::replace(&mut self.jumped, fault.is_some());
        match fault {
            Some(Fault::Stall) => {
                self.tone_until(ticks, out);
                return true;
            }
            Some(Fault::Disconnect) => return false,
            Some(Fault::NoKeyFrame) if frame.key => return true,
            Some(Fault::Garbage) => {
                out.extend(noise(64 << 10));
                return true;
            }
            Some(fault @ (Fault::Flood | Fault::EndlessUnit)) => {
                let sender = self.video.sender;
                self.endless = Some(Endless { fault, sender, channel, ticks, fragments: 0 });
                return true;
            }
            Some(Fault::TimestampJump) if once => {
                for track in std::iter::once(&mut self.video).chain(&mut self.audio) {
                    let per_second = if track.sender.payload_type == 0 { 8_000 } else { 90_000 };
                    track.sender.base = track.sender.base.wrapping_add(HOUR * per_second);
                }
            }
            Some(Fault::RtcpJump) if once => {
                self.clock_back = Duration::from_secs(u64::from(HOUR));
                self.report_at = ticks;
            }
            _ => {}
        }
        self.reports(ticks, out);
        let noise = (fault == Some(Fault::GarbagePackets)).then(|| noise(1_000).collect::<Vec<_>>());
        let lossy = fault == Some(Fault::Loss) && self.frames.is_multiple_of(20);
        let last = frame.payloads.len().saturating_sub(1);
        for (n, payload) in frame.payloads.iter().enumerate() {
            if lossy && n == last {
                // Counted, not sent.
                self.video.sender.head(ticks, true, payload.len());
                continue;
            }
            self.video.packet(ticks, n == last, noise.as_deref().unwrap_or(payload), out);
        }
        self.tone_until(ticks, out);
        if fault == Some(Fault::Questions) && self.frames.is_multiple_of(10) {
            out.extend_from_slice(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        }
        true
    }

    fn reports(&mut self, ticks: u64, out: &mut Vec<u8>) {
        if ticks < self.report_at {
            return;
        }
        self.report_at = ticks + REPORT_SECONDS * TICKS;
        let clock = SystemTime::now() - self.clock_back;
        self.video.report(ticks, clock, out);
        if let Some(audio) = &self.audio {
            audio.report(ticks * SAMPLES_PER_SECOND / TICKS, clock, out);
        }
    }

    fn tone_until(&mut self, ticks: u64, out: &mut Vec<u8>) {
        let Some(audio) = &mut self.audio else { return };
        let due = ticks * SAMPLES_PER_SECOND / TICKS;
        // Frames that were missed are missing in sound, too.
        if due - self.samples.min(due) > SAMPLES_PER_SECOND {
            self.samples = due;
        }
        while self.samples + SAMPLES_PER_PACKET as u64 <= due {
            let at = usize::try_from(self.samples % self.tone.len() as u64).expect("below the length");
            let payload = &self.tone[at..at + SAMPLES_PER_PACKET];
            audio.packet(self.samples, self.samples == 0, payload, out);
            self.samples += SAMPLES_PER_PACKET as u64;
        }
    }
}

/// Packets as fast as the client takes them.
#[derive(Debug)]
pub(crate) struct Endless {
    fault: Fault,
    sender: Sender,
    channel: u8,
    ticks: u64,
    fragments: u64,
}

impl Endless {
    pub(crate) fn packets(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..32 {
            let flood = self.fault == Fault::Flood;
            // A picture in each packet, or the fragments of a single one.
            self.ticks += u64::from(flood);
            let head: &[u8] = match (flood, self.fragments) {
                (true, _) => &[0x41, 0x9a],
                (false, 0) => &[0x7c, 0x85],
                (false, _) => &[0x7c, 0x05],
            };
            self.fragments += 1;
            let payload = [head, &[0xaa; 1_400]].concat();
            let head = self.sender.head(self.ticks, flood, payload.len());
            rtp::interleave(self.channel, [&head, &payload], &mut out);
        }
        out
    }
}

/// Two seconds: a beep of 440 Hz for the first half of each, then silence.
fn tone() -> Vec<u8> {
    (0..2 * SAMPLES_PER_SECOND)
        .map(|n| {
            let seconds = n as f64 / SAMPLES_PER_SECOND as f64;
            let loud = if seconds.fract() < 0.5 { 6_000.0 } else { 0.0 };
            ulaw((loud * (seconds * 440.0 * std::f64::consts::TAU).sin()) as i16)
        })
        .collect()
}

/// ITU-T G.711, µ-law of a 16-bit sample.
fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 132;
    let exponent = magnitude.ilog2() - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | ((exponent << 4) as u8) | mantissa as u8)
}

/// The same on every run; begins like neither a message nor a packet.
fn noise(length: u64) -> impl Iterator<Item = u8> {
    (0..length).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulaw_is_that_of_the_recommendation() {
        let rows = [(0, 0xff), (-1, 0x7f), (1_000, 0xce), (-1_000, 0x4e), (32_767, 0x80), (-32_768, 0)];
        for (sample, code) in rows {
            assert_eq!(ulaw(sample), code, "{sample}");
        }
        assert_eq!(tone().len() % SAMPLES_PER_PACKET, 0);
    }
}
