//! Indexes of hours on their way up.

use std::collections::BTreeSet;

use model::CameraId;
use model::wire::{Container, HOURS_MAX, HourReport, RecordingStatus, UploadObject};
use seal::sha256;
use tracing::error;

use super::{BATCH, DEFERRED_MAX, Failure, Outcome, PendingHour, Progress, Put, Surroundings, Uplink};
use crate::hours::HourStep;

impl<S: Surroundings> Uplink<S> {
    /// Into the store, and then by name to the cloud, whatever became of the first.
    pub(super) async fn forward_hours(&self) -> Outcome<Progress> {
        let uploaded = self.upload_hours().await;
        let reported = self.report_hours().await;
        match (uploaded?, reported?) {
            (Progress::Idle, Progress::Idle) => Ok(Progress::Idle),
            _ => Ok(Progress::More),
        }
    }

    async fn upload_hours(&self) -> Outcome<Progress> {
        let objects = self.ready_hours().await?;
        if objects.is_empty() {
            return Ok(Progress::Idle);
        }
        let tokens = self.tokens(objects.iter().map(|(_, object, _)| object.clone()).collect()).await?;
        let mut failure = None;
        let mut stuck: BTreeSet<CameraId> = BTreeSet::new();
        for (token, (camera, object, bytes)) in tokens.into_iter().zip(objects) {
            // In the order of each chain: the next one names this one.
            if stuck.contains(&camera) {
                continue;
            }
            let id = object.sha256;
            match self.put(token, &object, bytes).await {
                Ok(Put::Stored) => {
                    self.around.mark_hour(&object.name, HourStep::Uploaded).await?;
                    self.deferred().remove(&id);
                    continue;
                }
                Ok(Put::Refused) => self.around.mark_hour(&object.name, HourStep::Refused).await?,
                Ok(Put::Deferred) => self.defer(id)?,
                Err(failed) if failed.wait_ms.is_some() => return Err(failed),
                Err(failed) => {
                    self.defer(id)?;
                    failure = Some(failed);
                }
            }
            stuck.insert(camera);
        }
        failure.map_or(Ok(Progress::More), Err)
    }

    /// What waits, without cameras of which the store does not take one now.
    async fn ready_hours(&self) -> Outcome<Vec<(CameraId, UploadObject, Vec<u8>)>> {
        let put_off = self.put_off();
        let limit = if put_off.is_empty() { BATCH } else { BATCH + DEFERRED_MAX };
        let mut stuck: BTreeSet<CameraId> = BTreeSet::new();
        let mut ready = Vec::new();
        for hour in self.around.hours_to_upload(limit).await? {
            let camera = hour.camera;
            let (object, bytes) = hour_object(hour);
            if put_off.contains(&object.sha256) {
                stuck.insert(camera);
            }
            if !stuck.contains(&camera) && ready.len() < BATCH {
                ready.push((camera, object, bytes));
            }
        }
        Ok(ready)
    }

    async fn report_hours(&self) -> Outcome<Progress> {
        let names = self.around.hours_to_report(HOURS_MAX).await?;
        if names.is_empty() {
            return Ok(Progress::Idle);
        }
        let answer = self.around.report_hours(HourReport { names: names.clone() }).await?;
        let mut open = 0;
        for name in &names {
            let result = answer.results.iter().find(|result| &result.name == name);
            let step = match result.map(|result| result.status) {
                Some(RecordingStatus::Confirmed) => HourStep::Confirmed,
                Some(RecordingStatus::Missing) => HourStep::Made,
                Some(RecordingStatus::Mismatch | RecordingStatus::Refused) => {
                    error!(name, "the cloud does not take the index of an hour");
                    HourStep::Refused
                }
                Some(RecordingStatus::NoEpochGrant) | None => HourStep::Uploaded,
            };
            open += usize::from(matches!(step, HourStep::Made | HourStep::Uploaded));
            self.around.mark_hour(name, step).await?;
        }
        if open > 0 {
            return Err(Failure::new(format!("{open} indexes of hours are not confirmed yet")));
        }
        Ok(if names.len() == HOURS_MAX { Progress::More } else { Progress::Idle })
    }
}

fn hour_object(PendingHour { name, envelope, .. }: PendingHour) -> (UploadObject, Vec<u8>) {
    let bytes = serde_json::to_vec(&envelope).expect("an envelope is strings and lists");
    let sha256 = sha256(&bytes);
    (UploadObject { container: Container::Footage, name, bytes: bytes.len() as u64, sha256 }, bytes)
}
