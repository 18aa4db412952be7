//! `lenskeep person invite`, `share` and `remove`: who may watch what, until
//! when. The roster says it; this device signs it.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use model::{CameraId, PersonId, Timestamp};
use seal::pairing::{Nonce, Pairing};
use seal::roster::{Access, Roster, Scope, Statement};
use serde_json::json;
use zeroize::Zeroizing;

use crate::client::{Session, Stated, now, random};
use crate::device::revoke_each;
use crate::text::printable;
use crate::{pairing, times};

/// What somebody may watch. Exactly one of the three kinds.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct What {
    /// All cameras, also those that come later.
    #[arg(long, conflicts_with_all = ["cameras", "groups"])]
    all: bool,
    /// This camera; repeat it for more.
    #[arg(long = "camera", value_name = "ID", conflicts_with = "groups")]
    cameras: Vec<CameraId>,
    /// The cameras of this group, also those that come later; repeat it for more.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
}

/// Access as it is given on the command line.
#[derive(clap::Args)]
pub(crate) struct Given {
    #[command(flatten)]
    what: What,
    /// With sound. Default: pictures alone.
    #[arg(long)]
    sound: bool,
    /// Until the end of this day (UTC), as in 2026-12-24, or until a time. Default: without end.
    #[arg(long, value_name = "DATE", value_parser = times::end)]
    until: Option<Timestamp>,
}

impl Given {
    fn access(self, roster: &Roster, person: PersonId) -> anyhow::Result<Access> {
        let Given { what: What { all, cameras, groups }, sound: audio, until } = self;
        ensure!(until.is_none_or(|end| end > now()), "--until lies in the past; to end an access, remove it");
        if let Some(camera) = cameras.iter().find(|camera| roster.camera(**camera).is_none()) {
            bail!("{camera} is not a camera of this organisation; `lenskeep camera list` shows them");
        }
        let known: BTreeSet<&String> = roster.cameras().flat_map(|camera| &camera.groups).collect();
        if let Some(group) = groups.iter().find(|group| !known.contains(group)) {
            let known: Vec<&str> = known.iter().map(|group| group.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bail!("no camera is in the group `{group}`; there are: {known} (`lenskeep camera group`)");
        }
        let scope = match (all, cameras.is_empty()) {
            (true, _) => Scope::All,
            (false, false) => Scope::Cameras { cameras: cameras.into_iter().collect() },
            (false, true) => Scope::Groups { groups: groups.into_iter().collect() },
        };
        Ok(Access { person, scope, audio, until })
    }
}

/// As in `watches all cameras, without sound, until 2026-12-24T23:59:59Z`.
pub(crate) fn access_in_words(access: Option<&Access>) -> String {
    let Some(Access { scope, audio, until, .. }) = access else { return "watches nothing".to_owned() };
    let what = match scope {
        Scope::All => "all cameras".to_owned(),
        Scope::Cameras { cameras } if cameras.is_empty() => return "watches nothing".to_owned(),
        Scope::Cameras { cameras } => cameras.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Scope::Groups { groups } => {
            format!(
                "the cameras of {}",
                groups.iter().map(|group| printable(group)).collect::<Vec<_>>().join(", ")
            )
        }
    };
    let sound = if *audio { "with sound" } else { "without sound" };
    match until {
        Some(end) if *end < now() => format!("watched {what}, {sound}, until {}", times::format(*end)),
        Some(end) => format!("watches {what}, {sound}, until {}", times::format(*end)),
        None => format!("watches {what}, {sound}"),
    }
}

async fn give(session: &mut Session, access: Access) -> anyhow::Result<()> {
    let Access { person, scope, audio, until } = access;
    session.state(Statement::SetAccess { person, scope, audio, until }).await.map(drop)
}

pub(crate) async fn share(session: &mut Session, person: PersonId, given: Given) -> anyhow::Result<()> {
    let access = given.access(&session.roster, person)?;
    ensure!(
        knows(session, person),
        "{person} has no device in the roster: `lenskeep person list` shows who is there, and \
         `lenskeep person invite` brings somebody in"
    );
    if session.roster.state().access.get(&person) != Some(&access) {
        give(session, access).await?;
    }
    println!("{person} {}", access_in_words(session.roster.state().access.get(&person)));
    Ok(())
}

fn knows(session: &Session, person: PersonId) -> bool {
    let state = session.roster.state();
    state.access.contains_key(&person) || state.devices.values().any(|device| device.person == person)
}

fn opens_something(access: &Access) -> bool {
    let nothing = matches!(&access.scope, Scope::Cameras { cameras } if cameras.is_empty());
    !nothing && access.until.is_none_or(|end| end > now())
}

/// Prints a link, waits for the newcomer's device, compares, and lets it in.
pub(crate) async fn invite(session: &mut Session, name: &str, given: Given) -> anyhow::Result<()> {
    let person = PersonId::from_random(random());
    // Before anybody is sent anything.
    let access = given.access(&session.roster, person)?;
    let body = json!({ "person": person, "person_name": name });
    let answer = session.client.post("/api/v1/invitations", &body).await?;
    let token = answer["token"].as_str().unwrap_or_default();
    ensure!(!token.is_empty(), "the cloud gave no token");
    let nonce = Nonce(model::Hash(random()));
    let pairing = Pairing::new(random(), nonce);
    println!("{}", link(session, token, &pairing).as_str());
    eprintln!(
        "Give this link to {name}, by hand or by a message that nobody else reads; it is good once, for a day."
    );
    eprintln!("Waiting for the device that comes by it …");
    let device = pairing::compared_device(session, &pairing, nonce, pairing::INVITATION_WAIT).await?;
    ensure!(
        device.person == person,
        "the device that came is of somebody else: turn it away on the page Devices"
    );
    let Access { scope, audio, until, .. } = access;
    let statement = Statement::SetAccess { person, scope, audio, until };
    if let Stated::Waits(waits) = session.stated(statement).await? {
        println!(
            "{waits}\nWhen they have agreed, let the device of {name} in on the page Devices, where it waits."
        );
        return Ok(());
    }
    pairing::let_in(session, device, crate::device::DEVICE_DAYS).await?;
    println!("{person} {}", access_in_words(session.roster.state().access.get(&person)));
    Ok(())
}

fn link(session: &Session, token: &str, pairing: &Pairing) -> Zeroizing<String> {
    let (anchor, pairing) = (session.roster.anchor(), pairing.to_text());
    let cloud = session.file.cloud.origin().ascii_serialization();
    Zeroizing::new(format!("{cloud}/join#token={token}&anchor={anchor}&pairing={}", pairing.as_str()))
}

/// Shuts a person out: first the devices and sessions, which takes one
/// administrator, then the access, which may take several.
pub(crate) async fn remove(session: &mut Session, person: PersonId) -> anyhow::Result<()> {
    ensure!(person != session.file.person, "that is you: another administrator removes you");
    let state = session.roster.state();
    let devices: Vec<_> = state.devices.values().filter(|device| device.person == person).cloned().collect();
    let access = state.access.get(&person).cloned();
    ensure!(
        access.is_some() || !devices.is_empty(),
        "nobody in the roster is {person}; `lenskeep person list` shows who is there"
    );
    let removed = devices.iter().map(|device| device.id).collect();
    revoke_each(session, &removed, false).await?;
    match session.client.delete(&format!("/api/v1/people/{person}/sessions")).await {
        Err(error) if !pairing::refused_with(&error, |status| status == 404) => return Err(error),
        _ => {}
    }
    if access.is_some_and(|access| opens_something(&access)) {
        let scope = Scope::Cameras { cameras: BTreeSet::new() };
        give(session, Access { person, scope, audio: false, until: None }).await?;
    }
    println!("{person} is shut out with {} devices, and watches nothing.", devices.len());
    println!(
        "What they opened before stays open to them. `lenskeep person erase {person}` forgets who it was."
    );
    Ok(())
}
