//! The roster as this device replays it: what is new must go on from what was
//! seen here before, and what gateways and devices sign must stand on it. A
//! cloud that shows less, another past, or another roster than it shows the
//! gateways is refused, each with its own words.

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{GatewayId, Hash, Timestamp};
use seal::roster::{Roster, RosterError, after_head};
use serde::Deserialize;

use crate::client::{Client, Session, now};
use crate::home::Home;
use crate::times;

/// How long a proposal may wait for signatures.
const AGREEMENT_MS: u64 = 72 * Timestamp::HOUR;

#[derive(Deserialize)]
pub(crate) struct Statements {
    pub(crate) statements: Vec<Envelope>,
}

impl Session {
    /// Takes what is new in the roster, if it goes on from what was seen here.
    pub(crate) async fn sync(&mut self) -> anyhow::Result<()> {
        // What the recovery sheet signed may have come into force since.
        self.roster.settle(now());
        loop {
            let head = self.roster.head();
            // From our own head on, to see that it is still there.
            let after = head.0.checked_sub(1).map_or_else(String::new, |before| format!("?after={before}"));
            let Statements { statements } = self.client.get(&format!("/api/v1/roster{after}")).await?;
            // A gateway that was cut off has not heard of all that we know.
            if statements.is_empty() && self.client.is_site() {
                return Ok(());
            }
            let new = after_head(head, &statements).map_err(refused)?;
            if new.is_empty() {
                return Ok(());
            }
            self.take(new)?;
        }
    }

    /// What comes before one that is refused stays.
    fn take(&mut self, statements: &[Envelope]) -> anyhow::Result<()> {
        let seen_at = now();
        let mut taken = 0;
        let outcome = statements.iter().try_for_each(|envelope| {
            self.roster.apply(envelope, seen_at)?;
            taken += 1;
            Ok(())
        });
        self.home.append_roster(&statements[..taken], seen_at)?;
        outcome.map_err(refused)
    }

    /// Refuses what was signed on top of a statement that this roster does not
    /// have. It may be newer than what we know, so the roster is fetched once
    /// more before anything is said.
    pub(crate) async fn check_head(&mut self, head: Hash, signer: impl ToString) -> anyhow::Result<()> {
        if self.roster.contains_hash(head) {
            return Ok(());
        }
        self.sync().await?;
        self.roster.check_head(head).with_context(|| {
            format!(
                "{} was shown another roster than you are: some statement was kept from you, or put before it. \
                 Nothing of it is opened. Compare this roster with another administrator's (`lenskeep device list` \
                 shows its head) and ask whoever runs the cloud",
                signer.to_string()
            )
        })
    }

    /// Says, once of each gateway, that it recorded long after a statement that
    /// it had not heard of.
    pub(crate) fn note_unheard(&mut self, gateway: GatewayId, head: Hash, at: Timestamp) {
        let Some(made) = unheard(&self.roster, head, at) else { return };
        if self.unheard.insert(gateway) {
            let name = self.roster.gateway(gateway).map_or("a gateway", |gateway| gateway.name.as_str());
            tracing::warn!(
                "{name} ({gateway}) had not heard at {} of a change of the roster from {}: it was cut off from the \
                 cloud, or the change was kept from it. If somebody was shut out meanwhile, they were still given keys of what \
                 it recorded",
                times::format(at),
                times::format(made)
            );
        }
    }
}

/// What a gateway had not heard of long after it was made. Where several must
/// agree, a statement keeps the date of its proposal until they have.
pub(crate) fn unheard(roster: &Roster, head: Hash, at: Timestamp) -> Option<Timestamp> {
    let agreeing = if roster.state().administrators.k > 1 { AGREEMENT_MS } else { 0 };
    roster.unheard(head, Timestamp(at.0.saturating_sub(agreeing)))
}

/// Whether somebody was shown another roster, and not that nobody could be asked.
pub(crate) fn is_split(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RosterError::Split { .. }))
}

/// The beginning of the roster for a device that came by a link, which named it.
pub(crate) async fn first_seen(client: &Client, home: &Home, anchor: Hash) -> anyhow::Result<Roster> {
    let Statements { statements } = client.get("/api/v1/roster").await?;
    let genesis = statements.first().context("the cloud sent no roster")?;
    let seen_at: Timestamp = now();
    let roster = Roster::from_genesis(genesis, seen_at)?;
    ensure!(
        roster.anchor() == anchor,
        "the cloud shows another organisation than the link named: do not trust whoever shows it"
    );
    home.append_roster(std::slice::from_ref(genesis), seen_at)?;
    Ok(roster)
}

/// In words, with what to do.
fn refused(error: RosterError) -> anyhow::Error {
    let remedy = match &error {
        RosterError::Behind { .. } => {
            "the cloud hides statements that this device has seen, or was restored from an old backup. This device \
             stays with what it has seen; whoever runs the cloud must bring the rest back"
        }
        RosterError::Forked => {
            "the cloud shows another past than this device has seen. Do not go on: compare with another \
             administrator's device, and ask whoever runs the cloud"
        }
        RosterError::DoesNotFollow { .. } => {
            "the cloud shows statements again, out of order, or leaves some out. Ask whoever runs the cloud"
        }
        RosterError::Envelope(_) | RosterError::Signatures { .. } => {
            "the cloud shows a statement that was not signed as it must be: somebody adds to your roster. It changes \
             nothing here; tell your administrators"
        }
        RosterError::Time => "check the clock of this machine; if it is right, tell your administrators",
        _ => {
            "the cloud shows a statement that the roster's rules forbid. It changes nothing here; tell your administrators"
        }
    };
    let code = error.code();
    anyhow::Error::new(error).context(format!("the roster is refused ({code}): {remedy}"))
}
