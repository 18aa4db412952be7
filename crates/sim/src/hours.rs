//! Indexes of hours, as the gateway's index keeps them.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::hours::{Chain, GAP_RESTS_MS, HourStep, MadeHour, Signer, entry, gap_entry, is_due};
use gateway_core::uplink::{PendingHour, State};
use model::wire::{Gap, Recording};
use model::{CameraId, Rendition, Timestamp};
use seal::hour::SignedHour;
use seal::roster::Roster;

use crate::index::Row;

#[derive(Debug, Default)]
pub(crate) struct Hours {
    /// With the time when they last grew.
    unlisted_gaps: BTreeMap<(CameraId, Rendition, Timestamp), (Gap, Timestamp)>,
    made: Vec<(MadeHour, HourStep)>,
}

#[derive(Default)]
struct Unlisted<'r> {
    rows: Vec<&'r mut Row>,
    gaps: Vec<Gap>,
}

impl Hours {
    pub(crate) fn add_gap(&mut self, gap: &Gap, now: Timestamp) {
        let known = self.unlisted_gaps.entry((gap.camera, gap.rendition, gap.from));
        let (longest, grew_at) = known.or_insert_with(|| (gap.clone(), now));
        if gap.to > longest.to {
            (*longest, *grew_at) = (gap.clone(), now);
        }
    }

    fn is_refused(&self, camera: CameraId) -> bool {
        self.made.iter().any(|(made, step)| made.camera == camera && *step == HourStep::Refused)
    }

    /// What is due, of these rows and of the gaps.
    pub(crate) fn make<'r>(
        &mut self,
        rows: impl Iterator<Item = &'r mut Row>,
        signer: Signer<'_>,
        now: Timestamp,
    ) {
        let mut hours: BTreeMap<(CameraId, Timestamp), Unlisted<'_>> = BTreeMap::new();
        for row in rows.filter(|row| !row.is_listed) {
            let hour = (row.report.camera, row.report.started_at.hour());
            hours.entry(hour).or_default().rows.push(row);
        }
        for (gap, grew_at) in self.unlisted_gaps.values() {
            if grew_at.plus_ms(GAP_RESTS_MS) <= now && gap.from < gap.to {
                hours.entry((gap.camera, gap.from.hour())).or_default().gaps.push(gap.clone());
            }
        }
        for ((camera, hour), Unlisted { mut rows, gaps }) in hours {
            let some_wait = rows.iter().any(|row| matches!(row.state, State::Kept | State::Uploaded));
            if self.is_refused(camera) {
                continue;
            }
            if !is_due(hour, some_wait, now) {
                rows.clear();
            }
            let last = self.made.iter().rev().find(|(made, _)| made.camera == camera);
            let chain = last.map_or(Chain::default(), |(made, _)| Chain {
                number: made.number + 1,
                previous: Some(made.hash),
            });
            let listed = rows.iter().filter_map(|row| entry(&row.report, row.state)).collect();
            let gap_entries = gaps.iter().map(gap_entry).collect();
            let made = signer.make((camera, hour), chain, listed, gap_entries, now);
            self.made.extend(made.into_iter().map(|made| (made, HourStep::Made)));
            for row in rows {
                row.is_listed = true;
                row.is_listed_as_here_alone = row.state != State::Confirmed;
            }
            for gap in gaps {
                self.unlisted_gaps.remove(&(gap.camera, gap.rendition, gap.from));
            }
        }
    }

    pub(crate) fn to_upload(&self, limit: usize) -> Vec<PendingHour> {
        let pending = |(made, _): &(MadeHour, HourStep)| PendingHour {
            camera: made.camera,
            name: made.name.clone(),
            envelope: made.envelope.clone(),
        };
        let made = self.made.iter().filter(|(_, step)| *step == HourStep::Made);
        made.filter(|(made, _)| !self.is_refused(made.camera)).take(limit).map(pending).collect()
    }

    pub(crate) fn to_report(&self, limit: usize) -> Vec<String> {
        let uploaded = self.made.iter().filter(|(_, step)| *step == HourStep::Uploaded);
        uploaded.take(limit).map(|(made, _)| made.name.clone()).collect()
    }

    pub(crate) fn mark(&mut self, name: &str, step: HourStep) {
        for (_, of) in self.made.iter_mut().filter(|(made, _)| made.name == name) {
            *of = step;
        }
    }

    pub(crate) fn offer_refused_again(&mut self) {
        for (_, step) in self.made.iter_mut().filter(|(_, step)| *step == HourStep::Refused) {
            *step = HourStep::Made;
        }
    }

    /// What is wrong with what the cloud has of them, once all had time to arrive.
    pub(crate) fn judge<'o, 'r>(
        &self,
        objects: impl Iterator<Item = (&'o String, &'o Vec<u8>)>,
        rows: impl Iterator<Item = &'r Row>,
        roster: &Roster,
        over_at: Timestamp,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut stored = BTreeMap::new();
        for (name, bytes) in objects {
            match SignedHour::parse(bytes, roster) {
                Ok(signed) if signed.object_name() == *name => {
                    stored.insert((signed.hour.camera, signed.hour.number), signed);
                }
                Ok(_) => wrong.push(format!("{name} is the index of another hour")),
                Err(error) => wrong.push(format!("{name}: {error}")),
            }
        }
        for (made, step) in &self.made {
            match (stored.get(&(made.camera, made.number)), step) {
                (Some(signed), _) if signed.hash == made.hash => {}
                (None, HourStep::Refused) => {}
                (found, step) => wrong.push(format!("{} is {step:?}, and there is {found:?}", made.name)),
            }
        }
        for ((camera, number), signed) in &stored {
            let before = number.checked_sub(1).map(|number| self.hash_of(*camera, number));
            if signed.hour.previous != before.flatten() {
                wrong.push(format!("{} does not follow the one before", signed.object_name()));
            }
        }
        let listed: BTreeSet<_> = stored
            .values()
            .flat_map(|signed| &signed.hour.recordings)
            .filter(|recording| recording.stored)
            .map(|recording| recording.id)
            .collect();
        for row in rows.filter(|row| row.state == State::Confirmed) {
            let Recording { id, camera, started_at, .. } = row.report;
            let is_over = started_at.hour().plus_ms(Timestamp::HOUR) <= over_at;
            if is_over && !listed.contains(&id) && !self.is_refused(camera) {
                wrong.push(format!("{} stands in no index of its hour", row.path));
            }
        }
        wrong
    }

    fn hash_of(&self, camera: CameraId, number: u64) -> Option<model::Hash> {
        let made = self.made.iter().find(|(made, _)| (made.camera, made.number) == (camera, number));
        made.map(|(made, _)| made.hash)
    }
}
