//! Devices that ask to be let in, and what administrators answer.

use cloud_core::{Audited, Permit};
use model::{DeviceId, Hash, OrgId, PersonId, Timestamp};
use seal::roster::Device;

use super::{Database, Row, Transaction, params};

#[derive(Clone, Debug)]
pub(crate) struct DeviceRequestRow {
    pub(crate) device: Device,
    pub(crate) created_at: Timestamp,
    /// Look-up value and MAC of the link by which it came.
    pub(crate) pairing: Option<(Hash, Hash)>,
    /// What an administrator's device answered.
    pub(crate) nonce: Option<Hash>,
}

fn request(row: &Row) -> sqlx::Result<DeviceRequestRow> {
    let hash = |column| row.text_or_null(column)?.map(|_| row.parsed(column)).transpose();
    Ok(DeviceRequestRow {
        device: row.json(0)?,
        created_at: row.time(1)?,
        pairing: hash(2)?.zip(hash(3)?),
        nonce: hash(4)?,
    })
}

impl Database {
    pub(crate) async fn device_requests(&self, org: OrgId) -> sqlx::Result<Vec<DeviceRequestRow>> {
        let sql = "SELECT request, created_at, pairing, mac, nonce FROM device_requests \
                   WHERE org = $1 ORDER BY created_at, device LIMIT 1000";
        self.all(sql, params![org]).await?.iter().map(request).collect()
    }

    /// For a device that is in no organisation yet.
    pub(crate) async fn device_request(&self, device: DeviceId) -> sqlx::Result<Option<DeviceRequestRow>> {
        let sql = "SELECT request, created_at, pairing, mac, nonce FROM device_requests WHERE device = $1";
        self.optional(sql, params![device]).await?.as_ref().map(request).transpose()
    }

    /// False if there is no such request, or it was answered.
    pub(crate) async fn answer_device_request(
        &self,
        org: OrgId,
        device: DeviceId,
        nonce: Hash,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE device_requests SET nonce = $1 \
                   WHERE org = $2 AND device = $3 AND pairing IS NOT NULL AND nonce IS NULL";
        Ok(self.execute(sql, params![nonce, org, device]).await? > 0)
    }

    pub(crate) async fn count_device_requests(&self, org: OrgId, person: PersonId) -> sqlx::Result<u64> {
        let sql = "SELECT COUNT(*) FROM device_requests WHERE org = $1 AND person = $2";
        let row = self.optional(sql, params![org, person]).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    /// Permission for one request of a new device.
    pub(crate) async fn add_device_link(
        &self,
        org: OrgId,
        token: Hash,
        person: PersonId,
        (now, expires_at): (Timestamp, Timestamp),
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "DELETE FROM one_time_tokens WHERE kind = 'link_device' AND expires_at < $1";
        self.execute(sql, params![now]).await?;
        let sql = "INSERT INTO one_time_tokens (org, token, kind, person, person_name, expires_at, used_at) \
                   VALUES ($1, $2, 'link_device', $3, '', $4, NULL)";
        self.execute(sql, params![org, token, person, expires_at]).await.map(drop)
    }
}

impl Transaction {
    pub(crate) async fn add_device_request(
        &mut self,
        org: OrgId,
        row: &DeviceRequestRow,
    ) -> sqlx::Result<()> {
        let DeviceRequestRow { device, created_at, pairing, .. } = row;
        let request = serde_json::to_string(device).expect("a device serialises");
        let (lookup, mac) = pairing.map(|(lookup, mac)| (lookup.to_string(), mac.to_string())).unzip();
        let sql = "INSERT INTO device_requests (org, device, person, request, created_at, pairing, mac) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        self.execute(sql, params![org, device.id, device.person, request, *created_at, lookup, mac])
            .await
            .map(drop)
    }

    /// False if there was none.
    pub(crate) async fn end_device_request(&mut self, org: OrgId, device: DeviceId) -> sqlx::Result<bool> {
        let sql = "DELETE FROM device_requests WHERE org = $1 AND device = $2";
        Ok(self.execute(sql, params![org, device]).await? > 0)
    }
}
