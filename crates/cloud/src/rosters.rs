//! The rosters, replayed. SQL holds the signed log; this keeps each one in
//! memory and looks at the head in SQL before every use, so that several
//! nodes agree. It stores what the roster's own rules accept and decides
//! nothing; clients replay the log for themselves.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{DeviceId, Hash, OrgId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::roster::{Payload, Roster, RosterError, Statement};

use crate::database::{Database, Transaction};

/// How far a statement's time may lie behind this server's clock when it is
/// handed in or proposed. Readers judge a signer by the statement's own time,
/// so that a device which has ended could otherwise sign for the time before.
const AT_BEHIND_MAX_MS: u64 = 10 * Timestamp::MINUTE;
/// Statements read from SQL at once.
const PAGE: u64 = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Rosters {
    cached: RwLock<HashMap<OrgId, Arc<Roster>>>,
    /// Held for reading from the look at a roster until the tokens that rest on
    /// it are made.
    minting: tokio::sync::RwLock<()>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RostersError {
    #[error("the organisation does not exist")]
    NoOrganisation,
    #[error("the stored roster does not replay: {0}")]
    Stored(#[source] RosterError),
    #[error("the statement does not follow the head")]
    Moved { seq: u64, head: Hash },
    #[error("{0}")]
    Refused(#[source] RosterError),
    #[error("the statement is dated {minutes} minutes back")]
    DatedBack { minutes: u64 },
    #[error("the statement uses an id again that another organisation has")]
    IdTaken,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A statement that follows, checked against the roster as it is.
#[derive(Debug)]
pub(crate) struct Next {
    before: (u64, Hash),
    roster: Roster,
    envelope: Envelope,
    payload: Payload,
    pub(crate) hash: Hash,
    seen_at: Timestamp,
}

impl Rosters {
    /// The roster as it is now.
    pub(crate) async fn current(
        &self,
        database: &Database,
        org: OrgId,
        now: Timestamp,
    ) -> Result<Arc<Roster>, RostersError> {
        let head = database.roster_head(org).await?.ok_or(RostersError::NoOrganisation)?;
        let cached = self.cached.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&org).cloned();
        let roster = match cached {
            Some(roster) if roster.head() == head => roster,
            _ => {
                let roster = Arc::new(replay(database, org).await?);
                self.put(roster.clone());
                roster
            }
        };
        if roster.pending().all(|(_, effective_at)| effective_at > now) {
            return Ok(roster);
        }
        // A recovery statement has come into force since.
        let mut settled = Roster::clone(&roster);
        settled.settle(now);
        let settled = Arc::new(settled);
        self.put(settled.clone());
        Ok(settled)
    }

    /// Whoever makes tokens holds this from before the look at the roster.
    pub(crate) async fn minting(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.minting.read().await
    }

    /// Comes back when nobody makes tokens any more by a roster of before: a
    /// revoke that was answered is followed by no token of this process.
    pub(crate) async fn minted(&self) {
        drop(self.minting.write().await);
    }

    /// Judges a statement; changes nothing.
    pub(crate) async fn check_next(
        &self,
        database: &Database,
        org: OrgId,
        envelope: Envelope,
        now: Timestamp,
    ) -> Result<Next, RostersError> {
        let current = self.current(database, org, now).await?;
        let (seq, head) = current.head();
        let bytes = envelope::payload(PayloadType::Roster, &envelope)
            .map_err(|error| RostersError::Refused(error.into()))?
            .to_vec();
        let payload: Payload =
            seal::from_canonical(&bytes).map_err(|error| RostersError::Refused(error.into()))?;
        if payload.org == org && (payload.seq != seq + 1 || payload.previous != Some(head)) {
            return Err(RostersError::Moved { seq, head });
        }
        let mut roster = Roster::clone(&current);
        roster.apply(&envelope, now).map_err(RostersError::Refused)?;
        Ok(Next { before: (seq, head), roster, envelope, payload, hash: seal::sha256(&bytes), seen_at: now })
    }

    /// Appends what was decided and recorded.
    pub(crate) async fn append(
        &self,
        database: &Database,
        next: Next,
        _audited: &Audited<Permit>,
    ) -> Result<u64, RostersError> {
        self.store(database, next).await
    }

    /// Appends what only takes rights away. That does not wait for the
    /// history: a full disk must not keep a stolen device in force.
    pub(crate) async fn append_narrowing(
        &self,
        database: &Database,
        next: Next,
    ) -> Result<u64, RostersError> {
        debug_assert!(next.narrows());
        self.store(database, next).await
    }

    async fn store(&self, database: &Database, next: Next) -> Result<u64, RostersError> {
        let org = next.roster.org();
        let mut transaction = database.begin().await?;
        if !transaction.advance_roster(org, next.before, next.hash).await? {
            drop(transaction);
            let (seq, head) = database.roster_head(org).await?.ok_or(RostersError::NoOrganisation)?;
            return Err(RostersError::Moved { seq, head });
        }
        add(&mut transaction, org, &next.payload, next.hash, &next.envelope, next.seen_at).await?;
        transaction.commit().await?;
        self.put(Arc::new(next.roster));
        Ok(next.payload.seq)
    }

    fn put(&self, roster: Arc<Roster>) {
        let mut cached = self.cached.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        cached.insert(roster.org(), roster);
    }
}

/// Devices that an envelope names as its signers, genuine or not.
pub(crate) fn signers(envelope: &Envelope) -> Vec<DeviceId> {
    envelope.signatures.iter().filter_map(|signature| signature.keyid.parse().ok()).collect()
}

/// Of what is handed in or proposed now. What was proposed in time may be
/// agreed on for as long as proposals live.
pub(crate) fn check_date(envelope: &Envelope, now: Timestamp) -> Result<(), RostersError> {
    let refused = |error: RosterError| RostersError::Refused(error);
    let bytes = envelope::payload(PayloadType::Roster, envelope).map_err(|error| refused(error.into()))?;
    let payload: Payload = seal::from_canonical(bytes).map_err(|error| refused(error.into()))?;
    let behind_ms = now.ms_since(payload.at);
    if behind_ms > AT_BEHIND_MAX_MS {
        return Err(RostersError::DatedBack { minutes: behind_ms / Timestamp::MINUTE });
    }
    Ok(())
}

impl Next {
    pub(crate) fn signers(&self) -> Vec<DeviceId> {
        signers(&self.envelope)
    }

    pub(crate) fn narrows(&self) -> bool {
        self.payload.statement.narrows()
    }
}

/// Writes one statement and the ids that it brings.
pub(crate) async fn add(
    transaction: &mut Transaction,
    org: OrgId,
    payload: &Payload,
    hash: Hash,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(), RostersError> {
    let json = serde_json::to_string(envelope).expect("an envelope serialises");
    transaction.add_statement(org, payload.seq, hash, &json, now).await?;
    let subject = match &payload.statement {
        Statement::Genesis { device, .. } | Statement::AddDevice { device } => Some(device.id.to_string()),
        Statement::AddGateway { gateway } => Some(gateway.id.to_string()),
        _ => None,
    };
    if let Some(subject) = subject
        && !transaction.add_subject(org, subject).await?
    {
        return Err(RostersError::IdTaken);
    }
    if let Statement::AddDevice { device } = &payload.statement {
        transaction.end_device_request(org, device.id).await?;
    }
    Ok(())
}

async fn replay(database: &Database, org: OrgId) -> Result<Roster, RostersError> {
    let mut statements = database.statements(org, 0, PAGE).await?.into_iter();
    let genesis = statements.next().ok_or(RostersError::NoOrganisation)?;
    let mut roster =
        Roster::from_genesis(&genesis.envelope, genesis.seen_at).map_err(RostersError::Stored)?;
    loop {
        let mut last = true;
        for statement in statements {
            last = false;
            roster.apply(&statement.envelope, statement.seen_at).map_err(RostersError::Stored)?;
        }
        if last {
            return Ok(roster);
        }
        statements = database.statements(org, roster.head().0 + 1, PAGE).await?.into_iter();
    }
}
