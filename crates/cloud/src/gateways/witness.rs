//! The history's log for gateways that witness it. What they sign is kept for
//! people to check; what they object to stands in the history and on its page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::History as _;
use model::OrgId;
use model::wire::{LogOffer, WitnessReport};
use seal::keys::VerifyingKey;
use seal::tlog::{self, Checkpoint, LogKey};
use serde::Deserialize;

use crate::app::App;
use crate::database::LogRow;
use crate::http::extract::{Json, Query};
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;
use crate::witnesses::conflict_entry;
use crate::{batches, clock};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// The size that the gateway has signed; 0 if none.
    old: u64,
}

pub(crate) async fn checkpoint(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Query(seen): Query<Seen>,
) -> Result<Json<LogOffer>, Problem> {
    let org = caller.org;
    let key = app.log.public(org).verifier_key();
    let Some(row) = app.database.log(org).await?.filter(|row| row.size > 0) else {
        return Ok(Json(LogOffer { key, note: String::new(), proof: Vec::new() }));
    };
    let (size, note) = offered(&app, org, row, seen.old).await?;
    let proof = match tlog::consistency(seen.old, size) {
        Some(parts) => app.log.proof(org, size, parts).await?,
        None => Vec::new(),
    };
    Ok(Json(LogOffer { key, note, proof }))
}

/// What gateways sign, they also put into the headers of recordings. There the
/// time of a witness outside says more than ours: what such a one has signed is
/// shown first, as long as the gateway goes on with it.
async fn offered(app: &App, org: OrgId, row: LogRow, old: u64) -> Result<(u64, String), Problem> {
    let signed = app.database.outside_witnesses(org).await?;
    let goes_on = signed.iter().filter(|signed| (old + 1..=row.size).contains(&signed.size));
    let (size, note) = match goes_on.max_by_key(|signed| signed.size) {
        Some(signed) => (signed.size, signed.note.clone()),
        None => (row.size, row.note),
    };
    let same = signed.iter().filter(|signed| signed.size == size);
    Ok((size, same.fold(note, |note, signed| tlog::join(&note, &signed.note))))
}

pub(crate) async fn report(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(report): Json<WitnessReport>,
) -> Result<Json<serde_json::Value>, Problem> {
    let (org, gateway, now) = (caller.org, caller.gateway, clock::now());
    match report {
        WitnessReport::Cosigned { note } => {
            let checkpoint = Checkpoint::verify(&note, &app.log.public(org))
                .map_err(|error| Problem::invalid(format!("The checkpoint is not accepted: {error}.")))?;
            let keys = caller.roster.gateway(gateway).ok_or_else(Problem::certificate)?;
            let key = VerifyingKey::from_bytes(&keys.sign.0).map_err(|_| Problem::certificate())?;
            let witness = LogKey { name: gateway.to_string(), key };
            let signed = Checkpoint::witnessed(&note, &[witness]).ok().and_then(|mut signed| signed.pop());
            let signed =
                signed.ok_or_else(|| Problem::invalid("The gateway did not sign this checkpoint."))?;
            let at = signed.at.min(now);
            let signed = (checkpoint.size, note.as_str());
            app.database.set_witnessed(org, gateway, signed, at).await?;
            batches::signed_by_gateway(&app, org, &gateway.to_string(), signed, now).await?;
        }
        WitnessReport::Conflict { conflict } => {
            if app.database.set_log_conflict(org, gateway, conflict).await? {
                tracing::error!(%org, %gateway, conflict = conflict.as_str(), "a witness has seen another history");
                let entry = conflict_entry(org, &gateway.to_string(), conflict, now);
                app.database.append(&[entry]).await?;
            }
        }
    }
    Ok(Json(serde_json::json!({})))
}
