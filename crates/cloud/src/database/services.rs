//! Accounts of programs.

use std::collections::BTreeSet;

use cloud_core::{Audited, Permit};
use model::{Hash, OrgId, PersonId, ServiceId, Timestamp};
use seal::action::ServicePermission;
use seal::roster::Scope;

use super::{Database, Row, Transaction, params};

#[derive(Clone, Debug)]
pub(crate) struct ServiceRow {
    pub(crate) org: OrgId,
    pub(crate) account: ServiceId,
    pub(crate) name: String,
    pub(crate) permissions: BTreeSet<ServicePermission>,
    pub(crate) scope: Scope,
    pub(crate) created_by: PersonId,
    pub(crate) created_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) used_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
}

fn service(row: &Row) -> sqlx::Result<ServiceRow> {
    Ok(ServiceRow {
        org: row.parsed(0)?,
        account: row.parsed(1)?,
        name: row.text(2)?,
        permissions: row.json(3)?,
        scope: row.json(4)?,
        created_by: row.parsed(5)?,
        created_at: row.time(6)?,
        ends_at: row.time(7)?,
        used_at: row.time(8)?,
        revoked_at: Some(row.time(9)?).filter(|time| time.0 > 0),
    })
}

impl Transaction {
    /// False if the id is in use.
    pub(crate) async fn add_service(
        &mut self,
        row: &ServiceRow,
        token: Hash,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO service_accounts (org, account, name, token, permissions, scope, created_by, \
                   created_at, ends_at, used_at, revoked_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, NULL) ON CONFLICT DO NOTHING";
        let json = |value: serde_json::Result<String>| value.expect("our own types serialise");
        let permissions = json(serde_json::to_string(&row.permissions));
        let scope = json(serde_json::to_string(&row.scope));
        let ServiceRow { org, account, name, created_by, created_at, ends_at, .. } = row;
        let name = name.as_str();
        let values =
            params![*org, *account, name, token, permissions, scope, *created_by, *created_at, *ends_at];
        Ok(self.execute(sql, values).await? == 1)
    }
}

impl Database {
    /// Newest first, those that were revoked too.
    pub(crate) async fn services(&self, org: OrgId) -> sqlx::Result<Vec<ServiceRow>> {
        let sql = "SELECT org, account, name, permissions, scope, created_by, created_at, ends_at, used_at, \
                   COALESCE(revoked_at, 0) FROM service_accounts \
                   WHERE org = $1 ORDER BY created_at DESC, account LIMIT 1000";
        self.all(sql, params![org]).await?.iter().map(service).collect()
    }

    pub(crate) async fn count_services(&self, org: OrgId, now: Timestamp) -> sqlx::Result<u64> {
        let sql =
            "SELECT COUNT(*) FROM service_accounts WHERE org = $1 AND revoked_at IS NULL AND ends_at > $2";
        self.optional(sql, params![org, now]).await?.map_or(Ok(0), |row| row.number(0))
    }

    /// The account of a token, unless it was revoked or has ended.
    pub(crate) async fn service_of(&self, token: Hash, now: Timestamp) -> sqlx::Result<Option<ServiceRow>> {
        let sql = "SELECT org, account, name, permissions, scope, created_by, created_at, ends_at, used_at, CAST(0 AS BIGINT) \
                   FROM service_accounts WHERE token = $1 AND revoked_at IS NULL AND ends_at > $2";
        self.optional(sql, params![token, now]).await?.as_ref().map(service).transpose()
    }

    pub(crate) async fn touch_service(&self, account: ServiceId, now: Timestamp) -> sqlx::Result<()> {
        let sql = "UPDATE service_accounts SET used_at = $1 WHERE account = $2";
        self.execute(sql, params![now, account]).await.map(drop)
    }

    /// False if there is none of this id that was not revoked.
    pub(crate) async fn revoke_service(
        &self,
        org: OrgId,
        account: ServiceId,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE service_accounts SET revoked_at = $1 \
                   WHERE org = $2 AND account = $3 AND revoked_at IS NULL";
        Ok(self.execute(sql, params![now, org, account]).await? == 1)
    }
}
