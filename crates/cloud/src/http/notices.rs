//! What a person's device wants to be told while nobody looks at it, and where
//! its browser is reached. What is wanted is sealed to the gateways: the server
//! knows that a device is told something by a gateway, and not what.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloud_core::Action;
use model::wire::Envelope;
use model::{DeviceId, GatewayId, Timestamp};
use seal::notice::NoticeOrder;
use seal::push::Recipient;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::types::EnvelopeSchema;
use crate::app::App;
use crate::clock;
use crate::database::SubscriptionRow;
use crate::permits::devices_in_force;
use crate::problem::Problem;
use crate::push::{Endpoint, Message, Subscription};
use crate::rate::{Key, Rate};
use crate::sessions::Caller;

/// Orders of one device, each to another gateway.
const ORDERS_MAX: usize = 64;
/// Messages that somebody has sent to themselves to see whether they arrive.
const TESTS: Rate = Rate { burst: 5, refill_ms: 30_000 };
/// Changes of what one device is told: each is the history's, and a gateway's.
const CHANGES: Rate = Rate { burst: 30, refill_ms: 10_000 };

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticeState {
    /// What a browser subscribes with (`applicationServerKey`, RFC 8292): a point
    /// of P-256 in base64url.
    server_key: String,
    /// Null: this device is told nothing.
    subscription: Option<SubscriptionState>,
    orders: Vec<OrderState>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionState {
    /// The push service.
    host: String,
    #[schema(value_type = u64)]
    made_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderState {
    #[schema(value_type = String)]
    gateway: GatewayId,
    #[schema(value_type = u64)]
    issued_at: Timestamp,
    /// The device renews it before.
    #[schema(value_type = u64)]
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNotices {
    subscription: NewSubscription,
    /// Format.md section 9; at most 64, each to another gateway.
    #[schema(value_type = Vec<EnvelopeSchema>)]
    orders: Vec<Envelope>,
}

/// As the browser gave it (`PushSubscription.toJSON()`).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscription {
    /// At a push service that this server's configuration names.
    endpoint: String,
    /// The browser's key, a point of P-256 in base64url.
    p256dh: String,
    /// 16 bytes in base64url.
    auth: String,
}

impl std::fmt::Debug for NewSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSubscription(…)")
    }
}

#[utoipa::path(get, path = "/api/v1/notices/{device}",
    params(("device" = String, Path, description = "of whoever asks")),
    responses((status = 200, body = NoticeState), (status = 404)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
) -> Result<Json<NoticeState>, Problem> {
    own_device(&app, &caller, device).await?;
    let row = app.database.subscription(caller.org, device).await?;
    let subscription = row.and_then(|row| {
        let endpoint = app.push.endpoint(&row.endpoint)?;
        Some(SubscriptionState { host: endpoint.host().to_owned(), made_at: row.made_at })
    });
    let rows = app.database.orders_of(caller.org, device).await?;
    let orders = rows.into_iter().map(|row| OrderState {
        gateway: row.gateway,
        issued_at: row.issued_at,
        expires_at: row.expires_at,
    });
    let server_key = app.push.public_key().to_owned();
    Ok(Json(NoticeState { server_key, subscription, orders: orders.collect() }))
}

#[utoipa::path(put, path = "/api/v1/notices/{device}",
    params(("device" = String, Path, description = "of whoever asks")), request_body = NewNotices,
    responses((status = 204), (status = 404),
              (status = 409, description = "`ordered_later`: another page of this browser was faster"), (status = 429),
              (status = 422, description = "the message names the field; `unknown_push_service`")))]
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
    Json(NewNotices { subscription, orders }): Json<NewNotices>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let (org, roster) = (caller.org, app.roster(caller.org, now).await?);
    let permit = app.decide(&caller, &roster, Action::OrderNotices { device }, now).await?;
    let endpoint = app.push.endpoint(&subscription.endpoint).ok_or_else(unknown_service)?;
    recipient(&subscription.p256dh, &subscription.auth)?;
    if orders.is_empty() || orders.len() > ORDERS_MAX {
        return Err(Problem::invalid(format!("orders has 1 to {ORDERS_MAX} entries.")));
    }
    let mut gateways = BTreeSet::new();
    let mut verified = Vec::new();
    for (number, envelope) in orders.into_iter().enumerate() {
        let order = NoticeOrder::verify(&envelope, &roster, now)
            .map_err(|error| Problem::invalid(format!("orders[{number}] is not accepted: {error}.")))?;
        let goes_there = order.device == device && roster.gateway(order.gateway).is_some();
        if !goes_there || !gateways.insert(order.gateway) {
            return Err(Problem::invalid(format!(
                "orders[{number}] is of another device, or not to a gateway of its own."
            )));
        }
        verified.push((order, envelope));
    }
    let row = SubscriptionRow {
        person: caller.person,
        endpoint: endpoint.as_str().to_owned(),
        p256dh: subscription.p256dh,
        auth: subscription.auth,
        made_at: now,
    };
    changes(&app, device, now)?;
    let audited = permit.record(&app.recorder).await?;
    let changed = app.database.order_notices((org, device), &row, &verified, &audited).await?;
    app.hub.notices_changed(&changed.ok_or_else(ordered_later)?);
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/notices/{device}",
    params(("device" = String, Path, description = "of whoever asks")),
    responses((status = 204), (status = 404), (status = 429)))]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let permit = app.decide(&caller, &roster, Action::EndNotices { device }, now).await?;
    changes(&app, device, now)?;
    let ended = app.database.end_notices(caller.org, device).await?;
    app.hub.notices_changed(&ended);
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(post, path = "/api/v1/notices/{device}/test",
    params(("device" = String, Path, description = "of whoever asks")),
    responses((status = 202), (status = 404), (status = 409, description = "`told_nothing`"), (status = 429)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    own_device(&app, &caller, device).await?;
    let key = Key::Account(format!("notice test {device}"));
    if !app.limiter.allow(key, TESTS, clock::now()) {
        return Err(Problem::too_many());
    }
    let row = app.database.subscription(caller.org, device).await?;
    let subscription = row.and_then(|row| reached(&app, &row)).ok_or_else(told_nothing)?;
    let body = br#"{"test":true}"#.to_vec();
    if !app.push.send(Message { org: caller.org, device, subscription, body }) {
        return Err(Problem::too_many());
    }
    Ok(StatusCode::ACCEPTED)
}

/// None if the configuration does not name the service any more.
pub(crate) fn reached(app: &App, row: &SubscriptionRow) -> Option<Subscription> {
    let endpoint: Endpoint = app.push.endpoint(&row.endpoint)?;
    let recipient = recipient(&row.p256dh, &row.auth).ok()?;
    Some(Subscription { endpoint, recipient })
}

fn recipient(p256dh: &str, auth: &str) -> Result<Recipient, Problem> {
    // Browsers write both without padding.
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    Recipient::new(&bytes(p256dh), &bytes(auth))
        .map_err(|error| Problem::invalid(format!("subscription: {error}.")))
}

async fn own_device(app: &App, caller: &Caller, device: DeviceId) -> Result<(), Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    if devices_in_force(&roster, caller.person, now).contains(&device) {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

fn changes(app: &App, device: DeviceId, now: Timestamp) -> Result<(), Problem> {
    let may = app.limiter.allow(Key::Account(format!("notice changes {device}")), CHANGES, now);
    if may { Ok(()) } else { Err(Problem::too_many()) }
}

fn ordered_later() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "ordered_later",
        "Another page of this browser chose something later.",
        "Load this page again, look at what is chosen, and save.",
    )
}

fn told_nothing() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "told_nothing",
        "This device is told nothing.",
        "Turn its notifications on first.",
    )
}

fn unknown_service() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown_push_service",
        "This server does not send to the push service of your browser.",
        "Ask whoever runs the server to add its host to push.services.",
    )
}
