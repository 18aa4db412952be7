//! RTP time to wall-clock time. A run starts at the moment its first access
//! unit arrived; from then on each track counts ticks. RTP timestamps are 32
//! bits, begin anywhere, wrap (90 kHz: every 13 h), jump when a camera sets its
//! clock or restarts its encoder, and drift, because a camera's crystal is not
//! ours (RFC 3550 section 5.1 wants a monotonic clock; cameras do not care).
//! Out comes a decode time that never decreases, is true to the wall clock
//! within [`DRIFT_MS_MAX`] and says where it is not continuous.
//!
//! Refuses to read a clock: the caller says when each unit arrived. A
//! camera's own idea of the date is used for nothing but the distance between
//! its tracks.

use model::Timestamp;

/// Longest step forward of RTP time that is believed without the arrival time
/// to support it.
const STEP_MS_MAX: i64 = 10_000;
/// Longest step backwards that may be the reordering of B pictures.
const REORDER_MS_MAX: i64 = 1_000;
/// H.264 and H.265 allow at most 16 pictures of reordering
/// (`max_num_reorder_frames`); a longer row of them is a clock set back.
const REORDER_UNITS_MAX: u32 = 16;
/// From this distance on, media time is pulled towards arrival time, by at most
/// one hundredth of the time that passes: players do not notice.
const SLEW_MS_MIN: i64 = 200;
/// From this distance on, pulling is too slow and time jumps, marked.
const DRIFT_MS_MAX: i64 = 2_000;
/// How long arrivals are watched for the least late one; jitter only delays.
const WINDOW_MS: u64 = 10_000;

/// Where an access unit stands in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub time: i64,
    pub presentation_delta: i32,
    pub discontinuity: bool,
}

#[derive(Debug)]
pub struct Timeline {
    started_at: Option<Timestamp>,
    tracks: Vec<Clock>,
}

#[derive(Debug)]
struct Clock {
    timescale: i64,
    last: Option<Last>,
    /// Ticks still to be added (or taken) little by little.
    slew: i64,
    window: Option<Window>,
    reported: Option<SenderReport>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    rtp: u32,
    /// Presentation time that belongs to `rtp`.
    presentation: i64,
    /// Decode time given out.
    time: i64,
    received_at: Timestamp,
    /// Units in a row that stood before their predecessor.
    reordered: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    opened_at: Timestamp,
    lateness_ms_min: i64,
}

/// RFC 3550 section 6.4.1: one instant in NTP and in RTP time.
#[derive(Clone, Copy, Debug)]
struct SenderReport {
    ntp: u64,
    rtp: u32,
}

impl Timeline {
    /// One timescale (ticks in a second) for each track. 0 is taken as 1.
    pub fn new(timescales: &[u32]) -> Self {
        let clock = |&timescale: &u32| Clock {
            timescale: i64::from(timescale.max(1)),
            last: None,
            slew: 0,
            window: None,
            reported: None,
        };
        Timeline { started_at: None, tracks: timescales.iter().map(clock).collect() }
    }

    /// When the first unit arrived: time 0 of every track.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// Places the next unit of a track, in order of decoding. `lost` says that
    /// packets before it did not arrive.
    ///
    /// # Panics
    /// If there is no such track: the caller's tracks are those given to `new`.
    pub fn place(&mut self, track: usize, rtp: u32, received_at: Timestamp, lost: bool) -> Placed {
        let started_at = *self.started_at.get_or_insert(received_at);
        let elapsed_ms = signed_ms(received_at, started_at);
        let clock = &mut self.tracks[track];
        let placed = clock.place(rtp, received_at, elapsed_ms);
        Placed { discontinuity: placed.discontinuity || lost, ..placed }
    }

    /// A sender report: with one from each of two tracks, the later track's
    /// offset to the first becomes the camera's instead of the network's.
    pub fn sender_report(&mut self, track: usize, ntp: u64, rtp: u32) {
        let report = SenderReport { ntp, rtp };
        let (first, rest) = match self.tracks.split_first_mut() {
            Some(split) if track < split.1.len() + 1 => split,
            _ => return,
        };
        if track == 0 {
            first.reported = Some(report);
            return;
        }
        let clock = &mut rest[track - 1];
        // The first pair alone: afterwards both tracks drift alike, and reports
        // of a camera that sets its clock in between would tear them apart.
        if clock.reported.replace(report).is_some() {
            return;
        }
        if let (Some(a), Some(b)) = (first.reported_ms(), clock.reported_ms()) {
            // Negative where this track stands later in the run than it was captured.
            let apart_ms = b - a;
            if apart_ms.abs() <= DRIFT_MS_MAX {
                clock.slew += apart_ms * clock.timescale / 1_000;
            }
        }
    }
}

impl Clock {
    fn place(&mut self, rtp: u32, received_at: Timestamp, elapsed_ms: i64) -> Placed {
        let arrival = self.ticks(elapsed_ms);
        let Some(last) = self.last else {
            // A run begins: what came before it is missing.
            return self.anchor(rtp, arrival, received_at);
        };
        let step = i64::from(rtp.wrapping_sub(last.rtp).cast_signed());
        let waited_ms = signed_ms(received_at, last.received_at);
        let step_ms = step * 1_000 / self.timescale;
        let reordered = step < 0 && step_ms >= -REORDER_MS_MAX && last.reordered < REORDER_UNITS_MAX;
        let believed = step >= 0 && (step_ms <= STEP_MS_MAX || (step_ms - waited_ms).abs() <= DRIFT_MS_MAX);
        if !reordered && !believed {
            return self.anchor(rtp, arrival.max(last.time + 1), received_at);
        }

        let presentation = last.presentation + step + self.take_slew(step);
        let lateness_ms = (arrival - presentation) * 1_000 / self.timescale;
        if self.watch(lateness_ms, received_at) {
            return self.anchor(rtp, arrival.max(last.time + 1), received_at);
        }
        // RTP carries presentation times only (RFC 6184 section 5.1). A picture
        // that is shown before its predecessor gets the next tick to be decoded
        // in and a negative delta.
        let time = if presentation > last.time { presentation } else { last.time + i64::from(step != 0) };
        self.last = Some(Last {
            rtp,
            presentation,
            time,
            received_at,
            reordered: if reordered { last.reordered + 1 } else { 0 },
        });
        let presentation_delta = i32::try_from(presentation - time).unwrap_or(0);
        // A long step that the arrival supports is a stall: time is missing.
        Placed { time, presentation_delta, discontinuity: step_ms > STEP_MS_MAX }
    }

    fn anchor(&mut self, rtp: u32, time: i64, received_at: Timestamp) -> Placed {
        self.last = Some(Last { rtp, presentation: time, time, received_at, reordered: 0 });
        self.slew = 0;
        self.window = None;
        Placed { time, presentation_delta: 0, discontinuity: true }
    }

    /// At most a hundredth of the step, towards where time should be.
    fn take_slew(&mut self, step: i64) -> i64 {
        let most = step.max(0) / 100;
        let part = self.slew.clamp(-most, most);
        self.slew -= part;
        part
    }

    /// Watches how late units arrive. Returns whether time has to jump.
    fn watch(&mut self, lateness_ms: i64, received_at: Timestamp) -> bool {
        let window =
            self.window.get_or_insert(Window { opened_at: received_at, lateness_ms_min: lateness_ms });
        window.lateness_ms_min = window.lateness_ms_min.min(lateness_ms);
        let age_ms = received_at.ms_since(window.opened_at);
        // Running ahead of the wall clock needs no window: packets do not
        // arrive before they were sent.
        if lateness_ms < -DRIFT_MS_MAX {
            return true;
        }
        if age_ms < WINDOW_MS {
            return false;
        }
        let least_ms = window.lateness_ms_min;
        self.window = None;
        if least_ms > DRIFT_MS_MAX {
            return true;
        }
        if least_ms.abs() > SLEW_MS_MIN {
            self.slew = self.ticks(least_ms);
        }
        false
    }

    fn ticks(&self, ms: i64) -> i64 {
        ms.saturating_mul(self.timescale) / 1_000
    }

    /// Milliseconds by which NTP time is ahead of this track's place in the run.
    fn reported_ms(&self) -> Option<i64> {
        let (last, report) = (self.last?, self.reported?);
        let step = i64::from(report.rtp.wrapping_sub(last.rtp).cast_signed());
        let place_ms = (last.presentation + step) * 1_000 / self.timescale;
        // 32.32 fixed point, RFC 3550 section 4.
        let ntp_ms = i64::try_from((u128::from(report.ntp) * 1_000) >> 32).ok()?;
        Some(ntp_ms - place_ms)
    }
}

fn signed_ms(later: Timestamp, earlier: Timestamp) -> i64 {
    // Timestamps are below 2^53 (format.md section 1), so the difference fits.
    later.0.cast_signed().saturating_sub(earlier.0.cast_signed())
}
