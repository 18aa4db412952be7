//! Verifications of users, signatures that are kept, and proposals.

use cloud_core::policy::Files;
use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{Hash, OrgId, PersonId, Timestamp};

use super::{Database, Row, Transaction, params};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProposalState {
    Open,
    /// A command that enough have signed, and that its gateway has not answered.
    Approved,
    Done,
    /// The gateway answered that it could not.
    Failed,
    Declined,
    /// Something else changed what it was to follow.
    Stale,
}

#[derive(Clone, Debug)]
pub(crate) struct ProposalRow {
    pub(crate) id: Hash,
    pub(crate) person: PersonId,
    pub(crate) envelope: Envelope,
    pub(crate) reason: String,
    /// Of a set of policies.
    pub(crate) files: Option<Files>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) state: ProposalState,
    pub(crate) closed_by: Option<PersonId>,
    /// The gateway's signed answer to a command.
    pub(crate) result: Option<Envelope>,
}

impl ProposalState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ProposalState::Open => "open",
            ProposalState::Approved => "approved",
            ProposalState::Done => "done",
            ProposalState::Failed => "failed",
            ProposalState::Declined => "declined",
            ProposalState::Stale => "stale",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "open" => ProposalState::Open,
            "approved" => ProposalState::Approved,
            "done" => ProposalState::Done,
            "failed" => ProposalState::Failed,
            "declined" => ProposalState::Declined,
            _ => ProposalState::Stale,
        }
    }
}

fn proposal(row: &Row) -> sqlx::Result<ProposalRow> {
    Ok(ProposalRow {
        id: row.parsed(0)?,
        person: row.parsed(1)?,
        envelope: row.json(2)?,
        reason: row.text(3)?,
        created_at: row.time(4)?,
        expires_at: row.time(5)?,
        state: ProposalState::of(&row.text(6)?),
        closed_by: row.text_or_null(7)?.map(|_| row.parsed(7)).transpose()?,
        files: row.text_or_null(8)?.map(|_| row.json(8)).transpose()?,
        result: row.text_or_null(9)?.map(|_| row.json(9)).transpose()?,
    })
}

pub(super) fn json(envelope: &Envelope) -> String {
    serde_json::to_string(envelope).expect("an envelope serialises")
}

impl Database {
    pub(crate) async fn add_verification(
        &self,
        org: OrgId,
        session: Hash,
        subject: Hash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        self.execute("DELETE FROM verifications WHERE expires_at < $1", params![now]).await?;
        let sql = "INSERT INTO verifications (org, session, subject, expires_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org, session, subject) DO UPDATE SET expires_at = excluded.expires_at";
        self.execute(sql, params![org, session, subject, expires_at]).await.map(drop)
    }

    /// Uses it up; false if there is none.
    pub(crate) async fn take_verification(
        &self,
        org: OrgId,
        session: Hash,
        subject: Hash,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql =
            "DELETE FROM verifications WHERE org = $1 AND session = $2 AND subject = $3 AND expires_at > $4";
        Ok(self.execute(sql, params![org, session, subject, now]).await? == 1)
    }

    /// False if this payload stands there already: it is a replay.
    pub(crate) async fn keep_signature(
        &self,
        org: OrgId,
        hash: Hash,
        envelope: &Envelope,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO signatures (org, hash, envelope, at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org, hash) DO NOTHING";
        Ok(self.execute(sql, params![org, hash, json(envelope), now]).await? == 1)
    }

    pub(crate) async fn signature(&self, org: OrgId, hash: Hash) -> sqlx::Result<Option<Envelope>> {
        let sql = "SELECT envelope FROM signatures WHERE org = $1 AND hash = $2";
        self.optional(sql, params![org, hash]).await?.map(|row| row.json(0)).transpose()
    }

    /// Whether somebody declined the proposal of this payload.
    pub(crate) async fn is_declined(&self, org: OrgId, id: Hash) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM proposals WHERE org = $1 AND proposal = $2 AND state = 'declined'";
        Ok(self.optional(sql, params![org, id]).await?.is_some())
    }

    /// Newest first, those that wait for somebody before all others.
    pub(crate) async fn proposals(&self, org: OrgId, limit: u64) -> sqlx::Result<Vec<ProposalRow>> {
        let sql = "SELECT proposal, person, envelope, reason, created_at, expires_at, state, closed_by, files, result \
                   FROM proposals WHERE org = $1 \
                   ORDER BY CASE state WHEN 'open' THEN 0 WHEN 'approved' THEN 0 ELSE 1 END, created_at DESC, proposal LIMIT $2";
        let rows = self.all(sql, params![org, limit]).await?;
        rows.iter().map(proposal).collect()
    }

    pub(crate) async fn count_pending_proposals(&self, org: OrgId, now: Timestamp) -> sqlx::Result<u64> {
        let sql = "SELECT COUNT(*) FROM proposals \
                   WHERE org = $1 AND state IN ('open', 'approved') AND expires_at > $2";
        let row = self.optional(sql, params![org, now]).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }
}

impl Transaction {
    /// False if it was proposed before.
    pub(crate) async fn add_proposal(
        &mut self,
        org: OrgId,
        proposal: &ProposalRow,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO proposals (org, proposal, person, envelope, reason, created_at, expires_at, state, closed_by, files) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', NULL, $8) ON CONFLICT (org, proposal) DO NOTHING";
        let ProposalRow { id, person, envelope, reason, files, created_at, expires_at, .. } = proposal;
        let files = files.as_ref().map(|files| serde_json::to_string(files).expect("texts serialise"));
        let (envelope, reason) = (json(envelope), reason.as_str());
        let values = params![org, *id, *person, envelope, reason, *created_at, *expires_at, files];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// A proposal that is open or approved, which nobody else changes until
    /// this transaction ends.
    pub(crate) async fn pending_proposal(
        &mut self,
        org: OrgId,
        id: Hash,
        now: Timestamp,
    ) -> sqlx::Result<Option<ProposalRow>> {
        // Takes the row's lock on PostgreSQL; SQLite holds the write lock already.
        let sql = "UPDATE proposals SET state = state \
                   WHERE org = $1 AND proposal = $2 AND state IN ('open', 'approved') AND expires_at > $3 \
                   RETURNING proposal, person, envelope, reason, created_at, expires_at, state, closed_by, files, result";
        self.optional(sql, params![org, id, now]).await?.as_ref().map(proposal).transpose()
    }

    pub(crate) async fn sign_proposal(
        &mut self,
        org: OrgId,
        id: Hash,
        envelope: &Envelope,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE proposals SET envelope = $1 WHERE org = $2 AND proposal = $3";
        self.execute(sql, params![json(envelope), org, id]).await.map(drop)
    }

    pub(crate) async fn close_proposal(
        &mut self,
        org: OrgId,
        id: Hash,
        state: ProposalState,
        by: Option<PersonId>,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE proposals SET state = $1, closed_by = $2 WHERE org = $3 AND proposal = $4";
        let by = by.map(|person| person.to_string());
        self.execute(sql, params![state.as_str(), by, org, id]).await.map(drop)
    }

    /// The end of an approved command; one that has ended already stays as it is.
    pub(crate) async fn end_proposal(
        &mut self,
        org: OrgId,
        id: Hash,
        state: ProposalState,
        result: Option<&Envelope>,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE proposals SET state = $1, result = $2 \
                   WHERE org = $3 AND proposal = $4 AND state = 'approved'";
        self.execute(sql, params![state.as_str(), result.map(json), org, id]).await.map(drop)
    }
}
