//! Policies, roles, and stated reasons.

use cloud_core::policy::Files;
use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{Hash, OrgId, PersonId, Timestamp};
use seal::role::Roles;

use super::{Database, Row, Transaction, params};

/// Roles as administrators assigned them.
#[derive(Clone, Debug)]
pub(crate) struct RolesRow {
    pub(crate) person: PersonId,
    pub(crate) roles: Roles,
    /// What they signed.
    pub(crate) envelope: Envelope,
}

/// A set of policies as administrators put it in force.
#[derive(Clone, Debug)]
pub(crate) struct PolicySetRow {
    pub(crate) digest: Hash,
    pub(crate) files: Files,
    pub(crate) signature: Hash,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct ReasonRow {
    pub(crate) person: PersonId,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}

impl Database {
    /// How many sets of policies, assignments of roles and changes of groups
    /// there have been: whoever keeps a copy looks here whether it is still good.
    pub(crate) async fn rules_version(&self, org: OrgId) -> sqlx::Result<((u64, u64), u64)> {
        let sql = "SELECT (SELECT COALESCE(MAX(seq), 0) FROM policy_sets WHERE org = $1), \
                          (SELECT COALESCE(MAX(seq), 0) FROM role_assignments WHERE org = $1), \
                          COALESCE((SELECT version FROM directory_versions WHERE org = $1), 0)";
        let row = self.optional(sql, params![org]).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(((row.number(0)?, row.number(1)?), row.number(2)?))
    }

    pub(crate) async fn policy_set(&self, org: OrgId) -> sqlx::Result<Option<PolicySetRow>> {
        let sql =
            "SELECT digest, files, signature, at FROM policy_sets WHERE org = $1 ORDER BY seq DESC LIMIT 1";
        let Some(row) = self.optional(sql, params![org]).await? else { return Ok(None) };
        Ok(Some(PolicySetRow {
            digest: row.parsed(0)?,
            files: row.json(1)?,
            signature: row.parsed(2)?,
            at: row.time(3)?,
        }))
    }

    /// The newest of each person.
    pub(crate) async fn roles(&self, org: OrgId) -> sqlx::Result<Vec<RolesRow>> {
        let sql = "SELECT r.person, r.roles, s.envelope FROM role_assignments r \
                   JOIN signatures s ON s.org = r.org AND s.hash = r.signature WHERE r.org = $1 AND r.seq = \
                   (SELECT MAX(seq) FROM role_assignments WHERE org = $1 AND person = r.person)";
        let rows = self.all(sql, params![org]).await?;
        let read =
            |row: &Row| Ok(RolesRow { person: row.parsed(0)?, roles: row.json(1)?, envelope: row.json(2)? });
        rows.iter().map(read).collect()
    }

    pub(crate) async fn add_reason(
        &self,
        org: OrgId,
        (reference, session): (Hash, Hash),
        row: &ReasonRow,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO reasons (org, reference, session, person, reason, at) VALUES ($1, $2, $3, $4, $5, $6)";
        let ReasonRow { person, reason, at } = row;
        self.execute(sql, params![org, reference, session, *person, reason.as_str(), *at]).await.map(drop)
    }

    /// What the session gave as its reason, if that was not before `since`.
    pub(crate) async fn reason_of(&self, session: Hash, since: Timestamp) -> sqlx::Result<Option<String>> {
        let sql = "SELECT reason FROM reasons WHERE session = $1 AND at >= $2 ORDER BY at DESC LIMIT 1";
        self.optional(sql, params![session, since]).await?.map(|row| row.text(0)).transpose()
    }

    pub(crate) async fn reason(&self, org: OrgId, reference: Hash) -> sqlx::Result<Option<ReasonRow>> {
        let sql = "SELECT person, reason, at FROM reasons WHERE org = $1 AND reference = $2";
        let Some(row) = self.optional(sql, params![org, reference]).await? else { return Ok(None) };
        Ok(Some(ReasonRow { person: row.parsed(0)?, reason: row.text(1)?, at: row.time(2)? }))
    }
}

impl Transaction {
    /// False if another set came after `version` was read.
    pub(crate) async fn add_policy_set(
        &mut self,
        org: OrgId,
        version: u64,
        row: &PolicySetRow,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO policy_sets (org, seq, digest, files, signature, at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (org, seq) DO NOTHING";
        let PolicySetRow { digest, files, signature, at } = row;
        let files = serde_json::to_string(files).expect("texts serialise");
        let values = params![org, version + 1, *digest, files, *signature, *at];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// False if another assignment came after `version` was read.
    pub(crate) async fn add_roles(
        &mut self,
        (org, person): (OrgId, PersonId),
        version: u64,
        roles: &Roles,
        (signature, at): (Hash, Timestamp),
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO role_assignments (org, seq, person, roles, signature, at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (org, seq) DO NOTHING";
        let roles = serde_json::to_string(roles).expect("roles serialise");
        Ok(self.execute(sql, params![org, version + 1, person, roles, signature, at]).await? == 1)
    }
}
