//! Where devices are reached while nobody looks at them, and what they want to
//! be told.

use std::collections::BTreeSet;

use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::notice::NoticeOrder;

use super::{Database, Transaction, params};

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
    /// another device's or another organisation's, ends. Returns the gateways whose
    /// orders have changed; none if one was ordered later.
    pub(crate) async fn order_notices(
        &self,
        (org, device): (OrgId, DeviceId),
        row: &SubscriptionRow,
        orders: &[(NoticeOrder, Envelope)],
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<Option<BTreeSet<GatewayId>>> {
        let mut transaction = self.begin().await?;
        let SubscriptionRow { person, endpoint, p256dh, auth, made_at } = row;
        let mut changed: BTreeSet<GatewayId> = orders.iter().map(|(order, _)| order.gateway).collect();
        let sql = "SELECT gateway, issued_at FROM notice_orders WHERE org = $1 AND device = $2";
        for row in transaction.all(sql, params![org, device]).await? {
            let (gateway, issued_at): (GatewayId, Timestamp) = (row.parsed(0)?, row.time(1)?);
            let is_later = |(order, _): &(NoticeOrder, Envelope)| {
                order.gateway == gateway && order.issued_at <= issued_at
            };
            if orders.iter().any(is_later) {
                return Ok(None);
            }
            changed.insert(gateway);
        }
        let sql = "SELECT org, device FROM push_subscriptions WHERE endpoint = $1";
        for row in transaction.all(sql, params![endpoint.as_str()]).await? {
            let owner = (row.parsed(0)?, row.parsed(1)?);
            changed.extend(forget(&mut transaction, owner).await?);
        }
        forget(&mut transaction, (org, device)).await?;
        let sql = "INSERT INTO push_subscriptions (org, device, person, endpoint, p256dh, auth, made_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values =
            params![org, device, *person, endpoint.as_str(), p256dh.as_str(), auth.as_str(), *made_at];
        transaction.execute(sql, values).await?;
        for (order, envelope) in orders {
            let NoticeOrder { gateway, issued_at, expires_at, .. } = *order;
            let sql = "INSERT INTO notice_orders (org, gateway, device, person, issued_at, expires_at, envelope) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let envelope = serde_json::to_string(envelope).expect("an envelope serialises");
            let values = params![org, gateway, device, *person, issued_at, expires_at, envelope];
            transaction.execute(sql, values).await?;
        }
        transaction.commit().await?;
        Ok(Some(changed))
    }

    /// Returns the gateways whose orders have ended.
    pub(crate) async fn end_notices(
        &self,
        org: OrgId,
        device: DeviceId,
    ) -> sqlx::Result<BTreeSet<GatewayId>> {
        let mut transaction = self.begin().await?;
        let ended = forget(&mut transaction, (org, device)).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// What has run out, and where nobody is told anything any more.
    pub(crate) async fn purge_notices(&self, now: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM notice_orders WHERE expires_at <= $1", params![now]).await?;
        let sql = "DELETE FROM push_subscriptions WHERE NOT EXISTS (SELECT 1 FROM notice_orders \
                   WHERE notice_orders.org = push_subscriptions.org AND notice_orders.device = push_subscriptions.device)";
        self.execute(sql, params![]).await.map(drop)
    }

    /// The browser has left: with its address, its orders end, unless the device is
    /// reached elsewhere by now.
    pub(crate) async fn unsubscribe_endpoint(
        &self,
        org: OrgId,
        device: DeviceId,
        endpoint: &str,
    ) -> sqlx::Result<BTreeSet<GatewayId>> {
        let mut transaction = self.begin().await?;
        let sql = "SELECT 1 FROM push_subscriptions WHERE org = $1 AND device = $2 AND endpoint = $3";
        if transaction.optional(sql, params![org, device, endpoint]).await?.is_none() {
            return Ok(BTreeSet::new());
        }
        let ended = forget(&mut transaction, (org, device)).await?;
        transaction.commit().await?;
        Ok(ended)
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

/// Subscription and orders of a device; returns to which gateways those were.
async fn forget(
    transaction: &mut Transaction,
    (org, device): (OrgId, DeviceId),
) -> sqlx::Result<BTreeSet<GatewayId>> {
    let sql = "SELECT gateway FROM notice_orders WHERE org = $1 AND device = $2";
    let rows = transaction.all(sql, params![org, device]).await?;
    let gateways = rows.iter().map(|row| row.parsed(0)).collect::<sqlx::Result<_>>()?;
    for sql in [
        "DELETE FROM notice_orders WHERE org = $1 AND device = $2",
        "DELETE FROM push_subscriptions WHERE org = $1 AND device = $2",
    ] {
        transaction.execute(sql, params![org, device]).await?;
    }
    Ok(gateways)
}
