//! Gateways that ask to be enrolled, and their transport certificates.

use std::collections::BTreeMap;

use cloud_core::{Audited, Permit};
use model::wire::GatewayKeys;
use model::{GatewayId, Hash, OrgId, Timestamp};

use super::{Database, Row, Transaction, params};

#[derive(Clone, Debug)]
pub(crate) struct Enrolment {
    /// Set when an administrator has accepted.
    pub(crate) org: Option<OrgId>,
    pub(crate) gateway: GatewayKeys,
    pub(crate) mac: Hash,
    pub(crate) accept_mac: Option<Hash>,
}

fn enrolment(row: &Row) -> sqlx::Result<Enrolment> {
    Ok(Enrolment {
        org: row.parsed(0).ok(),
        gateway: row.json(1)?,
        mac: row.parsed(2)?,
        accept_mac: row.text_or_null(3)?.map(|_| row.parsed(3)).transpose()?,
    })
}

impl Database {
    pub(crate) async fn enrolment(&self, lookup: Hash, now: Timestamp) -> sqlx::Result<Option<Enrolment>> {
        let sql =
            "SELECT org, gateway, mac, accept_mac FROM enrolments WHERE lookup = $1 AND expires_at > $2";
        self.optional(sql, params![lookup, now]).await?.as_ref().map(enrolment).transpose()
    }

    pub(crate) async fn count_enrolments(&self, now: Timestamp) -> sqlx::Result<u64> {
        self.execute("DELETE FROM enrolments WHERE expires_at <= $1", params![now]).await?;
        let row = self.optional("SELECT COUNT(*) FROM enrolments", vec![]).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    /// False if one with this look-up value was there: the first stays.
    pub(crate) async fn add_enrolment(
        &self,
        lookup: Hash,
        gateway: &GatewayKeys,
        mac: Hash,
        expires_at: Timestamp,
    ) -> sqlx::Result<bool> {
        let gateway = serde_json::to_string(gateway).expect("keys serialise");
        let sql = "INSERT INTO enrolments (lookup, org, gateway, mac, accept_mac, expires_at) \
                   VALUES ($1, '', $2, $3, NULL, $4) ON CONFLICT (lookup) DO NOTHING";
        Ok(self.execute(sql, params![lookup, gateway, mac, expires_at]).await? == 1)
    }

    pub(crate) async fn set_certificate(
        &self,
        org: OrgId,
        gateway: GatewayId,
        expires_at: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO gateway_certificates (org, gateway, expires_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (org, gateway) DO UPDATE SET expires_at = $3";
        self.execute(sql, params![org, gateway, expires_at]).await.map(drop)
    }

    pub(crate) async fn certificates(&self, org: OrgId) -> sqlx::Result<BTreeMap<GatewayId, Timestamp>> {
        let sql = "SELECT gateway, expires_at FROM gateway_certificates WHERE org = $1";
        let rows = self.all(sql, params![org]).await?;
        rows.iter().map(|row| Ok((row.parsed(0)?, row.time(1)?))).collect()
    }
}

impl Transaction {
    /// False if it is another organisation's or gone.
    pub(crate) async fn accept_enrolment(
        &mut self,
        lookup: Hash,
        org: OrgId,
        mac: Hash,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE enrolments SET org = $1, accept_mac = $2 WHERE lookup = $3 AND org IN ('', $1)";
        Ok(self.execute(sql, params![org, mac, lookup]).await? == 1)
    }
}
