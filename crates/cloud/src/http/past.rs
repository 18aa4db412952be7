//! Opening the past to a device: an administrator's device, which was granted
//! the keys of epochs that are over, hands them on to one that was not
//! (format.md section 4). Signed once, then carried out in pages. The cloud
//! carries sealed keys, and holds them to what the roster lets the device open.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::wire::Envelope;
use model::{CameraId, DeviceId, EpochId, Timestamp};
use seal::action;
use seal::grant::{EpochGrant, PastGrant};
use seal::keys::VerifyingKey;
use seal::roster::Roster;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{accept, verified};
use super::extract::{Json, Path, Query};
use super::types::{EnvelopeBody, EnvelopeSchema};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::sessions::Caller;

/// Epochs in one page, and grants in one request.
const PAGE: u64 = 24;
/// From the signature until all is handed on: it may be interrupted.
const OPENING_MS: u64 = Timestamp::DAY;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastQuery {
    /// The device of the person who asks, which signed.
    by: DeviceId,
    after: Option<EpochId>,
    /// Whether the person opens what was granted to the recovery sheet, and not
    /// what was to that device.
    #[serde(default)]
    sheet: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PastEpochs {
    /// In order of their ids; fewer than 24 are the last.
    epochs: Vec<PastEpoch>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PastEpoch {
    #[schema(value_type = String)]
    epoch: EpochId,
    /// The grant of the device that signed, or of the recovery sheet.
    #[schema(value_type = EnvelopeSchema)]
    grant: Envelope,
    /// Cameras of which the other device was granted the keys itself.
    #[schema(value_type = Vec<String>)]
    has: BTreeSet<CameraId>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastGrants {
    #[schema(value_type = Vec<EnvelopeSchema>)]
    grants: Vec<Envelope>,
}

#[utoipa::path(post, path = "/api/v1/past-openings", request_body = EnvelopeBody,
    responses((status = 204), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`state_moved` or `replayed`")))]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let verified = verified(&body.envelope, &roster, &caller, now)?;
    let action::Action::OpenPast { device, from } = verified.signed.action else {
        return Err(Problem::invalid("The signed action opens nothing of the past."));
    };
    if roster.device_in_force(device, now).is_none() {
        return Err(Problem::invalid("The roster has no such device in force."));
    }
    let action = Action::OpenPast { device, from, signature: verified.hash };
    let permit = app.decide(&caller, &roster, action, now).await?;
    let administrator = verified.devices.iter().find(|device| roster.is_administrator(**device, now));
    let Some(&by) = administrator else { return Err(cloud_core::Denial::Unsigned.into()) };
    accept(&app, &caller, &roster, (&body.envelope, verified.hash, verified.devices), now).await?;
    let audited = permit.record(&app.recorder).await?;
    let times = (now, now.plus_ms(OPENING_MS));
    app.database.add_past_opening(caller.org, (device, by), from, times, &audited).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/api/v1/past-openings/{device}/epochs",
    params(("device" = String, Path), ("by" = String, Query), ("after" = Option<String>, Query),
        ("sheet" = Option<bool>, Query, description = "what was granted to the recovery sheet, in place of `by`")),
    responses((status = 200, body = PastEpochs), (status = 404, description = "nothing was opened to this device")))]
pub(crate) async fn epochs(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
    Query(query): Query<PastQuery>,
) -> Result<Json<PastEpochs>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let (_, from) = opened(&app, &caller, &roster, (device, query.by), now).await?;
    let holder = if query.sheet { roster.state().recovery.id } else { query.by };
    let of = (holder, device);
    let rows = app.database.past_epochs(caller.org, of, from, query.after, PAGE).await?;
    let epoch = |row: crate::database::PastEpoch| PastEpoch {
        epoch: row.epoch,
        grant: row.own,
        has: row.other.as_ref().map_or_else(BTreeSet::new, cameras),
    };
    Ok(Json(PastEpochs { epochs: rows.into_iter().map(epoch).collect() }))
}

#[utoipa::path(post, path = "/api/v1/past-openings/{device}/grants", params(("device" = String, Path)),
    request_body = PastGrants, responses((status = 204)))]
pub(crate) async fn hand_on(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
    Json(body): Json<PastGrants>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    if body.grants.is_empty() || body.grants.len() as u64 > PAGE {
        return Err(Problem::invalid(format!("A request has 1 to {PAGE} grants.")));
    }
    let roster = app.roster(caller.org, now).await?;
    let mut grants = Vec::with_capacity(body.grants.len());
    for envelope in &body.grants {
        let by = PastGrant::claimed(envelope).map_err(not_valid)?.by;
        let (key, from) = opened(&app, &caller, &roster, (device, by), now).await?;
        let grant = PastGrant::verify(envelope, by, key).map_err(not_valid)?;
        if grant.org != caller.org || grant.device != device {
            return Err(Problem::invalid("A grant is for another device."));
        }
        // Readers would take it for a sign that they are shown another roster.
        if !roster.contains_hash(grant.roster_head) {
            return Err(Problem::invalid("A grant names a state of the roster that there is not."));
        }
        let may_open = |camera| roster.right_of_device(device, camera, now).is_some();
        if !grant.cameras.iter().all(|commitments| may_open(commitments.camera)) {
            return Err(Problem::invalid("A grant holds the key of a camera that the device may not open."));
        }
        if !app.database.epoch_began(caller.org, (grant.gateway, grant.epoch), from).await? {
            return Err(Problem::invalid("A grant is of an epoch that was not opened."));
        }
        // False keys in front of true ones would keep the past closed.
        let mut granted = Vec::new();
        for holder in [by, roster.state().recovery.id] {
            let own = app.database.epoch_grant(caller.org, grant.epoch, holder).await?;
            granted.extend(
                own.and_then(|own| EpochGrant::claimed(&own).ok()).into_iter().flat_map(|own| own.cameras),
            );
        }
        if !grant.cameras.iter().all(|commitments| granted.contains(commitments)) {
            return Err(Problem::invalid(
                "A grant holds other keys than its author, or the sheet, was granted.",
            ));
        }
        grants.push((grant, envelope));
    }
    let action = Action::HandOn { device, epochs: grants.len() };
    let audited = app.permit(&caller, &roster, action, now).await?;
    for (PastGrant { epoch, by, .. }, envelope) in grants {
        app.database.add_past_grant(caller.org, epoch, (device, by), envelope, &audited).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/api/v1/epochs/{epoch}/past-grants/{device}",
    params(("epoch" = String, Path), ("device" = String, Path)),
    responses((status = 200, body = PastGrants)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((epoch, device)): Path<(EpochId, DeviceId)>,
) -> Result<Json<PastGrants>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    app.read_permit(&caller, &roster, Action::ReadGrants { epoch, device }, now).await?;
    Ok(Json(PastGrants { grants: app.database.past_grants(caller.org, epoch, device).await? }))
}

/// Key of the device that hands on, and since when it may; it must be the
/// caller's and an administrator's still.
async fn opened(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    (device, by): (DeviceId, DeviceId),
    now: Timestamp,
) -> Result<(VerifyingKey, Timestamp), Problem> {
    let author = roster.device(by).filter(|author| author.person == caller.person);
    let author = author.filter(|author| roster.is_administrator(author.id, now));
    let author = author.ok_or_else(Problem::not_found)?;
    let from = app.database.past_opening(caller.org, (device, by), now).await?;
    let from =
        from.filter(|_| roster.device_in_force(device, now).is_some()).ok_or_else(Problem::not_found)?;
    let key = VerifyingKey::from_bytes(&author.sign.0).map_err(|_| Problem::not_found())?;
    Ok((key, from))
}

fn cameras(grant: &Envelope) -> BTreeSet<CameraId> {
    let grant = EpochGrant::claimed(grant);
    grant.map_or_else(|_| BTreeSet::new(), |grant| grant.cameras.iter().map(|entry| entry.camera).collect())
}

fn not_valid(error: seal::grant::GrantError) -> Problem {
    Problem::invalid(format!("A grant is not valid: {error}."))
}
