//! Gateways that fell silent, which nobody else can tell: people who ordered notices
//! from them hear of it, once, and once more when they are back. The server writes
//! these messages itself. They hold ids and times, and no browser can take one for
//! what a gateway sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cloud_core::Principal;
use cloud_core::policy::Operation;
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::roster::Roster;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use crate::app::App;
use crate::http::notices::reached;
use crate::permits::facts_about;
use crate::push::Message;
use crate::rate::{Key, Rate};
use crate::{clock, mail};

/// Messages to one device: a gateway whose line comes and goes fills no screen.
const EACH: Rate = Rate { burst: 6, refill_ms: 30 * Timestamp::MINUTE };
/// Gateways that a message names; of more it says how many. It has to fit into 3 993
/// bytes (RFC 8291).
const NAMED_MAX: usize = 16;
/// Devices that are told of one gateway; it takes no more orders either.
const DEVICES_MAX: u64 = 4_096;
const LOOK_MS: (u64, u64) = (100, 30_000);
/// For so long people see what is over.
pub(crate) const KEPT_MS: u64 = 90 * Timestamp::DAY;

/// What is seen of gateways since this server started.
#[derive(Debug, Default)]
struct Watch {
    /// Linked the last time, or known for the first.
    heard: HashMap<GatewayId, Heard>,
    /// Silent ones that are linked again, and since when.
    back: HashMap<GatewayId, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Timestamp,
    /// By a clock that nobody sets.
    instant: Instant,
}

type Since = BTreeMap<GatewayId, Timestamp>;

/// Silent for so long is told; and whatever else happens within so long is told with it.
#[derive(Clone, Copy, Debug)]
struct Patience {
    after: Duration,
    gather: Duration,
}

/// What has changed: since when each is, or was, silent.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    silent: Since,
    back: Since,
    /// Not in the roster any more, which is told nobody.
    gone: Since,
}

#[derive(Serialize)]
struct Body<'a> {
    gateways: Changes<'a>,
}

#[derive(Serialize)]
struct Changes<'a> {
    silent: Vec<Change<'a>>,
    back: Vec<Change<'a>>,
    /// That found no room.
    more: usize,
}

#[derive(Serialize)]
struct Change<'a> {
    gateway: &'a GatewayId,
    since: &'a Timestamp,
}

/// Looks until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let after_ms = app.config.gateways.silent_after_seconds * Timestamp::SECOND;
    if after_ms == 0 {
        return;
    }
    let gather_ms = after_ms / 10;
    let patience =
        Patience { after: Duration::from_millis(after_ms), gather: Duration::from_millis(gather_ms) };
    let mut look = tokio::time::interval(Duration::from_millis(gather_ms.clamp(LOOK_MS.0, LOOK_MS.1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            _ = look.tick() => {}
        }
        let looked = Box::pin(look_at_all(&app, &mut watch, patience));
        match app.shutdown.run_until_cancelled(looked).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!("gateways that are silent cannot be looked for: {error:#}"),
            None => return,
        }
    }
}

async fn look_at_all(app: &App, watch: &mut Watch, patience: Patience) -> anyhow::Result<()> {
    for org in app.database.organisations().await? {
        // One organisation's trouble keeps nobody else from being told.
        if let Err(error) = look_at(app, org, watch, patience).await {
            tracing::warn!(%org, "gateways that are silent cannot be told: {error:#}");
        }
    }
    Ok(())
}

async fn look_at(app: &App, org: OrgId, watch: &mut Watch, patience: Patience) -> anyhow::Result<()> {
    let now = clock::now();
    let roster = app.roster(org, now).await?;
    let open = app.database.open_silences(org).await?;
    let links = roster.state().gateways.keys().map(|gateway| (*gateway, app.hub.is_linked(*gateway)));
    let news = watch.look(links, &open, (Instant::now(), now), patience);
    if news != News::default() {
        tell(app, (org, &roster), news, now).await?;
    }
    Ok(())
}

impl Watch {
    /// Gateways of one organisation, and whether each is linked; `open`: those that
    /// people were told are silent.
    fn look(
        &mut self,
        links: impl Iterator<Item = (GatewayId, bool)>,
        open: &Since,
        (instant, at): (Instant, Timestamp),
        Patience { after, gather }: Patience,
    ) -> News {
        let mut news = News { gone: open.clone(), ..News::default() };
        let (mut oldest_silent, mut oldest_back) = (Duration::ZERO, Duration::ZERO);
        for (gateway, is_linked) in links {
            news.gone.remove(&gateway);
            let was_told = open.get(&gateway);
            if is_linked {
                self.heard.insert(gateway, Heard { at, instant });
                let Some(since) = was_told else { continue };
                let back = *self.back.entry(gateway).or_insert(instant);
                oldest_back = oldest_back.max(instant.duration_since(back));
                news.back.insert(gateway, *since);
            } else {
                self.back.remove(&gateway);
                let heard = self.heard.entry(gateway).or_insert(Heard { at, instant });
                let silent = instant.duration_since(heard.instant);
                if was_told.is_none() && silent >= after {
                    oldest_silent = oldest_silent.max(silent);
                    news.silent.insert(gateway, heard.at);
                }
            }
        }
        // All that lose a server lose it within seconds of each other, and come back so.
        if oldest_silent < after + gather {
            news.silent.clear();
        }
        if oldest_back < gather {
            news.back.clear();
        }
        self.back.retain(|gateway, _| !news.back.contains_key(gateway));
        news
    }
}

/// Written down first, then told: whatever ends this server tells nobody twice.
async fn tell(app: &App, (org, roster): (OrgId, &Roster), news: News, now: Timestamp) -> anyhow::Result<()> {
    app.database.end_silences(org, &news.gone, now).await?;
    let silent = app.database.begin_silences(org, &news.silent).await?;
    let back = app.database.end_silences(org, &news.back, now).await?;
    for gateway in silent.keys() {
        tracing::warn!(%gateway, "the gateway is silent");
    }
    for gateway in back.keys() {
        tracing::info!(%gateway, "the gateway is heard again");
    }
    let mut told: BTreeMap<(DeviceId, PersonId), (Since, Since)> = BTreeMap::new();
    for (&gateway, &since) in silent.iter().chain(&back) {
        for who in recipients(app, (org, gateway), roster, now).await? {
            let (of_silent, of_back) = told.entry(who).or_default();
            let of = if back.contains_key(&gateway) { of_back } else { of_silent };
            of.insert(gateway, since);
        }
    }
    let mut people = BTreeSet::new();
    for ((device, person), (silent, back)) in &told {
        if send(app, (org, *device, *person), (silent, back), now).await? {
            people.insert(*person);
        }
    }
    for person in people {
        mail::told_of_silence(app, (org, person), now).await;
    }
    Ok(())
}

/// Devices that ordered notices from a gateway and may now, by roster, roles and
/// policies, see something of it.
async fn recipients(
    app: &App,
    (org, gateway): (OrgId, GatewayId),
    roster: &Roster,
    now: Timestamp,
) -> anyhow::Result<Vec<(DeviceId, PersonId)>> {
    let rules = app.rules.current(&app.database, roster).await?;
    let Some(policies) = &rules.policies else { return Ok(Vec::new()) };
    let cameras: Vec<CameraId> =
        roster.cameras().filter(|camera| camera.gateway == gateway).map(|camera| camera.id).collect();
    let devices = app.database.devices_told_by((org, gateway), now, DEVICES_MAX).await?;
    let may_see = |device: DeviceId| {
        let person = roster.device_in_force(device, now)?.person;
        let seen: Vec<CameraId> = cameras
            .iter()
            .filter(|camera| roster.right_of_device(device, **camera, now).is_some())
            .copied()
            .collect();
        let facts = facts_about((org, person), roster, &rules, seen.iter().copied(), now);
        let principal = || Principal::Person { person, device: Some(device) };
        let allowed =
            |camera| cloud_core::allows(principal(), &facts, Operation::Playback, camera, policies, now);
        seen.into_iter().any(allowed).then_some((device, person))
    };
    Ok(devices.into_iter().filter_map(may_see).collect())
}

/// False if the device is not reached, or was told enough.
async fn send(
    app: &App,
    (org, device, person): (OrgId, DeviceId, PersonId),
    (silent, back): (&Since, &Since),
    now: Timestamp,
) -> anyhow::Result<bool> {
    let Some(row) = app.database.subscription(org, device).await? else { return Ok(false) };
    // The browser's person may be another one by now.
    if row.person != person {
        return Ok(false);
    }
    // For each gateway: one that comes and goes keeps no other's silence from being told.
    let may_be_told = |gateway: &GatewayId| {
        app.limiter.allow(Key::Account(format!("silences {device} {gateway}")), EACH, now)
    };
    let of = |all: &Since| -> Since {
        all.iter()
            .filter(|(gateway, _)| may_be_told(gateway))
            .map(|(gateway, since)| (*gateway, *since))
            .collect()
    };
    let (silent, back) = (&of(silent), &of(back));
    if silent.is_empty() && back.is_empty() {
        return Ok(false);
    }
    let Some(subscription) = reached(app, &row) else { return Ok(false) };
    let body = body(silent, back);
    if !app.push.send(Message { org, device, subscription, body }) {
        app.metrics.push_messages_lost.add(1);
    }
    Ok(true)
}

fn body(silent: &Since, back: &Since) -> Vec<u8> {
    let more = silent.len().saturating_sub(NAMED_MAX) + back.len().saturating_sub(NAMED_MAX);
    let body = Body { gateways: Changes { silent: changes(silent), back: changes(back), more } };
    serde_json::to_vec(&body).expect("ids and times serialise")
}

fn changes(of: &Since) -> Vec<Change<'_>> {
    of.iter().take(NAMED_MAX).map(|(gateway, since)| Change { gateway, since }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { after: Duration::from_secs(300), gather: Duration::from_secs(30) };

    fn gateway(n: u8) -> GatewayId {
        GatewayId::from_random([n; 16])
    }

    struct Looked {
        watch: Watch,
        began: Instant,
        open: Since,
        seconds: u64,
    }

    impl Looked {
        fn new() -> Self {
            Looked { watch: Watch::default(), began: Instant::now(), open: Since::new(), seconds: 0 }
        }

        fn at(&self) -> Timestamp {
            Timestamp(1_764_000_000_000 + self.seconds * 1_000)
        }

        /// So much later; whatever is told is written down. Numbers of gateways.
        fn look(&mut self, seconds: u64, links: &[(u8, bool)]) -> (Vec<u8>, Vec<u8>) {
            self.seconds += seconds;
            let instant = self.began + Duration::from_secs(self.seconds);
            let all = links.iter().map(|(n, is_linked)| (gateway(*n), *is_linked));
            let news = self.watch.look(all, &self.open, (instant, self.at()), PATIENCE);
            self.open.extend(&news.silent);
            self.open
                .retain(|gateway, _| !news.back.contains_key(gateway) && !news.gone.contains_key(gateway));
            let numbers = |of: &Since| {
                links.iter().map(|(n, _)| *n).filter(|n| of.contains_key(&gateway(*n))).collect()
            };
            (numbers(&news.silent), numbers(&news.back))
        }
    }

    fn none() -> (Vec<u8>, Vec<u8>) {
        (vec![], vec![])
    }

    #[test]
    fn a_gateway_that_falls_silent_is_told_once_and_once_when_it_is_back() {
        let mut looked = Looked::new();
        assert_eq!(looked.look(0, &[(1, true)]), none());
        let heard = looked.at();
        assert_eq!(looked.look(299, &[(1, false)]), none());
        assert_eq!(looked.look(30, &[(1, false)]), none(), "others may follow");
        assert_eq!(looked.look(1, &[(1, false)]), (vec![1], vec![]));
        assert_eq!(looked.open[&gateway(1)], heard);
        assert_eq!(looked.look(86_400, &[(1, false)]), none());
        assert_eq!(looked.look(10, &[(1, true)]), none());
        assert_eq!(looked.look(29, &[(1, true)]), none(), "it has to stay");
        assert_eq!(looked.look(1, &[(1, true)]), (vec![], vec![1]));
        assert_eq!(looked.look(3_600, &[(1, true)]), none());
    }

    #[test]
    fn gateways_that_are_lost_together_are_told_together() {
        let mut looked = Looked::new();
        let links = |linked: [bool; 100]| (0..100).zip(linked).collect::<Vec<(u8, bool)>>();
        looked.look(0, &links([true; 100]));
        // The server notices within a minute that nobody answers.
        let mut linked = [true; 100];
        for n in 0..100 {
            linked[n] = false;
            if n % 5 == 0 {
                assert_eq!(looked.look(1, &links(linked)), none());
            }
        }
        let told: Vec<_> = (0..40).map(|_| looked.look(30, &links([false; 100]))).collect();
        let told: Vec<usize> = told.iter().map(|(silent, _)| silent.len()).filter(|n| *n > 0).collect();
        assert_eq!(told, [100]);
        looked.look(30, &links(std::array::from_fn(|n| n % 2 == 0)));
        assert_eq!(looked.look(30, &links([true; 100])).1.len(), 100);
    }

    #[test]
    fn a_restart_tells_nobody_twice_and_counts_from_its_start() {
        let mut looked = Looked::new();
        looked.look(0, &[(1, true), (2, true)]);
        looked.look(5, &[(1, false), (2, true)]);
        assert_eq!(looked.look(400, &[(1, false), (2, true)]).0, [1]);
        looked.watch = Watch::default();
        assert_eq!(looked.look(60, &[(1, false), (2, false)]), none(), "it is the server that was away");
        assert_eq!(looked.look(330, &[(1, false), (2, false)]).0, [2]);
    }

    #[test]
    fn a_link_that_flickers_is_not_silent() {
        let mut looked = Looked::new();
        for n in 0..1_000 {
            assert_eq!(looked.look(60, &[(1, n % 3 == 0)]), none());
        }
    }

    #[test]
    fn a_gateway_that_left_the_roster_is_told_nobody() {
        let mut looked = Looked::new();
        looked.look(0, &[(1, true)]);
        looked.look(400, &[(1, false)]);
        assert_eq!(looked.open.len(), 1);
        assert_eq!(looked.look(60, &[]), none());
        assert!(looked.open.is_empty());
    }

    #[test]
    fn a_message_fits_and_holds_ids_and_times() {
        let all: Since = (0..100).map(|n| (gateway(n), Timestamp(1_764_000_000_000))).collect();
        let body = body(&all, &all);
        assert!(body.len() < 3_993, "{}", body.len());
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read["gateways"]["more"], 200 - 2 * NAMED_MAX);
        assert_eq!(read.as_object().unwrap().len(), 1, "no notice stands beside it");
    }
}
