//! What all handlers share. Everything that outlives a request is in SQL or
//! in the store; what is here may be lost with the process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use cloud_core::{Action, Audited, Permit};
use model::{Hash, OrgId, Timestamp};
use seal::roster::Roster;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::attempts::Attempts;
use crate::broker::Broker;
use crate::ca::Ca;
use crate::capsules::Capsules;
use crate::config::Config;
use crate::database::Database;
use crate::http::on_site::Reads;
use crate::http::passwords::Decoy;
use crate::hub::Hub;
use crate::journal::Journal;
use crate::log::Log;
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::passkeys::Passkeys;
use crate::passwords::Hasher;
use crate::problem::Problem;
use crate::proofs::Proofs;
use crate::providers::Provider;
use crate::push::Push;
use crate::rate::Limiter;
use crate::recorder::Recorder;
use crate::refusals::Refusals;
use crate::rosters::{Rosters, RostersError};
use crate::rules::RulesCache;
use crate::sessions::Caller;
use crate::store::Store;
use crate::vault::Vault;
use crate::witness::Witness;
use crate::witnesses::Witnesses;

/// Repeated reads of one thing by one session are one entry in the history
/// for this long: a seek is dozens of byte ranges.
const RECENT_MS: u64 = 5 * Timestamp::MINUTE;
const RECENT_MAX: usize = 4_096;
/// Objects that are read back at the same time.
const CONFIRMATIONS_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) public_url: Url,
    /// Values of `Host` that viewers may use: another one is a page of
    /// somebody else that had its name point here.
    pub(crate) hosts: HashSet<String>,
    pub(crate) gateway_port: u16,
    pub(crate) database: Database,
    /// Writes the history.
    pub(crate) recorder: Recorder,
    pub(crate) rosters: Rosters,
    pub(crate) rules: RulesCache,
    pub(crate) refusals: Refusals,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) hub: Arc<Hub>,
    pub(crate) ca: Arc<Ca>,
    pub(crate) log: Log,
    pub(crate) witness: Witness,
    pub(crate) witnesses: Witnesses,
    pub(crate) journal: Journal,
    pub(crate) passkeys: Passkeys,
    pub(crate) providers: Vec<Provider>,
    pub(crate) push: Push,
    /// None where the operator has none.
    pub(crate) mail: Option<Mail>,
    pub(crate) capsules: Capsules,
    pub(crate) limiter: Limiter,
    pub(crate) attempts: Attempts,
    pub(crate) vault: Arc<Vault>,
    pub(crate) hasher: Hasher,
    pub(crate) decoy: Decoy,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) confirmations: Semaphore,
    pub(crate) recent: RecentReads,
    pub(crate) site_reads: Reads,
    pub(crate) proofs: Proofs,
    pub(crate) shutdown: CancellationToken,
    /// Connections, and the WebSockets that some of them became.
    pub(crate) tasks: TaskTracker,
}

/// The session, and action and resource in words.
type ReadKey = (Hash, String);
type Read = (Timestamp, Arc<Audited<Permit>>);

/// Proofs that a session's read stands in the history already.
#[derive(Debug, Default)]
pub(crate) struct RecentReads {
    reads: Mutex<HashMap<ReadKey, Read>>,
}

impl App {
    pub(crate) fn confirmations() -> Semaphore {
        Semaphore::new(CONFIRMATIONS_MAX)
    }

    pub(crate) async fn roster(&self, org: OrgId, now: Timestamp) -> Result<Arc<Roster>, RostersError> {
        self.rosters.current(&self.database, org, now).await
    }

    /// Like `permit`, for reads that come in bursts: decided every time,
    /// written down once.
    pub(crate) async fn read_permit(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Arc<Audited<Permit>>, Problem> {
        let permit = self.decide(caller, roster, action, now).await?;
        self.recorded_read(caller.session, permit, now).await
    }

    /// `session` is the session or token that reads.
    pub(crate) async fn recorded_read(
        &self,
        session: Hash,
        permit: Permit,
        now: Timestamp,
    ) -> Result<Arc<Audited<Permit>>, Problem> {
        let key = (session, format!("{} {}", permit.entry().action, permit.entry().resource));
        if let Some(audited) = self.recent.find(&key, &permit, now) {
            return Ok(audited);
        }
        let audited = Arc::new(permit.record(&self.recorder).await?);
        self.recent.keep(key, audited.clone(), now);
        Ok(audited)
    }
}

impl RecentReads {
    fn find(&self, key: &ReadKey, permit: &Permit, now: Timestamp) -> Option<Arc<Audited<Permit>>> {
        let reads = self.reads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (at, audited) = reads.get(key)?;
        (now.ms_since(*at) < RECENT_MS && audited.covers(permit)).then(|| audited.clone())
    }

    fn keep(&self, key: ReadKey, audited: Arc<Audited<Permit>>, now: Timestamp) {
        let mut reads = self.reads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if reads.len() >= RECENT_MAX {
            reads.retain(|_, (at, _)| now.ms_since(*at) < RECENT_MS);
        }
        if reads.len() >= RECENT_MAX {
            reads.clear();
        }
        reads.insert(key, (now, audited));
    }
}
