//! What was done on a gateway's local way while nobody here could know of it:
//! told afterwards, signed by the gateway, and written into the history once.
//!
//! Decides nothing: it has happened. A journal with a hole is taken, and the
//! hole stands in the history.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::Entry;
use model::wire::{Envelope, JournalPart};
use model::{DeviceId, Hash, Timestamp};
use seal::action::SignedAction;
use seal::envelope::{self, PayloadType};
use seal::keys::VerifyingKey;
use seal::local::{JournalEntry, JournalEvent, LocalJournal};
use seal::roster::Roster;

use crate::app::App;
use crate::clock;
use crate::database::News;
use crate::http::extract::Json;
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;
use crate::requests;

/// The largest number that JSON's readers agree on.
const COUNT_MAX: u64 = (1 << 53) - 1;

pub(crate) async fn tell(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(JournalPart { envelope }): Json<JournalPart>,
) -> Result<Json<serde_json::Value>, Problem> {
    let now = clock::now();
    let keys = caller.roster.gateway(caller.gateway).ok_or_else(Problem::certificate)?;
    let key = VerifyingKey::from_bytes(&keys.sign.0).map_err(|_| Problem::certificate())?;
    let part = LocalJournal::verify(&envelope, caller.gateway, key)
        .map_err(|error| Problem::invalid(format!("The journal is not accepted: {error}.")))?;
    if part.org != caller.org {
        return Err(Problem::invalid("The journal is of another organisation."));
    }
    // A number that leaves no room for the next one would end the journal.
    if part.entries.iter().any(|entry| entry.seq >= COUNT_MAX) {
        return Err(Problem::invalid("The journal counts further than anything was ever done."));
    }
    let proof = seal::sha256(&envelope.payload.0);
    let orders = part.entries.iter().filter_map(|entry| order(&entry.event));
    let mut signatures: Vec<(Hash, Envelope)> = orders.collect();
    signatures.push((proof, envelope));
    let write = |news: News<'_>| {
        let notes = notes(&part, &news, now);
        let told = news.entries.iter().map(|entry| told(&part, entry, proof, &caller.roster, now));
        notes.into_iter().chain(told).collect()
    };
    app.database.merge_journal(&part, &signatures, now, write).await?;
    Ok(Json(serde_json::json!({})))
}

/// The action that ordered an export, by its hash.
fn order(event: &JournalEvent) -> Option<(Hash, Envelope)> {
    let JournalEvent::Export { action, .. } = event else { return None };
    let payload = envelope::payload(PayloadType::Action, action).ok()?;
    // Kept only if it is one: the gateway has verified it, and says so with its name.
    seal::from_canonical::<SignedAction>(payload).ok()?;
    Some((seal::sha256(payload), action.clone()))
}

fn entry(part: &LocalJournal, at: Timestamp, action: &str, resource: String) -> Entry {
    Entry {
        org: part.org,
        at,
        actor: part.gateway.to_string(),
        device: None,
        action: action.to_owned(),
        resource,
        signature: None,
        policy: None,
        posture: None,
        request: requests::current(),
        refused: None,
    }
}

/// What the journal itself does not say.
fn notes(part: &LocalJournal, news: &News<'_>, now: Timestamp) -> Vec<Entry> {
    let journal = part.journal;
    let mut notes = Vec::new();
    if news.begins {
        notes.push(entry(part, now, "local_journal_begins", journal.to_string()));
    }
    if news.gap {
        let first = news.entries.first().map_or(0, |entry| entry.seq);
        notes.push(entry(part, now, "local_journal_gap", format!("{journal} before {first}")));
        tracing::warn!(gateway = %part.gateway, first, "a gateway's journal does not go on where it was");
    }
    notes
}

fn told(part: &LocalJournal, of: &JournalEntry, proof: Hash, roster: &Roster, now: Timestamp) -> Entry {
    // The gateway's clock may be ahead; the history's own is not.
    let at = of.at.min(now);
    let place = format!("{} {}", part.gateway, of.seq);
    let by = |device: DeviceId, person: String, action: &str, resource: String| Entry {
        actor: person,
        device: Some(device),
        signature: Some(proof),
        ..entry(part, at, action, resource)
    };
    match &of.event {
        JournalEvent::Login { device, person } => by(*device, person.to_string(), "local_login", place),
        JournalEvent::Live { device, person, camera, rendition } => {
            by(*device, person.to_string(), "local_live", format!("{camera} {rendition} {place}"))
        }
        JournalEvent::Playback { device, person, camera, recording } => {
            by(*device, person.to_string(), "local_playback", format!("{camera} {recording} {place}"))
        }
        JournalEvent::Export { device, person, camera, .. } => {
            let signature = order(&of.event).map(|(hash, _)| hash).or(Some(proof));
            Entry {
                signature,
                ..by(*device, person.to_string(), "local_export", format!("{camera} {place}"))
            }
        }
        JournalEvent::Refused { device, reason, count } => {
            let known = device.and_then(|device| roster.device(device));
            let actor = known.map_or_else(|| "anonymous".to_owned(), |device| device.person.to_string());
            Entry {
                actor,
                device: *device,
                signature: Some(proof),
                refused: Some((*count).min(COUNT_MAX)),
                ..entry(part, at, "local_refused", format!("{} {place}", reason.as_str()))
            }
        }
    }
}
