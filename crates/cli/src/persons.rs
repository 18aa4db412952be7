//! `lenskeep person`: who has an account, signing somebody out everywhere, and
//! forgetting somebody.

use model::{PersonId, Timestamp};
use seal::action::Action;
use serde::Deserialize;
use serde_json::json;

use crate::client::Session;
use crate::times;

#[derive(clap::Subcommand)]
pub(crate) enum PersonCommand {
    /// People who have an account.
    List,
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

pub(crate) async fn run(session: &Session, command: PersonCommand) -> anyhow::Result<()> {
    match command {
        PersonCommand::List => {
            let People { people } = session.client.get("/api/v1/people").await?;
            for Person { person, name, created_at, disabled_at } in people {
                let name: String = name.chars().filter(|c| !c.is_control()).collect();
                let disabled = if disabled_at.is_some() { ", shut out by the directory" } else { "" };
                println!("{person}  {name}, since {}{disabled}", times::format(created_at));
            }
            Ok(())
        }
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
