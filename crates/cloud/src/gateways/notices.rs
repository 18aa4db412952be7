//! What devices want to be told by a gateway, and what it tells them. Whether a
//! notice goes out is decided for each: by the roster, the person's roles and
//! the organisation's policies, as if the person asked for the event now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::Principal;
use cloud_core::policy::Operation;
use model::wire::{BODY_MAX, NOTICES_MAX, NoticeOrders, Notices, SealedNotice};
use model::{DeviceId, PersonId, Timestamp};
use seal::notice::NOTICE_BYTES;
use serde::Deserialize;

use crate::app::App;
use crate::clock;
use crate::http::extract::{Json, Query};
use crate::http::guard::GatewayCaller;
use crate::http::notices::reached;
use crate::mail;
use crate::permits::facts_about;
use crate::problem::Problem;
use crate::push::Message;
use crate::rate::{Key, Rate};

/// Notices of one gateway to one device: an event flood is no message flood, and a
/// gateway that was taken over silences no other.
const EACH: Rate = Rate { burst: 30, refill_ms: 10_000 };

/// Half of what a gateway reads of an answer.
const PAGE_BYTES_MAX: usize = BODY_MAX / 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AfterDevice {
    after: Option<DeviceId>,
}

pub(crate) async fn orders(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Query(AfterDevice { after }): Query<AfterDevice>,
) -> Result<Json<NoticeOrders>, Problem> {
    let to = (caller.org, caller.gateway);
    let rows = app.database.orders_to(to, after, clock::now(), NOTICES_MAX as u64).await?;
    let is_full = rows.len() >= NOTICES_MAX;
    let (mut orders, mut bytes, mut last) = (Vec::new(), 0, None);
    let all = rows.len();
    for (device, envelope) in rows {
        // In base64, and whatever stands around it.
        bytes += envelope.payload.0.len() * 3 / 2;
        if !orders.is_empty() && bytes > PAGE_BYTES_MAX {
            break;
        }
        orders.push(envelope);
        last = Some(device);
    }
    let more_after = last.filter(|_| is_full || orders.len() < all);
    Ok(Json(NoticeOrders { orders, more_after }))
}

pub(crate) async fn tell(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(Notices { notices }): Json<Notices>,
) -> Result<Json<serde_json::Value>, Problem> {
    if notices.len() > NOTICES_MAX {
        return Err(Problem::invalid(format!("There are at most {NOTICES_MAX} notices in a request.")));
    }
    let now = clock::now();
    // The same event is told to each of a person's devices.
    let mut told: BTreeMap<PersonId, BTreeMap<DeviceId, u64>> = BTreeMap::new();
    for notice in notices {
        // Why one does not go out is nothing to a gateway.
        // One that cannot be judged now is no reason to offer those before it again.
        let judged = outgoing(&app, &caller, &notice, now).await.unwrap_or_else(|problem| {
            tracing::warn!(device = %notice.device, "a notice is lost: {}", problem.body.error.message);
            app.metrics.push_messages_lost.add(1);
            None
        });
        let Some((person, message)) = judged else {
            tracing::debug!(device = %notice.device, camera = %notice.camera, "a notice is held back");
            continue;
        };
        *told.entry(person).or_default().entry(notice.device).or_default() += 1;
        if !app.push.send(message) {
            app.metrics.push_messages_lost.add(1);
        }
    }
    for (person, devices) in told {
        let count = devices.into_values().max().unwrap_or_default();
        mail::told(&app, (caller.org, person), count, now).await;
    }
    Ok(Json(serde_json::json!({})))
}

/// Of whom the device is, and the message. None: it may not go out, or there is
/// nobody to send it to.
async fn outgoing(
    app: &App,
    caller: &GatewayCaller,
    SealedNotice { device, camera, notice }: &SealedNotice,
    now: Timestamp,
) -> Result<Option<(PersonId, Message)>, Problem> {
    let (org, roster) = (caller.org, &caller.roster);
    let is_its_own = roster.camera(*camera).is_some_and(|camera| camera.gateway == caller.gateway);
    let Some(known) = roster.device_in_force(*device, now) else { return Ok(None) };
    if !is_its_own || notice.0.len() != NOTICE_BYTES {
        return Ok(None);
    }
    if !app.database.has_order((org, caller.gateway), *device, now).await? {
        return Ok(None);
    }
    let rules = app.rules.current(&app.database, roster).await?;
    let Some(policies) = &rules.policies else { return Ok(None) };
    let facts = facts_about((org, known.person), roster, &rules, [*camera], now);
    let principal = Principal::Person { person: known.person, device: Some(*device) };
    if !cloud_core::allows(principal, &facts, Operation::Playback, *camera, policies, now) {
        return Ok(None);
    }
    let Some(row) = app.database.subscription(org, *device).await? else { return Ok(None) };
    let key = Key::Account(format!("notices {} {device}", caller.gateway));
    // The browser's person may be another one by now.
    if row.person != known.person || !app.limiter.allow(key, EACH, now) {
        return Ok(None);
    }
    let body = serde_json::json!({ "gateway": caller.gateway, "notice": notice });
    let body = serde_json::to_vec(&body).map_err(anyhow::Error::from)?;
    let message = |subscription| Message { org, device: *device, subscription, body };
    Ok(reached(app, &row).map(message).map(|message| (known.person, message)))
}
