//! The way in of a gateway that nobody knows yet. It leaves its public keys
//! under a look-up value; whether they are genuine is between the gateway and
//! whoever made the code.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use model::Hash;
use model::wire::{EnrolAnswer, EnrolRequest, ROSTER_PAGE_MAX};
use seal::keys::{KemPublic, VerifyingKey};

use crate::app::App;
use crate::clock;
use crate::http::extract::{Json, Path};
use crate::http::roster::page;
use crate::http::types::{DAY_MS, check_name};
use crate::problem::Problem;

/// Gateways that wait at the same time; what strangers write is bounded.
const ENROLMENTS_MAX: u64 = 10_000;

pub(crate) async fn enrol(
    State(app): State<Arc<App>>,
    Json(body): Json<EnrolRequest>,
) -> Result<Json<serde_json::Value>, Problem> {
    let now = clock::now();
    let EnrolRequest { lookup, gateway, mac } = body;
    check_name(&gateway.name)?;
    if VerifyingKey::from_bytes(&gateway.sign.0).is_err() || KemPublic::from_bytes(&gateway.kem.0).is_err() {
        return Err(Problem::invalid("The gateway's keys are not an Ed25519 and an X-Wing public key."));
    }
    if app.database.count_enrolments(now).await? >= ENROLMENTS_MAX {
        return Err(Problem::too_many());
    }
    if !app.database.add_enrolment(lookup, &gateway, mac, now.plus_ms(DAY_MS)).await? {
        let first = app.database.enrolment(lookup, now).await?;
        if first.is_none_or(|first| first.gateway != gateway || first.mac != mac) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "enrolment_taken",
                "Another gateway came with this code first.",
                "Make a new code, and find out who had the old one.",
            ));
        }
    }
    Ok(Json(serde_json::json!({})))
}

pub(crate) async fn poll(
    State(app): State<Arc<App>>,
    Path(lookup): Path<Hash>,
) -> Result<Json<EnrolAnswer>, Problem> {
    let enrolment = app.database.enrolment(lookup, clock::now()).await?.ok_or_else(Problem::not_found)?;
    let (Some(org), Some(mac)) = (enrolment.org, enrolment.accept_mac) else {
        return Ok(Json(EnrolAnswer::Waiting));
    };
    let mut roster = page(&app, org, None).await?;
    while roster.len() % ROSTER_PAGE_MAX == 0 {
        let more = page(&app, org, Some(roster.len() as u64 - 1)).await?;
        if more.is_empty() {
            break;
        }
        roster.extend(more);
    }
    Ok(Json(EnrolAnswer::Accepted { roster, mac }))
}
