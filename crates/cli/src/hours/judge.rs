//! Signed indexes of hours as a whole: their chains, and what of them is not in the
//! lists. Knows no network and no clock.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::{Envelope, Gap, GapReason};
use model::{CameraId, GatewayId, Hash, Rendition, Timestamp};
use seal::hour::{Hour, HourError, HourGap, HourRecording, SignedHour};
use seal::roster::Roster;
use serde::Serialize;

use crate::text::printable;
use crate::times;

/// An hour that is over for so long should have its index.
const LATE_MS: u64 = 30 * Timestamp::MINUTE;

/// Indexes of a camera that gateways of the roster signed, and what else came.
pub(super) struct Signed {
    camera: CameraId,
    hours: BTreeMap<Hash, Hour>,
    /// Named by an index, and not shown.
    absent: BTreeSet<Hash>,
    refused: Vec<String>,
    lost: Vec<String>,
    /// Of gateways that were shut out: the roster has their keys no more.
    unchecked: usize,
}

impl Signed {
    pub(super) fn of(camera: CameraId) -> Self {
        Signed {
            camera,
            hours: BTreeMap::new(),
            absent: BTreeSet::new(),
            refused: Vec::new(),
            lost: Vec::new(),
            unchecked: 0,
        }
    }

    pub(super) fn take(&mut self, envelope: &Envelope, roster: &Roster) {
        match SignedHour::verify(envelope, roster) {
            Ok(signed) if signed.hour.camera == self.camera => {
                self.hours.insert(signed.hash, signed.hour);
            }
            Ok(signed) => self.refused.push(format!("an index of another camera ({})", signed.hour.camera)),
            Err(HourError::UnknownGateway(gateway)) if roster.state().revoked_gateways.contains(&gateway) => {
                self.unchecked += 1;
            }
            Err(error) => self.refused.push(error.to_string()),
        }
    }

    /// What the cloud says that its store does not have any more.
    pub(super) fn lost(&mut self, names: Vec<String>) {
        self.lost.extend(names);
    }

    /// The next one to ask for by its hash. An index of the time that is checked, or
    /// later, names the one before it, which may be of that time, too. From one of
    /// before, the chain matters as long as something stands earlier in it.
    pub(super) fn wanted(&self, from: Timestamp) -> Option<Hash> {
        let ends = self.hours.values().filter_map(|hour| Some((hour, hour.previous?)));
        let mut ends = ends
            .filter(|(_, previous)| !self.hours.contains_key(previous) && !self.absent.contains(previous));
        ends.find(|(hour, _)| hour.hour >= from || self.hours.values().any(|other| may_lead_to(hour, other)))
            .map(|(_, previous)| previous)
    }

    /// What came for the hash that was wanted.
    pub(super) fn answered(&mut self, hash: Hash, envelope: Option<&Envelope>, roster: &Roster) {
        if let Some(envelope) = envelope {
            self.take(envelope, roster);
        }
        if !self.hours.contains_key(&hash) {
            self.absent.insert(hash);
        }
    }

    fn holes(&self) -> Vec<Hole> {
        let mut holes: Vec<Hole> = Vec::new();
        for hour in self.hours.values() {
            let Some(previous) = hour.previous else { continue };
            let follows = self.hours.get(&previous).map(|previous| {
                previous.gateway == hour.gateway && previous.number.checked_add(1) == Some(hour.number)
            });
            if follows == Some(false) || (follows.is_none() && self.absent.contains(&previous)) {
                let &Hour { gateway, hour, number, made_at, .. } = hour;
                holes.push(Hole { gateway, hour, number, made_at, previous, shown: follows.is_some() });
            }
        }
        holes.sort_by_key(|hole| (hole.made_at, hole.number));
        holes
    }

    /// Chains that begin although their gateway had signed before.
    fn new_chains(&self) -> Vec<NewChain> {
        let begins = |hour: &&Hour| {
            let mut others = self.hours.values();
            hour.number == 0
                && others.any(|other| other.gateway == hour.gateway && other.made_at < hour.made_at)
        };
        let chain = |hour: &Hour| NewChain { gateway: hour.gateway, made_at: hour.made_at };
        self.hours.values().filter(begins).map(chain).collect()
    }
}

/// Whether `other` can stand earlier in the chain of `hour`, by what both say. A
/// chain that was begun anew has smaller numbers, later.
fn may_lead_to(hour: &Hour, other: &Hour) -> bool {
    other.gateway == hour.gateway && other.number < hour.number && other.made_at <= hour.made_at
}

/// What the cloud lists of the same time.
#[derive(Default)]
pub(super) struct Lists {
    /// Rendition, id and root.
    pub(super) recordings: BTreeSet<(Rendition, Hash, Hash)>,
    pub(super) gaps: Vec<Gap>,
    pub(super) site_unreachable: bool,
}

impl Lists {
    /// A gap that went on is listed with its later end; and with its last reason,
    /// which another telling can have changed.
    fn has_gap(&self, signed: &HourGap) -> bool {
        let is_same =
            |gap: &Gap| (gap.rendition, gap.from) == (signed.rendition, signed.from) && gap.to >= signed.to;
        self.gaps.iter().any(is_same)
    }
}

/// What is said of a time, in whole hours.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    from: Timestamp,
    to: Timestamp,
    hours: u64,
    hours_signed: usize,
    /// Over for a while, without an index, and not within a gap that was signed for.
    hours_without: Vec<Stretch>,
    recordings: usize,
    gaps: usize,
    missing_recordings: Vec<MissingRecording>,
    missing_gaps: Vec<HourGap>,
    /// Had not left the site, and are gone there, as a gap says that was signed, too.
    given_up: usize,
    /// Had not left the site, and may have been deleted there in their time.
    not_forwarded: Vec<MissingRecording>,
    holes: Vec<Hole>,
    refused: Vec<String>,
    lost: Vec<String>,
    unchecked: usize,
    new_chains: Vec<NewChain>,
    /// Of the newest index that was shown.
    newest_hour: Option<Timestamp>,
    site_unreachable: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

#[derive(Clone, Debug, Serialize)]
struct MissingRecording {
    #[serde(flatten)]
    recording: HourRecording,
    gateway: GatewayId,
    signed_at: Timestamp,
}

/// An index names one before it that is not shown, or is not before it.
#[derive(Debug, Serialize)]
struct Hole {
    gateway: GatewayId,
    hour: Timestamp,
    number: u64,
    made_at: Timestamp,
    previous: Hash,
    shown: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct NewChain {
    gateway: GatewayId,
    made_at: Timestamp,
}

pub(super) fn judge(
    signed: &Signed,
    lists: &Lists,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Report {
    let of_time = || signed.hours.values().filter(|hour| (from..to).contains(&hour.hour));
    let gaps: BTreeMap<_, &HourGap> =
        of_time().flat_map(|hour| &hour.gaps).map(|gap| ((gap.from, gap.rendition, gap.to), gap)).collect();
    let recordings = recordings(of_time());
    let unlisted = recordings.values().filter(|signed| {
        let HourRecording { rendition, id, root, .. } = signed.recording;
        !lists.recordings.contains(&(rendition, id, root))
    });
    let (missing, at_site): (Vec<_>, Vec<_>) =
        unlisted.cloned().partition(|unlisted| unlisted.recording.stored);
    let (given_up, not_forwarded): (Vec<_>, Vec<_>) =
        (at_site.into_iter()).partition(|unlisted| is_given_up(&unlisted.recording, gaps.values().copied()));
    let with_index: BTreeSet<Timestamp> = of_time().map(|hour| hour.hour).collect();
    Report {
        from,
        to,
        hours: to.ms_since(from) / Timestamp::HOUR,
        hours_signed: with_index.len(),
        hours_without: hours_without(&with_index, gaps.values().copied(), (from, to), now),
        recordings: recordings.len(),
        gaps: gaps.len(),
        missing_recordings: missing,
        missing_gaps: gaps.values().filter(|gap| !lists.has_gap(gap)).map(|gap| (*gap).clone()).collect(),
        given_up: given_up.len(),
        not_forwarded,
        holes: signed.holes(),
        refused: signed.refused.clone(),
        lost: signed.lost.clone(),
        unchecked: signed.unchecked,
        new_chains: signed.new_chains(),
        newest_hour: signed.hours.values().map(|hour| hour.hour).max(),
        site_unreachable: lists.site_unreachable,
    }
}

/// Each once, as it was signed for last; what the store had once, it had.
fn recordings<'h>(
    hours: impl Iterator<Item = &'h Hour>,
) -> BTreeMap<(Timestamp, Rendition, Hash, Hash), MissingRecording> {
    let mut hours: Vec<&Hour> = hours.collect();
    hours.sort_by_key(|hour| hour.made_at);
    let mut all: BTreeMap<_, MissingRecording> = BTreeMap::new();
    for hour in hours {
        for recording in &hour.recordings {
            let key = (recording.started_at, recording.rendition, recording.id, recording.root);
            let stored = recording.stored || all.get(&key).is_some_and(|before| before.recording.stored);
            let recording = HourRecording { stored, ..recording.clone() };
            let (gateway, signed_at) = (hour.gateway, hour.made_at);
            all.insert(key, MissingRecording { recording, gateway, signed_at });
        }
    }
    all
}

fn is_given_up<'h>(recording: &HourRecording, mut gaps: impl Iterator<Item = &'h HourGap>) -> bool {
    let end = recording.started_at.plus_ms(recording.duration_ms);
    gaps.any(|gap| {
        matches!(gap.reason, GapReason::DiskFull | GapReason::Damaged)
            && gap.rendition == recording.rendition
            && gap.from <= recording.started_at
            && end <= gap.to
    })
}

fn hours_without<'h>(
    with_index: &BTreeSet<Timestamp>,
    gaps: impl Iterator<Item = &'h HourGap> + Clone,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut hour = from;
    while hour < to && hour.plus_ms(Timestamp::HOUR + LATE_MS) <= now {
        let end = hour.plus_ms(Timestamp::HOUR);
        let explained = gaps.clone().any(|gap| gap.from <= hour && end <= gap.to);
        if !with_index.contains(&hour) && !explained {
            match stretches.last_mut() {
                Some(last) if last.to == hour => last.to = end,
                _ => stretches.push(Stretch { from: hour, to: end }),
            }
        }
        hour = end;
    }
    stretches
}

impl Report {
    /// None if all that was signed for is there.
    pub(super) fn what_is_wrong(&self) -> Option<String> {
        let counts = [
            (self.missing_recordings.len(), "recordings missing"),
            (self.missing_gaps.len(), "gaps missing"),
            (self.holes.len(), "breaks in the chain of indexes"),
            (self.lost.len(), "indexes lost by the store"),
            (self.refused.len(), "indexes refused"),
        ];
        let wrong: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }

    pub(super) fn in_words(&self) -> Vec<String> {
        let at = times::format;
        let Report { hours, hours_signed, recordings, gaps, .. } = self;
        let mut lines = vec![
            format!(
                "{hours_signed} of {hours} hours from {} to {} have an index that a gateway signed.",
                at(self.from),
                at(self.to)
            ),
            format!("{recordings} recordings and {gaps} gaps are signed for."),
        ];
        for MissingRecording { recording, .. } in &self.missing_recordings {
            let HourRecording { rendition, started_at, duration_ms, id, .. } = recording;
            let seconds = *duration_ms as f64 / 1_000.0;
            lines.push(format!(
                "MISSING  recording  {rendition}  {}  {seconds:>6.1} s  {id}",
                at(*started_at)
            ));
        }
        for HourGap { rendition, from, to, reason } in &self.missing_gaps {
            let reason = reason.as_str().replace('_', " ");
            lines.push(format!("MISSING  gap  {rendition}  {} to {}: {reason}", at(*from), at(*to)));
        }
        for Hole { gateway, hour, number, made_at, previous, shown } in &self.holes {
            let (hour, made_at) = (at(*hour), at(*made_at));
            let before = number.saturating_sub(1);
            lines.push(if *shown {
                format!("REFUSED  index {number} of {gateway}, of {hour}: {previous} is not the one before it")
            } else {
                format!(
                    "MISSING  index {before} of {gateway}, {previous}: index {number}, of {hour} and signed at \
                     {made_at}, names it as the one before"
                )
            });
        }
        lines.extend(self.lost.iter().map(|name| {
            format!("MISSING  index {}: the cloud says that its store has it no more", printable(name))
        }));
        lines.extend(self.refused.iter().map(|why| format!("REFUSED  {}", printable(why))));
        let at_site = &self.not_forwarded;
        if let (Some(first), Some(last)) = (at_site.first(), at_site.last()) {
            let answers =
                if self.site_unreachable { "it does not answer now" } else { "it has them no more" };
            lines.push(format!(
                "{} recordings from {} to {} had not left the site when their gateway signed for them, and {answers}. \
                 What is set to stay there is deleted when its time is over.",
                at_site.len(),
                at(first.recording.started_at),
                at(last.recording.started_at),
            ));
        }
        if self.unchecked > 0 {
            lines.push(format!(
                "{} indexes are of gateways that were shut out. The roster has their keys no more: what they signed \
                 for is not checked.",
                self.unchecked
            ));
        }
        if self.given_up > 0 {
            lines.push(format!(
                "{} recordings are gone at the site before they left it; it signed for these gaps.",
                self.given_up
            ));
        }
        if !self.hours_without.is_empty() {
            let without = self
                .hours_without
                .iter()
                .map(|Stretch { from, to }| format!("without an index: {} to {}", at(*from), at(*to)));
            lines.extend(without);
            lines.push(
                "Nothing was recorded then, or the gateway has not told yet (it waits up to a day for what is not \
                 forwarded), or the cloud keeps it back."
                    .to_owned(),
            );
        }
        lines.extend(self.new_chains.iter().map(|NewChain { gateway, made_at }| {
            format!(
                "{gateway} began a new chain at {}: its own index was made anew. The last of the chain before can be \
                 kept back without this noticing.",
                at(*made_at)
            )
        }));
        lines.push(match self.newest_hour {
            Some(hour) => format!(
                "The newest index shown is of the hour from {}. Later ones can be held back by the cloud without this \
                 noticing.",
                at(hour)
            ),
            None => "No index is shown. All of them can be held back by the cloud without this noticing.".to_owned(),
        });
        lines
    }
}
