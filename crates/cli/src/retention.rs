//! How much a gateway keeps, and for how long.

use std::collections::BTreeSet;

use anyhow::Context as _;
use model::{EventKind, GatewayId, Quiet};
use seal::command::Command;

use crate::camera::choose_gateway;
use crate::client::Session;
use crate::orders;

pub(crate) async fn keep(
    session: &Session,
    gateway: Option<GatewayId>,
    gigabytes: u64,
    days: u32,
    quiet: Option<Quiet>,
) -> anyhow::Result<()> {
    let gateway = choose_gateway(session, gateway)?;
    let bytes_max = gigabytes.checked_mul(1_000_000_000).context("that is more than any disk has")?;
    if let Some(quiet) = &quiet {
        anyhow::ensure!(
            (1..=days).contains(&quiet.days_max),
            "--quiet-days is one day at least, and no more than --days"
        );
    }
    let said = quiet.as_ref().map(in_words).unwrap_or_default();
    let command = Command::SetRetention { bytes_max, age_days_max: days, quiet };
    let ordered =
        orders::order(session, &gateway, |other| *other == command, |_, _| Ok(command.clone())).await?;
    if ordered.said() {
        println!("{} keeps at most {gigabytes} GB and {days} days{said}.", gateway.name);
    }
    Ok(())
}

/// As it is given: names of kinds, or `none` alone.
pub(crate) fn quiet(days: Option<u32>, kinds: &[String]) -> anyhow::Result<Option<Quiet>> {
    let Some(days_max) = days else { return Ok(None) };
    let kinds = match kinds {
        [none] if none == "none" => BTreeSet::new(),
        kinds => kinds.iter().map(|name| kind(name)).collect::<anyhow::Result<_>>()?,
    };
    Ok(Some(Quiet { days_max, kinds }))
}

fn kind(name: &str) -> anyhow::Result<EventKind> {
    let known = EventKind::SEEN.into_iter().find(|kind| word(*kind) == name);
    known.with_context(|| {
        let all: Vec<String> = EventKind::SEEN.into_iter().map(word).collect();
        format!("there is no kind of events {name:?}; there are {}", all.join(", "))
    })
}

fn word(kind: EventKind) -> String {
    let word = serde_json::to_value(kind).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}

pub(crate) fn in_words(quiet: &Quiet) -> String {
    let kinds: Vec<String> = quiet.kinds.iter().map(|kind| word(*kind)).collect();
    let but = match kinds.join(", ") {
        none if none.is_empty() => String::new(),
        kinds => format!(" but {kinds}"),
    };
    format!(", and footage without any event{but} {} days", quiet.days_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_given_by_name() {
        let given = |kinds: &[&str]| {
            let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            quiet(Some(2), &kinds)
        };
        assert_eq!(quiet(None, &["motion".to_owned()]).unwrap(), None);
        assert_eq!(given(&["motion"]).unwrap(), Some(Quiet::days(2)));
        assert_eq!(given(&["none"]).unwrap().unwrap().kinds, BTreeSet::new());
        assert!(given(&["movement"]).unwrap_err().to_string().contains("doorbell"));
        assert!(given(&["none", "motion"]).is_err());
        let words = in_words(&given(&["sound", "motion"]).unwrap().unwrap());
        assert_eq!(words, ", and footage without any event but motion, sound 2 days");
    }
}
