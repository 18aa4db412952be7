//! `lenskeep camera forward`, `camera event` and `gateway bandwidth`: what leaves
//! a site by itself, when, and how fast.

use anyhow::Context as _;
use model::wire::EVENT_SECONDS_MAX;
use model::{Bandwidth, CameraId, Forward, Forwarding, GatewayId, Span};
use seal::command::Command;
use serde_json::json;

use crate::camera::choose_gateway;
use crate::client::Session;
use crate::orders;

/// Minutes since midnight that end a day.
const DAY: u16 = 24 * 60;

#[derive(clap::Args)]
pub(crate) struct ForwardArguments {
    camera: CameraId,
    /// Recordings of the main stream that go to the store: `always`, `events` or `never`.
    #[arg(long, value_name = "WHICH", value_parser = which)]
    main: Forward,
    /// Those of the small stream.
    #[arg(long, value_name = "WHICH", value_parser = which)]
    sub: Forward,
    /// While an event goes on, close recordings every two seconds, so that they leave at once.
    #[arg(long)]
    short_in_events: bool,
}

#[derive(clap::Args)]
pub(crate) struct BandwidthArguments {
    /// kbit/s (128 or more), `unlimited`, or `0`: nothing but recordings of events.
    #[arg(value_name = "KBIT", value_parser = kilobits)]
    kilobits_max: Kilobits,
    /// Another bandwidth for a part of every day, in UTC, such as 22:00-06:00=unlimited. Can be given again.
    #[arg(long, value_name = "HH:MM-HH:MM=KBIT", value_parser = span)]
    span: Vec<Span>,
    /// Needed if there are several.
    #[arg(long, value_name = "ID")]
    gateway: Option<GatewayId>,
}

/// As in [`Bandwidth`]. (`Option` alone would make the argument optional.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kilobits(Option<u32>);

fn which(text: &str) -> Result<Forward, String> {
    match text {
        "always" => Ok(Forward::Always),
        "events" => Ok(Forward::Events),
        "never" => Ok(Forward::Never),
        _ => Err("it is `always`, `events` or `never`".to_owned()),
    }
}

fn kilobits(text: &str) -> Result<Kilobits, String> {
    if text == "unlimited" {
        return Ok(Kilobits(None));
    }
    text.parse()
        .map(|kilobits| Kilobits(Some(kilobits)))
        .map_err(|_| "it is a number or `unlimited`".to_owned())
}

fn span(text: &str) -> Result<Span, String> {
    let parts = || {
        let (time, kilobits_max) = text.split_once('=')?;
        let (from, to) = time.split_once('-')?;
        let Kilobits(kilobits_max) = kilobits(kilobits_max).ok()?;
        // A day ends where the next begins.
        Some(Span { from: minute(from)?, to: minute(to)? % DAY, kilobits_max })
    };
    parts().ok_or_else(|| "a span looks like 22:00-06:00=512".to_owned())
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60).then(|| hour.checked_mul(60)?.checked_add(minute)).flatten().filter(|minute| *minute <= DAY)
}

/// What of a camera is forwarded.
pub(crate) async fn set(session: &Session, arguments: ForwardArguments) -> anyhow::Result<()> {
    let ForwardArguments { camera, main, sub, short_in_events } = arguments;
    let known = session.roster.camera(camera).context("the roster has no such camera")?;
    let gateway = session.roster.gateway(known.gateway).context("its gateway was shut out")?;
    let forwarding = Forwarding { main, sub, short_in_events };
    let command = Command::SetForwarding { camera, forwarding };
    let ordered =
        orders::order(session, gateway, |other| *other == command, |_, _| Ok(command.clone())).await?;
    if ordered.said() {
        println!("Of {camera} goes to the store: {}.", in_words(forwarding));
    }
    Ok(())
}

/// How fast a gateway sends recordings.
pub(crate) async fn set_bandwidth(session: &Session, arguments: BandwidthArguments) -> anyhow::Result<()> {
    let BandwidthArguments { kilobits_max: Kilobits(kilobits_max), span, gateway } = arguments;
    let gateway = choose_gateway(session, gateway)?;
    let bandwidth = Bandwidth { kilobits_max, spans: span };
    bandwidth.check()?;
    let command = Command::SetBandwidth { bandwidth: bandwidth.clone() };
    let ordered =
        orders::order(session, &gateway, |other| *other == command, |_, _| Ok(command.clone())).await?;
    if ordered.said() {
        println!("{} sends recordings {}.", gateway.name, bandwidth_in_words(&bandwidth));
    }
    Ok(())
}

/// Says that something happens at a camera.
pub(crate) async fn event(session: &Session, camera: CameraId, seconds: u32) -> anyhow::Result<()> {
    anyhow::ensure!(
        (1..=EVENT_SECONDS_MAX).contains(&seconds),
        "an event goes on for 1 to {EVENT_SECONDS_MAX} seconds"
    );
    session.client.post(&format!("/api/v1/cameras/{camera}/events"), &json!({ "seconds": seconds })).await?;
    println!("What {camera} shows in the next {seconds} s is forwarded first.");
    Ok(())
}

pub(crate) fn in_words(forwarding: Forwarding) -> String {
    let words = |forward| match forward {
        Forward::Always => "everything",
        Forward::Events => "events alone",
        Forward::Never => "nothing",
    };
    let short = if forwarding.short_in_events { "; in events every two seconds" } else { "" };
    format!(
        "of the main stream {}, of the small one {}{short}",
        words(forwarding.main),
        words(forwarding.sub)
    )
}

pub(crate) fn bandwidth_in_words(bandwidth: &Bandwidth) -> String {
    let words = |kilobits| match kilobits {
        None => "as fast as it goes".to_owned(),
        Some(0) => "of events alone".to_owned(),
        Some(kilobits) => format!("at {kilobits} kbit/s at most"),
    };
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let spans = bandwidth.spans.iter().map(|span| {
        format!(", from {} to {} UTC {}", time(span.from), time(span.to), words(span.kilobits_max))
    });
    std::iter::once(words(bandwidth.kilobits_max)).chain(spans).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_is_said() {
        let night = Span { from: 22 * 60, to: 6 * 60 + 30, kilobits_max: None };
        assert_eq!(span("22:00-06:30=unlimited"), Ok(night));
        assert_eq!(span("20:00-24:00=0"), Ok(Span { from: 1_200, to: 0, kilobits_max: Some(0) }));
        for wrong in ["22:00", "22:00-06:00", "22:60-6:00=1", "25:00-06:00=1", "a-b=c", "1:00-2:00=-1"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        let bandwidth = Bandwidth { kilobits_max: Some(512), spans: vec![night] };
        assert_eq!(
            bandwidth_in_words(&bandwidth),
            "at 512 kbit/s at most, from 22:00 to 06:30 UTC as fast as it goes"
        );
    }
}
