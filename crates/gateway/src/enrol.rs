//! Joining an organisation (protocol.md section 1). The secret of the
//! enrolment authenticates us to the administrator's device and the roster to
//! us; the cloud in between knows a look-up value only.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use model::Hash;
use model::wire::{EnrolAnswer, EnrolRequest, Envelope};
use reqwest::StatusCode;
use seal::enrolment::{Code, Secret};
use seal::roster::Roster;
use tracing::{info, warn};
use url::Url;

use crate::clock;
use crate::cloud::{Cloud, CloudError};
use crate::data::{DataFolder, Identity, Membership, RosterLog};

const POLL: Duration = Duration::from_secs(1);

/// What a gateway needs to join.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The cloud's gateway port, `https://host:8471`.
    pub url: Url,
    pub secret: Secret,
    /// Fingerprint of the cloud CA.
    pub ca: Hash,
    /// `None` where device and gateway share one box and one secret: there the
    /// first organisation is made with that secret, and its anchor taken then.
    pub anchor: Option<Hash>,
}

impl Enrolment {
    pub fn from_code(url: Url, code: Code) -> Self {
        Enrolment { url, secret: code.secret, ca: code.ca, anchor: Some(code.anchor) }
    }
}

/// Announces this gateway and waits until an administrator's device has taken
/// it in. May be dropped and begun again.
pub(crate) async fn enrol(
    folder: &DataFolder,
    identity: &Identity,
    enrolment: &Enrolment,
) -> anyhow::Result<Membership> {
    let cloud = Cloud::new(enrolment.url.clone(), enrolment.ca, None)?;
    let gateway = identity.public();
    let mac = enrolment.secret.gateway_mac(&gateway);
    let request = EnrolRequest { lookup: enrolment.secret.lookup(), gateway, mac };
    ensure!(
        enrolment.url.scheme() == "https",
        "{} is not the cloud's gateway port, which looks like https://cloud.example.org:8471",
        enrolment.url
    );
    let mut told = String::new();
    let mut waiting = |reason: String| {
        // Once for each reason: it is asked every second.
        if told != reason {
            warn!(reason, "waiting for the cloud");
            told = reason;
        }
    };
    let (statements, mac) = loop {
        match cloud.enrolment(request.lookup).await {
            Ok(EnrolAnswer::Accepted { roster, mac }) => break (roster, mac),
            Ok(EnrolAnswer::Waiting) => {}
            // The cloud has not heard of us yet, or has forgotten.
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
                match cloud.enrol(&request).await {
                    Err(CloudError::Unreachable(reason)) => waiting(reason),
                    announced => {
                        announced?;
                        info!(gateway = %identity.id, "announced; waiting for an administrator's device to let it in");
                    }
                }
            }
            Err(CloudError::Unreachable(reason)) => waiting(reason),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    };
    let anchor = check(&statements, mac, identity, enrolment)?;
    RosterLog::create(folder, &statements, clock::now())?;
    let membership = Membership { url: enrolment.url.clone(), ca: enrolment.ca, anchor };
    folder.write_membership(&membership)?;
    info!(gateway = %identity.id, %anchor, "this gateway is enrolled");
    Ok(membership)
}

/// The roster is genuine if the MAC covers its genesis and a statement in it
/// that adds our own keys.
fn check(
    statements: &[Envelope],
    mac: Hash,
    identity: &Identity,
    enrolment: &Enrolment,
) -> anyhow::Result<Hash> {
    let now = clock::now();
    let roster = Roster::replay(statements.iter().map(|envelope| (envelope, now)))
        .context("the roster that came with the enrolment does not follow the rules")?;
    let anchor = roster.anchor();
    if let Some(pinned) = enrolment.anchor {
        ensure!(anchor == pinned, "the cloud sent the roster of another organisation than the code's");
    }
    ensure!(
        roster.gateway(identity.id) == Some(&identity.public()),
        "the roster that came with the enrolment does not hold this gateway's keys"
    );
    let accepted = statements.iter().any(|statement| {
        seal::roster::statement_hash(statement)
            .is_ok_and(|hash| enrolment.secret.accept_mac_fits(anchor, hash, mac))
    });
    if !accepted {
        bail!("the acceptance was not made with this enrolment's secret: somebody is in between");
    }
    Ok(anchor)
}
