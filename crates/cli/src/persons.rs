//! `lenskeep person`: who is there and may watch what, inviting, sharing,
//! shutting somebody out, and forgetting somebody.

use model::{PersonId, Timestamp};
use seal::action::Action;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Session, now};
use crate::sharing::{Given, access_in_words};
use crate::text::printable;
use crate::{sharing, times};

#[derive(clap::Subcommand)]
pub(crate) enum PersonCommand {
    /// People, what they may watch, and their devices.
    List,
    /// Print a link for somebody new, wait for their browser, and let it in.
    Invite {
        /// What the others call them.
        name: String,
        #[command(flatten)]
        given: Given,
    },
    /// Say what somebody may watch, in place of what was said before.
    Share {
        person: PersonId,
        #[command(flatten)]
        given: Given,
    },
    /// Shut somebody out: their devices, their sessions, their access.
    Remove { person: PersonId },
    /// End all sessions of a person.
    SignOut { person: PersonId },
    /// Forget who somebody was, whose devices were shut out. The history keeps
    /// what happened, and nobody can tell any more that it was this person.
    Erase {
        person: PersonId,
        /// For the other administrators, where it takes several.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Deserialize)]
struct People {
    people: Vec<Person>,
}

#[derive(Deserialize)]
struct Person {
    person: PersonId,
    name: String,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
}

pub(crate) async fn run(session: &mut Session, command: PersonCommand) -> anyhow::Result<()> {
    match command {
        PersonCommand::List => {
            let People { people } = session.client.get("/api/v1/people").await?;
            for Person { person, name, created_at, disabled_at } in people {
                let name = printable(&name);
                let disabled = if disabled_at.is_some() { ", shut out by the directory" } else { "" };
                println!("{person}  {name}, since {}{disabled}", times::format(created_at));
                let state = session.roster.state();
                let devices = state.devices.values().filter(|device| device.person == person);
                let (ended, in_force): (Vec<_>, Vec<_>) = devices.partition(|device| device.until < now());
                let ended =
                    if ended.is_empty() { String::new() } else { format!(" and {} that ended", ended.len()) };
                let watches = access_in_words(state.access.get(&person));
                let devices = if in_force.len() == 1 { "device" } else { "devices" };
                println!("  {watches}; {} {devices}{ended}", in_force.len());
            }
            Ok(())
        }
        PersonCommand::Invite { name, given } => sharing::invite(session, &name, given).await,
        PersonCommand::Share { person, given } => sharing::share(session, person, given).await,
        PersonCommand::Remove { person } => sharing::remove(session, person).await,
        PersonCommand::SignOut { person } => {
            session.client.delete(&format!("/api/v1/people/{person}/sessions")).await?;
            println!("signed out everywhere");
            Ok(())
        }
        PersonCommand::Erase { person, reason } => {
            let state = session.roster.head().1;
            session
                .order("/api/v1/erasures", (state, Action::ErasePerson { person }), json!({}), &reason)
                .await
        }
    }
}
