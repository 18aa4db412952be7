//! `lenskeep-gateway webhooks`: how webhooks fare, and telling one again what it
//! was told, while the gateway runs or not.

use std::fmt;

use anyhow::{Context as _, ensure};
use gateway_core::webhooks::{Filter, rfc3339};
use model::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Store;
use super::store::{Since, Standing};
use crate::clock;
use crate::config::Config;

/// Each webhook of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookList(pub Vec<WebhookState>);

/// How one fares.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookState {
    pub name: String,
    /// Cursor of the last event that it took, and when.
    pub taken: Option<i64>,
    pub taken_at: Option<String>,
    pub waiting: u64,
    pub dropped: u64,
    pub failing_since: Option<String>,
    pub error: Option<String>,
}

/// How the webhooks of the configuration fare.
pub async fn list(config: &Config) -> anyhow::Result<WebhookList> {
    let store = Store::open_existing(&config.data).await?;
    let mut states = Vec::new();
    for section in &config.webhooks {
        let known = match &store {
            Some(store) => store.standings().await?.into_iter().find(|one| one.health.name == section.name),
            None => None,
        };
        let waiting = match (&store, &known) {
            (Some(store), Some(standing)) => store.waiting(standing.taken, &section.filter()).await?,
            _ => 0,
        };
        let is_known = known.is_some();
        let Standing { health, taken, taken_at, error, .. } = known.unwrap_or_default();
        states.push(WebhookState {
            name: section.name.clone(),
            taken: is_known.then_some(taken),
            taken_at: taken_at.map(rfc3339),
            waiting,
            dropped: health.dropped,
            failing_since: health.failing_since.map(rfc3339),
            error,
        });
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(WebhookList(states))
}

/// Has a webhook told again what came after `since`: a cursor, or a time. Returns
/// how many events that are.
pub async fn replay(config: &Config, name: &str, since: &str) -> anyhow::Result<u64> {
    let section = config.webhooks.iter().find(|section| section.name == name);
    let filter: Filter =
        section.with_context(|| format!("the configuration has no webhook `{name}`"))?.filter();
    let since = parse(since, clock::now())?;
    let store = Store::open_existing(&config.data).await?;
    let store = store.with_context(|| format!("the webhook `{name}` was told nothing yet"))?;
    let told = store.replay(name, &filter, since).await;
    store.close().await;
    told
}

/// A cursor, RFC 3339 with zone, or a time ago: `30s`, `15m`, `2h`, `3d`.
fn parse(text: &str, now: Timestamp) -> anyhow::Result<Since> {
    let usage = || {
        format!(
            "`{text}` is no cursor and no time; write a cursor, 2026-11-23T10:00:00Z, or a time ago such as 2h"
        )
    };
    if let Ok(cursor) = text.parse::<i64>() {
        ensure!(cursor >= 0, usage());
        return Ok(Since::Cursor(cursor));
    }
    let ago = text.char_indices().last().and_then(|(at, unit)| Some((text[..at].parse::<u32>().ok()?, unit)));
    let unit = match ago {
        Some((_, 's')) => Timestamp::SECOND,
        Some((_, 'm')) => Timestamp::MINUTE,
        Some((_, 'h')) => Timestamp::HOUR,
        Some((_, 'd')) => Timestamp::DAY,
        _ => {
            let time = OffsetDateTime::parse(text, &Rfc3339).ok().with_context(usage)?;
            let ms = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().with_context(usage)?;
            return Ok(Since::Time(Timestamp(ms)));
        }
    };
    let number = ago.map_or(0, |(number, _)| number);
    Ok(Since::Time(now.minus_ms(u64::from(number) * unit)))
}

impl fmt::Display for WebhookList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the configuration has no [[webhooks]]");
        }
        for (number, one) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: ", one.name)?;
            match (one.taken, &one.taken_at) {
                (None, _) => f.write_str("not started yet")?,
                (Some(taken), None) => write!(f, "has taken nothing yet, begins after cursor {taken}")?,
                (Some(taken), Some(at)) => write!(f, "took cursor {taken} at {at}")?,
            }
            write!(f, "; {} waiting, {} dropped", one.waiting, one.dropped)?;
            if let (Some(error), Some(since)) = (&one.error, &one.failing_since) {
                write!(f, "; fails since {since}: {error}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_and_times_are_told_apart() {
        let now = Timestamp(1_763_769_600_000);
        assert_eq!(parse("1763769600000", now).unwrap(), Since::Cursor(1_763_769_600_000));
        assert_eq!(parse("2h", now).unwrap(), Since::Time(now.minus_ms(2 * Timestamp::HOUR)));
        assert_eq!(parse("2025-11-22T01:00:00+01:00", now).unwrap(), Since::Time(now));
        for bad in
            ["", "-1", "2w", "é", "yesterday", "1; DROP TABLE events", "2025-11-22", "99999999999999999999"]
        {
            assert!(parse(bad, now).is_err(), "{bad}");
        }
    }
}
