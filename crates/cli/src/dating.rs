//! Between which times a recording was made, as the history shows it, in plain
//! words: what is proven, by whose word, and what is not.

use model::{GatewayId, OrgId, Timestamp};
use seal::dating::{self, Bound, Dated, Dating, Times};
use seal::keys::VerifyingKey;
use seal::recording::{Header, Recording};
use seal::roster::Roster;
use seal::tlog::{Checkpoint, Cosignature, LogKey};

use crate::audit;
use crate::client::{Session, now};
use crate::home::Home;
use crate::text::printable;
use crate::times;

/// How far clocks may differ before it is said.
const APART_MAX_MS: u64 = 10 * Timestamp::MINUTE;

/// Whose signatures count beside the gateway's.
#[derive(Default)]
pub(crate) struct Known {
    /// Of the organisation's history.
    pub(crate) log: Option<LogKey>,
    pub(crate) witnesses: Vec<LogKey>,
}

impl Known {
    /// What this device has seen itself, and whom the roster names.
    pub(crate) fn of(home: &Home, roster: &Roster) -> anyhow::Result<Self> {
        let state = roster.state();
        let key = |name: String, key: &[u8]| Some(LogKey { name, key: VerifyingKey::from_bytes(key).ok()? });
        let gateways = state.gateways.values().map(|gateway| key(gateway.id.to_string(), &gateway.sign.0));
        let outside = state.witnesses.values().map(|witness| key(witness.name.clone(), &witness.key.0));
        let witnesses = gateways.chain(outside).flatten().collect();
        Ok(Known { log: audit::known_log(home, roster.org())?, witnesses })
    }
}

/// What the cloud has to say of a recording's time. What does not hold is told,
/// and left out: the pictures are proven without it.
pub(crate) async fn fetch(session: &Session, known: &Known, recording: &Recording<'_>) -> Option<Dating> {
    let footer = recording.footer.as_ref().filter(|_| !session.client.is_site())?;
    let (id, header) = (recording.header.id, &recording.header.header);
    let held = header.checkpoint.as_deref().and_then(Checkpoint::claimed_size);
    let query = held.map(|size| format!("?checkpoint={size}")).unwrap_or_default();
    let path = format!("/api/v1/recordings/{id}/dating{query}");
    let told = |error: &dyn std::fmt::Display| {
        let began = times::format(header.started_at);
        tracing::warn!("the proof does not say when the recording of {began} was made: {error}");
    };
    let dating: Dating = match session.client.get(&path).await {
        Ok(dating) => dating,
        Err(error) => {
            told(&format!("{error:#}"));
            return None;
        }
    };
    let of = dated(header, id, footer.root);
    let log = known.log.clone().map_or_else(|| LogKey::parse(&dating.log), Ok);
    let verified = log
        .map_err(|error| error.to_string())
        .and_then(|log| dating.verify(of, &log, &known.witnesses).map_err(|error| error.to_string()));
    match verified {
        Ok(_) => Some(dating),
        Err(error) => {
            told(&format!("what the cloud shows of the history is false: {}", printable(&error)));
            None
        }
    }
}

pub(crate) fn dated(header: &Header, id: model::Hash, root: model::Hash) -> Dated<'_> {
    Dated { org: header.org, id, root, checkpoint: header.checkpoint.as_deref() }
}

/// What is proven of the time of what this header begins. An error means that
/// the dating is false.
pub(crate) fn words(
    header: &Header,
    of: Dated<'_>,
    dating: Option<&Dating>,
    known: &Known,
) -> anyhow::Result<Vec<String>> {
    let offered = dating.map(|dating| LogKey::parse(&dating.log)).transpose()?;
    let Some(log) = known.log.as_ref().or(offered.as_ref()) else {
        return Ok(vec![match of.checkpoint {
            Some(_) => {
                "not proven: when it was made at the earliest. Its header holds a checkpoint of the history; \
                        give --log-key to have it judged"
                    .to_owned()
            }
            None => NO_CHECKPOINT.to_owned(),
        }]);
    };
    let mut said = Vec::new();
    let times = match dating {
        Some(dating) => dating.verify(of, log, &known.witnesses)?,
        None => match of.checkpoint.map(|note| dating::not_before(note, log, &known.witnesses)).transpose() {
            Ok(found) => Times { not_before: found.map(|(_, bound)| bound), existed: None },
            Err(error) => {
                return Ok(vec![format!(
                    "not proven: when it was made at the earliest. The checkpoint in its header is not of the history \
                     that is known: {}",
                    printable(&error.to_string())
                )]);
            }
        },
    };
    if known.log.is_none() {
        said.push(format!(
            "what follows is proven only if {} is the key of the organisation's history: have it told to you by \
             another way, and give --log-key",
            printable(&log.verifier_key())
        ));
    }
    let own = header.gateway;
    match &times.not_before {
        Some(bound) => earliest(bound, own, header.started_at, &mut said),
        None => said.push(NO_CHECKPOINT.to_owned()),
    }
    match &times.existed {
        Some(bound) => latest(bound, own, header.started_at, &mut said),
        None => said.push(NO_ENTRY.to_owned()),
    }
    Ok(said)
}

/// What a header alone shows.
pub(crate) fn began(header: &Header, known: &Known) -> anyhow::Result<Vec<String>> {
    let nothing = model::Hash::default();
    let mut said = words(header, dated(header, nothing, nothing), None, known)?;
    // That needs more than the file.
    said.retain(|words| words != NO_ENTRY);
    Ok(said)
}

const NO_ENTRY: &str =
    "not proven: that it existed at any time before now. No entry of the history with its root came with it";
const NO_CHECKPOINT: &str =
    "not proven: when it was made at the earliest. Its header holds no checkpoint of the history";

fn earliest(bound: &Bound, own: GatewayId, started_at: Timestamp, said: &mut Vec<String>) {
    let signed = bound.witnesses.iter().filter(|signed| counts(signed));
    for Cosignature { witness, at } in signed.clone() {
        said.push(format!(
            "not made before {}, by the word of {}: its header holds a checkpoint that was signed then",
            times::format(*at),
            who(witness, own)
        ));
    }
    match bound.said_by_log {
        Some(at) => said.push(format!(
            "not made before {}, by the word of whoever runs the cloud: its header holds a checkpoint with an entry of \
             that time",
            times::format(at)
        )),
        None if said.is_empty() => said.push(format!(
            "made after the history had {} entries; when that was, no signature says",
            bound.size
        )),
        None => {}
    }
    let at_least = signed.map(|signed| signed.at).chain(bound.said_by_log).max();
    if let Some(at) = at_least.filter(|at| at.ms_since(started_at) > APART_MAX_MS) {
        said.push(format!(
            "but by its gateway's clock it began at {}, before {}: that clock was wrong, or somebody lies",
            times::format(started_at),
            times::format(at)
        ));
    }
}

fn latest(bound: &Bound, own: GatewayId, started_at: Timestamp, said: &mut Vec<String>) {
    let signed: Vec<_> = bound.witnesses.iter().filter(|signed| counts(signed)).collect();
    for Cosignature { witness, at } in &signed {
        said.push(format!(
            "existed at {}, by the word of {}: it signed the history with the recording's root then",
            times::format(*at),
            who(witness, own)
        ));
    }
    if let Some(at) = bound.said_by_log {
        said.push(format!(
            "existed at {}, by the word of whoever runs the cloud: an entry of the history of that time stands for it",
            times::format(at)
        ));
    }
    if signed.is_empty() {
        said.push("no witness that is known here has signed that history".to_owned());
    }
    let at_most = signed.iter().map(|signed| signed.at).chain(bound.said_by_log).min();
    if let Some(at) = at_most.filter(|at| started_at.ms_since(*at) > APART_MAX_MS) {
        said.push(format!(
            "but by its gateway's clock it began at {}, after {}: that clock was wrong, or somebody lies",
            times::format(started_at),
            times::format(at)
        ));
    }
}

/// What is dated in the future says nothing.
fn counts(signed: &Cosignature) -> bool {
    signed.at <= now().plus_ms(APART_MAX_MS)
}

fn who(witness: &str, own: GatewayId) -> String {
    if witness == own.to_string() {
        "the gateway itself".to_owned()
    } else {
        format!("the witness {}", printable(witness))
    }
}

/// What whoever verifies a proof has to be told by another way.
pub(crate) fn keys_in_words(known: &Known, dating: Option<&Dating>, org: OrgId) -> Vec<String> {
    let log = known.log.as_ref().map(LogKey::verifier_key).or(dating.map(|dating| dating.log.clone()));
    let outside = known.witnesses.iter().filter(|witness| witness.name.parse::<GatewayId>().is_err());
    let log = log.map(|key| format!("the history of {org}: --log-key {}", printable(&key)));
    let outside = outside.map(|witness| {
        format!(
            "the witness {}: --witness-key {}",
            printable(&witness.name),
            printable(&witness.cosigner_key())
        )
    });
    log.into_iter().chain(outside).collect()
}
