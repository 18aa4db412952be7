//! Where devices are reached while nobody looks at them, and what they want to
//! be told.

use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::notice::NoticeOrder;

use super::{Database, params};

/// A browser's subscription as it was given.
#[derive(Clone)]
pub(crate) struct SubscriptionRow {
    pub(crate) person: PersonId,
    pub(crate) endpoint: String,
    pub(crate) p256dh: String,
    pub(crate) auth: String,
    pub(crate) made_at: Timestamp,
}

/// An order as lists have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRow {
    pub(crate) gateway: GatewayId,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Database {
    /// In place of everything that the device had: where it is reached and what it
    /// wants to be told. A browser has one address: whatever was there before it,
    /// another device's or another person's, ends.
    pub(crate) async fn order_notices(
        &self,
        (org, device): (OrgId, DeviceId),
        row: &SubscriptionRow,
        orders: &[(NoticeOrder, Envelope)],
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        let SubscriptionRow { person, endpoint, p256dh, auth, made_at } = row;
        let sql = "DELETE FROM notice_orders WHERE org = $1 AND (device = $2 OR device IN \
                   (SELECT device FROM push_subscriptions WHERE org = $1 AND endpoint = $3))";
        transaction.execute(sql, params![org, device, endpoint.as_str()]).await?;
        let sql = "DELETE FROM push_subscriptions WHERE org = $1 AND (device = $2 OR endpoint = $3)";
        transaction.execute(sql, params![org, device, endpoint.as_str()]).await?;
        let sql = "INSERT INTO push_subscriptions (org, device, person, endpoint, p256dh, auth, made_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values =
            params![org, device, *person, endpoint.as_str(), p256dh.as_str(), auth.as_str(), *made_at];
        transaction.execute(sql, values).await?;
        for (order, envelope) in orders {
            let sql = "INSERT INTO notice_orders (org, gateway, device, person, issued_at, expires_at, envelope) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let envelope = serde_json::to_string(envelope).expect("an envelope serialises");
            let values =
                params![org, order.gateway, device, *person, order.issued_at, order.expires_at, envelope];
            transaction.execute(sql, values).await?;
        }
        transaction.commit().await
    }

    pub(crate) async fn end_notices(&self, org: OrgId, device: DeviceId) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        for sql in [
            "DELETE FROM notice_orders WHERE org = $1 AND device = $2",
            "DELETE FROM push_subscriptions WHERE org = $1 AND device = $2",
        ] {
            transaction.execute(sql, params![org, device]).await?;
        }
        transaction.commit().await
    }

    /// What has run out, and where nobody is told anything any more.
    pub(crate) async fn purge_notices(&self, now: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM notice_orders WHERE expires_at <= $1", params![now]).await?;
        let sql = "DELETE FROM push_subscriptions WHERE NOT EXISTS (SELECT 1 FROM notice_orders \
                   WHERE notice_orders.org = push_subscriptions.org AND notice_orders.device = push_subscriptions.device)";
        self.execute(sql, params![]).await.map(drop)
    }

    /// Unless the device is reached elsewhere by now.
    pub(crate) async fn unsubscribe_endpoint(
        &self,
        org: OrgId,
        device: DeviceId,
        endpoint: &str,
    ) -> sqlx::Result<()> {
        let sql = "DELETE FROM push_subscriptions WHERE org = $1 AND device = $2 AND endpoint = $3";
        self.execute(sql, params![org, device, endpoint]).await.map(drop)
    }

    pub(crate) async fn subscription(
        &self,
        org: OrgId,
        device: DeviceId,
    ) -> sqlx::Result<Option<SubscriptionRow>> {
        let sql = "SELECT person, endpoint, p256dh, auth, made_at FROM push_subscriptions \
                   WHERE org = $1 AND device = $2";
        let row = self.optional(sql, params![org, device]).await?;
        row.map(|row| {
            Ok(SubscriptionRow {
                person: row.parsed(0)?,
                endpoint: row.text(1)?,
                p256dh: row.text(2)?,
                auth: row.text(3)?,
                made_at: row.time(4)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn orders_of(&self, org: OrgId, device: DeviceId) -> sqlx::Result<Vec<OrderRow>> {
        let sql = "SELECT gateway, issued_at, expires_at FROM notice_orders \
                   WHERE org = $1 AND device = $2 ORDER BY gateway";
        let rows = self.all(sql, params![org, device]).await?;
        rows.iter()
            .map(|row| {
                Ok(OrderRow { gateway: row.parsed(0)?, issued_at: row.time(1)?, expires_at: row.time(2)? })
            })
            .collect()
    }

    /// Orders to one gateway, by device.
    pub(crate) async fn orders_to(
        &self,
        (org, gateway): (OrgId, GatewayId),
        after: Option<DeviceId>,
        now: Timestamp,
        limit: u64,
    ) -> sqlx::Result<Vec<(DeviceId, Envelope)>> {
        let sql = "SELECT device, envelope FROM notice_orders \
                   WHERE org = $1 AND gateway = $2 AND device > $3 AND expires_at > $4 ORDER BY device LIMIT $5";
        let after = after.map_or_else(String::new, |device| device.to_string());
        let rows = self.all(sql, params![org, gateway, after, now, limit]).await?;
        rows.iter().map(|row| Ok((row.parsed(0)?, row.json(1)?))).collect()
    }

    /// Whether this device wants to be told anything by this gateway.
    pub(crate) async fn has_order(
        &self,
        (org, gateway): (OrgId, GatewayId),
        device: DeviceId,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM notice_orders \
                   WHERE org = $1 AND gateway = $2 AND device = $3 AND expires_at > $4";
        Ok(self.optional(sql, params![org, gateway, device, now]).await?.is_some())
    }
}
