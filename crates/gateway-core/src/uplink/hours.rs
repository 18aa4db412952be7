//! Indexes of hours on their way up.

use model::wire::{Container, HOURS_MAX, HourReport, RecordingStatus, UploadObject};
use seal::sha256;
use tracing::error;

use super::{BATCH, Failure, Outcome, PendingHour, Progress, Put, Surroundings, Uplink};
use crate::hours::HourStep;

impl<S: Surroundings> Uplink<S> {
    /// Into the store, and then by name to the cloud.
    pub(super) async fn forward_hours(&self) -> Outcome<Progress> {
        let to_upload = self.around.hours_to_upload(BATCH).await?;
        let mut progress = if to_upload.is_empty() { Progress::Idle } else { Progress::More };
        if !to_upload.is_empty() {
            let objects: Vec<(UploadObject, Vec<u8>)> = to_upload.into_iter().map(hour_object).collect();
            let tokens = self.tokens(objects.iter().map(|(object, _)| object.clone()).collect()).await?;
            let mut failure = None;
            for (token, (object, bytes)) in tokens.into_iter().zip(objects) {
                match self.put(token, &object, bytes).await {
                    Ok(Put::Stored) => self.around.mark_hour(&object.name, HourStep::Uploaded).await?,
                    Ok(Put::Refused) => self.around.mark_hour(&object.name, HourStep::Refused).await?,
                    Ok(Put::Deferred) => {
                        failure = Some(Failure::new("the store does not take the index of an hour"));
                    }
                    Err(failed) => failure = Some(failed),
                }
            }
            failure.map_or(Ok(()), Err)?;
        }
        let names = self.around.hours_to_report(HOURS_MAX).await?;
        if names.is_empty() {
            return Ok(progress);
        }
        if names.len() == HOURS_MAX {
            progress = Progress::More;
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
        Ok(progress)
    }
}

fn hour_object(PendingHour { name, envelope }: PendingHour) -> (UploadObject, Vec<u8>) {
    let bytes = serde_json::to_vec(&envelope).expect("an envelope is strings and lists");
    let sha256 = sha256(&bytes);
    (UploadObject { container: Container::Footage, name, bytes: bytes.len() as u64, sha256 }, bytes)
}
