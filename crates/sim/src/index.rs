//! The index, without SQLite: what was committed survives, in its order.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::hours::{HourStep, Signer};
use gateway_core::recovery::number_of;
use gateway_core::retention;
use gateway_core::uplink::{EVENT_PRE_ROLL_MS, GrantStep, Pending, PendingGrant, State, state_at_first};
use model::wire::{Envelope, Gap, Recording};
use model::{CameraId, DeviceId, EpochId, Forward, Forwarding, Hash, Rendition, Timestamp};

use crate::hours::Hours;

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The disk of the index takes nothing.
    pub(crate) fails: bool,
    /// Takes gaps and keeps none.
    pub(crate) forgets_gaps: bool,
    pub(crate) recordings: BTreeMap<Hash, Row>,
    grants: BTreeMap<(EpochId, DeviceId), Grant>,
    gaps: BTreeMap<i64, Gap>,
    next_gap: i64,
    forwarding: BTreeMap<CameraId, Forwarding>,
    /// Camera, beginning and end.
    events: Vec<(CameraId, Timestamp, Timestamp)>,
    pub(crate) hours: Hours,
    /// Held recordings that retention deleted in their time.
    pub(crate) let_go: Vec<Recording>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) path: String,
    /// Of the file's name.
    number: u64,
    pub(crate) report: Recording,
    pub(crate) state: State,
    pub(crate) is_of_event: bool,
    /// In the index of its hour.
    pub(crate) is_listed: bool,
    pub(crate) is_listed_as_here_alone: bool,
}

#[derive(Clone, Debug)]
struct Grant {
    created_at: Timestamp,
    envelope: Envelope,
    indexed: bool,
    uploaded: bool,
    refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexError;

impl Index {
    fn writes(&self) -> Result<(), IndexError> {
        if self.fails { Err(IndexError) } else { Ok(()) }
    }

    pub(crate) fn add_recording(&mut self, path: &str, report: &Recording) -> Result<(), IndexError> {
        self.writes()?;
        let (from, to) = (report.started_at, report.ended_at());
        let is_of_event =
            self.events.iter().any(|(camera, f, t)| *camera == report.camera && *f <= to && *t >= from);
        let row = Row {
            path: path.to_owned(),
            number: number_of(path),
            report: report.clone(),
            state: state_at_first(self.forward(report), is_of_event),
            is_of_event,
            is_listed: false,
            is_listed_as_here_alone: false,
        };
        self.recordings.entry(report.id).or_insert(row);
        Ok(())
    }

    fn forward(&self, report: &Recording) -> Forward {
        self.forwarding.get(&report.camera).copied().unwrap_or_default().of(report.rendition)
    }

    /// What waits is looked at anew.
    pub(crate) fn set_forwarding(&mut self, camera: CameraId, forwarding: Forwarding) {
        self.forwarding.insert(camera, forwarding);
        for row in self.recordings.values_mut().filter(|row| row.report.camera == camera) {
            if matches!(row.state, State::Kept | State::Held) {
                row.state = state_at_first(forwarding.of(row.report.rendition), row.is_of_event);
            }
        }
    }

    pub(crate) fn add_event(
        &mut self,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(), IndexError> {
        self.writes()?;
        let from = from.minus_ms(EVENT_PRE_ROLL_MS);
        self.events.push((camera, from, to));
        let forwarding = self.forwarding.get(&camera).copied().unwrap_or_default();
        for row in self.recordings.values_mut().filter(|row| row.report.camera == camera && !row.is_of_event)
        {
            let Recording { started_at, duration_ms, rendition, .. } = row.report;
            if started_at.plus_ms(duration_ms) < from || started_at > to {
                continue;
            }
            row.is_of_event = true;
            if row.state == State::Held {
                row.state = state_at_first(forwarding.of(rendition), true);
            }
        }
        Ok(())
    }

    pub(crate) fn remove_recording(&mut self, id: Hash) -> Result<(), IndexError> {
        self.writes()?;
        self.recordings.remove(&id);
        Ok(())
    }

    pub(crate) fn paths(&self) -> BTreeSet<&str> {
        self.recordings.values().map(|row| row.path.as_str()).collect()
    }

    pub(crate) fn pending(&self, wanted: impl Fn(&Row) -> bool, limit: usize) -> Vec<Pending> {
        let mut rows: Vec<&Row> = self.recordings.values().filter(|row| wanted(row)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.report.started_at));
        let pending = |row: &Row| Pending { path: row.path.clone(), report: row.report.clone() };
        rows.into_iter().take(limit).map(pending).collect()
    }

    pub(crate) fn set_state(&mut self, id: Hash, state: State) -> Result<(), IndexError> {
        self.writes()?;
        if let Some(row) = self.recordings.get_mut(&id) {
            row.state = state;
            row.is_listed &= !(state == State::Confirmed && row.is_listed_as_here_alone);
        }
        Ok(())
    }

    pub(crate) fn offer_refused_again(&mut self) {
        for row in self.recordings.values_mut().filter(|row| row.state == State::Refused) {
            row.state = State::Kept;
        }
        self.grants.values_mut().for_each(|grant| grant.refused = false);
        self.hours.offer_refused_again();
    }

    pub(crate) fn stored(&self) -> Vec<retention::Stored> {
        let stored = |row: &Row| retention::Stored {
            id: row.report.id,
            started_at: row.report.started_at,
            bytes: row.report.bytes,
            state: row.state,
            is_quiet: !row.is_of_event,
        };
        let mut all: Vec<_> = self.recordings.values().map(stored).collect();
        all.sort_by_key(|stored| stored.started_at);
        all
    }

    /// Of the recording that was begun last, of those with a number below this.
    pub(crate) fn last_end(&self, camera: CameraId, rendition: Rendition, below: u64) -> Option<Timestamp> {
        let before = self.recordings.values().filter(|row| {
            (row.report.camera, row.report.rendition) == (camera, rendition) && row.number < below
        });
        let last = before.max_by_key(|row| row.number)?;
        Some(last.report.ended_at())
    }

    pub(crate) fn add_grants(
        &mut self,
        epoch: EpochId,
        created_at: Timestamp,
        grants: Vec<(DeviceId, Envelope)>,
    ) -> Result<(), IndexError> {
        self.writes()?;
        for (device, envelope) in grants {
            let grant = Grant { created_at, envelope, indexed: false, uploaded: false, refused: false };
            self.grants.insert((epoch, device), grant);
        }
        Ok(())
    }

    pub(crate) fn grants(&self, limit: usize, waits: GrantStep) -> Vec<PendingGrant> {
        let mut waiting: Vec<_> = (self.grants.iter())
            .filter(|(_, grant)| match waits {
                GrantStep::Indexed => !grant.indexed,
                _ => !grant.uploaded && !grant.refused,
            })
            .collect();
        waiting.sort_by_key(|(_, grant)| grant.created_at);
        let pending = |(&(epoch, device), grant): (&(EpochId, DeviceId), &Grant)| PendingGrant {
            epoch,
            device,
            envelope: grant.envelope.clone(),
        };
        waiting.into_iter().take(limit).map(pending).collect()
    }

    pub(crate) fn mark_grant(&mut self, grant: &PendingGrant, step: GrantStep) -> Result<(), IndexError> {
        self.writes()?;
        if let Some(grant) = self.grants.get_mut(&(grant.epoch, grant.device)) {
            match step {
                GrantStep::Indexed => grant.indexed = true,
                GrantStep::Uploaded => grant.uploaded = true,
                GrantStep::Refused => grant.refused = true,
            }
        }
        Ok(())
    }

    pub(crate) fn resend_grants(&mut self, epoch: EpochId) -> Result<(), IndexError> {
        self.writes()?;
        for (_, grant) in self.grants.iter_mut().filter(|((of, _), _)| *of == epoch) {
            grant.indexed = false;
        }
        Ok(())
    }

    pub(crate) fn drop_grants_before(&mut self, before: Timestamp) -> Result<(), IndexError> {
        self.writes()?;
        let needed: Vec<EpochId> = self.recordings.values().map(|row| row.report.epoch).collect();
        self.grants.retain(|(epoch, _), grant| {
            !(grant.indexed && grant.uploaded && grant.created_at < before) || needed.contains(epoch)
        });
        Ok(())
    }

    pub(crate) fn make_hours(&mut self, signer: Signer<'_>, now: Timestamp) -> Result<(), IndexError> {
        self.writes()?;
        self.hours.make(self.recordings.values_mut(), signer, now);
        Ok(())
    }

    pub(crate) fn mark_hour(&mut self, name: &str, step: HourStep) -> Result<(), IndexError> {
        self.writes()?;
        self.hours.mark(name, step);
        Ok(())
    }

    pub(crate) fn add_gap(&mut self, gap: Gap, now: Timestamp) -> Result<(), IndexError> {
        self.writes()?;
        if self.forgets_gaps {
            return Ok(());
        }
        self.hours.add_gap(&gap, now);
        self.next_gap += 1;
        self.gaps.insert(self.next_gap, gap);
        Ok(())
    }

    pub(crate) fn gaps(&self, limit: usize) -> Vec<(i64, Gap)> {
        self.gaps.iter().take(limit).map(|(id, gap)| (*id, gap.clone())).collect()
    }

    pub(crate) fn drop_gap(&mut self, id: i64) -> Result<(), IndexError> {
        self.writes()?;
        self.gaps.remove(&id);
        Ok(())
    }

    /// The rows of recordings are lost, except these.
    pub(crate) fn lose_rows(&mut self, except: impl Fn(&Row) -> bool) {
        self.recordings.retain(|_, row| except(row));
    }
}
