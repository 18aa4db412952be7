//! Cloud and object store: they answer, or they do not, or they answer and
//! nobody hears it.

use std::collections::BTreeMap;

use gateway_core::uplink::{Failure, Outcome, PutAnswer};
use model::wire::{
    Envelope, Gap, HourReport, HourReportAnswer, Recording, RecordingReport, RecordingReportAnswer,
    RecordingResult, RecordingStatus, UploadGrant, UploadGrantAnswer, UploadGrantRequest, UploadObject,
};
use model::{EpochId, Hash, Timestamp};
use seal::grant::EpochGrant;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) unreachable: bool,
    /// What is asked is done, and the answer is lost.
    pub(crate) answers_lost: bool,
    /// HTTP 429 with Retry-After.
    pub(crate) throttled: bool,
    /// HTTP 503.
    pub(crate) unavailable: bool,
    /// HTTP 403: tokens have expired, or somebody's clock is wrong.
    pub(crate) tokens_expired: bool,
    /// Refuses objects for good.
    pub(crate) refuses: bool,
    /// Grants other objects than were asked for.
    pub(crate) grants_others: bool,
    /// Says that what it has is missing.
    pub(crate) says_missing: bool,
    /// One object breaks the connection, each time.
    pub(crate) breaks_on: Option<u8>,
    pub(crate) latency_ms: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) faults: Faults,
    /// Says that it has what it has not kept.
    pub(crate) lies: bool,
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Epochs whose grants it has.
    epochs: BTreeMap<EpochId, usize>,
    pub(crate) recordings: BTreeMap<Hash, Recording>,
    /// One for each beginning; a later end replaces a sooner one.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) violations: Vec<String>,
}

fn unreachable() -> Failure {
    Failure::new("the cloud cannot be reached")
}

impl Cloud {
    fn answer<T>(&self, value: T) -> Outcome<T> {
        if self.faults.answers_lost { Err(unreachable()) } else { Ok(value) }
    }

    fn reached(&self) -> Outcome<()> {
        if self.faults.unreachable { Err(unreachable()) } else { Ok(()) }
    }

    pub(crate) fn index_grants(&mut self, grants: &[Envelope]) -> Outcome<()> {
        self.reached()?;
        for envelope in grants {
            if let Ok(grant) = EpochGrant::claimed(envelope) {
                *self.epochs.entry(grant.epoch).or_default() += 1;
            }
        }
        self.answer(())
    }

    pub(crate) fn upload_grants(&mut self, request: UploadGrantRequest) -> Outcome<UploadGrantAnswer> {
        self.reached()?;
        let Faults { refuses, grants_others, .. } = self.faults;
        let grant = |object: UploadObject| UploadGrant {
            name: if grants_others { format!("{}x", object.name) } else { object.name },
            url: (!refuses).then(|| "https://store.invalid/".to_owned()),
            headers: BTreeMap::new(),
            expires_at: Timestamp(0),
            refused: refuses.then(|| "not now".to_owned()),
        };
        self.answer(UploadGrantAnswer { grants: request.objects.into_iter().map(grant).collect() })
    }

    pub(crate) fn put(&mut self, object: &UploadObject, bytes: Vec<u8>) -> Outcome<PutAnswer> {
        self.reached()?;
        if self.faults.throttled {
            return Ok(PutAnswer::Later { status: 429, wait_ms: Some(20_000) });
        }
        if self.faults.unavailable {
            return Ok(PutAnswer::Later { status: 503, wait_ms: None });
        }
        if self.faults.tokens_expired {
            return Ok(PutAnswer::Status(403));
        }
        if self.faults.breaks_on.is_some_and(|n| object.sha256.0[0] % 8 == n) {
            return Err(Failure::new("the connection was reset"));
        }
        if self.objects.contains_key(&object.name) {
            return self.answer(PutAnswer::Exists);
        }
        if seal::sha256(&bytes) != object.sha256 {
            self.violations.push(format!("{} was sent with other bytes than were announced", object.name));
        }
        if !self.lies {
            self.objects.insert(object.name.clone(), bytes);
        }
        self.answer(PutAnswer::Created)
    }

    pub(crate) fn report(&mut self, report: RecordingReport) -> Outcome<RecordingReportAnswer> {
        self.reached()?;
        let mut results = Vec::new();
        for recording in report.recordings {
            let status = self.status(&recording);
            if status == RecordingStatus::Confirmed {
                self.recordings.insert(recording.id, recording.clone());
            }
            results.push(RecordingResult { name: recording.name, status });
        }
        for gap in report.gaps {
            let begins = |told: &&mut Gap| {
                (told.camera, told.rendition, told.from) == (gap.camera, gap.rendition, gap.from)
            };
            match self.gaps.iter_mut().find(begins) {
                Some(told) if told.to <= gap.to => *told = gap,
                Some(_) => {}
                None => self.gaps.push(gap),
            }
        }
        self.answer(RecordingReportAnswer { results })
    }

    pub(crate) fn report_hours(&mut self, report: HourReport) -> Outcome<HourReportAnswer> {
        self.reached()?;
        let result = |name: String| {
            let has = self.lies || !self.faults.says_missing && self.objects.contains_key(&name);
            let status = if has { RecordingStatus::Confirmed } else { RecordingStatus::Missing };
            RecordingResult { name, status }
        };
        self.answer(HourReportAnswer { results: report.names.into_iter().map(result).collect() })
    }

    fn status(&self, recording: &Recording) -> RecordingStatus {
        if self.lies {
            return RecordingStatus::Confirmed;
        }
        if self.faults.says_missing {
            return RecordingStatus::Missing;
        }
        match self.objects.get(&recording.name) {
            None => RecordingStatus::Missing,
            Some(bytes) if seal::sha256(bytes) != recording.sha256 => RecordingStatus::Mismatch,
            Some(_) if !self.epochs.contains_key(&recording.epoch) => RecordingStatus::NoEpochGrant,
            Some(_) => RecordingStatus::Confirmed,
        }
    }

    /// The index of grants is lost; those of epochs to come arrive by themselves.
    pub(crate) fn forget_grants(&mut self) {
        self.epochs.clear();
    }

    /// Indexes of hours.
    pub(crate) fn hours(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.objects.iter().filter(|(name, _)| name.contains("/hours/"))
    }

    pub(crate) fn footage(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.objects.iter().filter(|(name, _)| name.ends_with(".lkr"))
    }
}
