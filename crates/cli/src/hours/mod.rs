//! `lenskeep recording check`: what gateways signed for, hour by hour, against what
//! the cloud lists. The cloud is asked for both, and believed in neither.

mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};
use model::wire::{Envelope, Gap};
use model::{CameraId, Hash, Rendition, Timestamp};
use serde::Deserialize;

use crate::client::{Session, is, now};
use crate::times;
use judge::{Lists, Signed, judge};

/// What follows is looked at for so long beyond the time that is checked: its chain
/// leads back, and shows what was kept back of the last hours.
const BEYOND_MS: u64 = Timestamp::DAY;
/// Indexes that are asked for one by one along the chain. A year of them.
const STEPS_MAX: usize = 10_000;
/// Gaps in one answer of the cloud.
const GAPS_MAX: usize = 1_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    camera: CameraId,
    /// RFC 3339 (2026-11-23T10:00:00Z), or a time ago such as 15m or 2h. The whole hour is checked.
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "1d")]
    from: Timestamp,
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "now")]
    to: Timestamp,
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct HourPage {
    hours: Vec<Envelope>,
    missing: Vec<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListPage {
    recordings: Vec<Listed>,
    gaps: Vec<Gap>,
    more_from: Option<Timestamp>,
    site_unreachable: bool,
}

#[derive(Deserialize)]
struct Listed {
    id: Hash,
    root: Hash,
}

pub(crate) async fn check(session: &Session, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { camera, from, to, json } = *arguments;
    ensure!(from < to, "--from must be before --to");
    let whole = (from.hour(), to.plus_ms(Timestamp::HOUR - 1).hour());
    // Before the lists: what comes in meanwhile is in those.
    let signed = signed(session, camera, whole).await?;
    let lists = lists(session, camera, whole).await?;
    let report = judge(&signed, &lists, whole, now());
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.in_words().iter().for_each(|line| println!("{line}"));
    }
    match report.what_is_wrong() {
        None => Ok(()),
        Some(wrong) => bail!(
            "what the cloud shows of {camera} is not what was signed: {wrong}. Keep this answer; look at what the \
             gateway itself has (`lenskeep recording list --local ADDRESS:PORT`), and ask whoever runs the cloud"
        ),
    }
}

/// The indexes of these hours, and what their chains lead to.
async fn signed(
    session: &Session,
    camera: CameraId,
    (from, to): (Timestamp, Timestamp),
) -> anyhow::Result<Signed> {
    let path = format!("/api/v1/cameras/{camera}/hours");
    let stretch = format!("{path}?from={}&to={}", from.0, to.plus_ms(BEYOND_MS).0);
    let (mut signed, mut seen, mut asked) = (Signed::of(camera), BTreeSet::new(), stretch.clone());
    loop {
        let page: HourPage = session.client.get(&asked).await?;
        page.hours.iter().for_each(|envelope| signed.take(envelope, &session.roster));
        signed.lost(page.missing);
        let Some(next) = page.next else { break };
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        ensure!(seen.insert(next.clone()), "the cloud shows the same indexes of hours again and again");
        asked = format!("{stretch}&after={next}");
    }
    let mut steps = 0;
    while let Some(hash) = signed.wanted(from) {
        steps += 1;
        ensure!(
            steps <= STEPS_MAX,
            "the chain of indexes leads over more than {STEPS_MAX} that are not of this time; check more at once, or \
             less of it"
        );
        let envelope = match session.client.get::<Envelope>(&format!("{path}/{hash}")).await {
            Ok(envelope) => Some(envelope),
            Err(error) if is(&error, "not_found") => None,
            Err(error) => {
                return Err(error).with_context(|| format!("the index {hash} of an hour was not read"));
            }
        };
        signed.answered(hash, envelope.as_ref(), &session.roster);
    }
    Ok(signed)
}

async fn lists(
    session: &Session,
    camera: CameraId,
    (begin, to): (Timestamp, Timestamp),
) -> anyhow::Result<Lists> {
    let mut lists = Lists::default();
    for rendition in Rendition::ALL {
        let mut from = begin;
        loop {
            let stretch = format!("from={}&to={}&rendition={rendition}", from.0, to.0);
            let page: ListPage =
                session.client.get(&format!("/api/v1/cameras/{camera}/recordings?{stretch}")).await?;
            let recordings = page.recordings.iter();
            lists.recordings.extend(recordings.map(|listed| (rendition, listed.id, listed.root)));
            lists.site_unreachable |= page.site_unreachable;
            // An answer can end with its recordings, or with its gaps.
            let last_gap = page.gaps.last().filter(|_| page.gaps.len() >= GAPS_MAX).map(|gap| gap.from);
            lists.gaps.extend(page.gaps);
            match page.more_from.into_iter().chain(last_gap).min() {
                Some(more) if more > from => from = more,
                _ => break,
            }
        }
    }
    Ok(lists)
}
