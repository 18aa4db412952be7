//! `lenskeep role`: who has which role where. A role narrows what the roster
//! opens; whoever has none is viewer and operator of all of that.

use anyhow::ensure;
use model::PersonId;
use seal::action::{Action, roles_state};
use seal::role::{Assignment, Roles};
use serde_json::json;

use crate::client::Session;
use crate::policy::{assigned_roles, roles_in_force};

#[derive(clap::Subcommand)]
pub(crate) enum RoleCommand {
    /// People who have roles.
    List,
    /// Give a person these roles in place of those before.
    Assign {
        person: PersonId,
        /// As in `viewer all`, `operator group:doors`, `auditor all`, `installer gateway:gw_…`.
        #[arg(required_unless_present = "none")]
        roles: Vec<Assignment>,
        /// Take all roles away: the person is viewer and operator of what the roster opens.
        #[arg(long, conflicts_with = "roles")]
        none: bool,
        /// For the other administrators, where it takes several.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

pub(crate) async fn run(session: &Session, command: RoleCommand) -> anyhow::Result<()> {
    match command {
        RoleCommand::List => {
            let people = roles_in_force(session).await?.roles;
            if people.values().all(Roles::is_empty) {
                println!("Nobody has a role: everybody is viewer and operator of what the roster opens.");
            }
            for (person, roles) in people.iter().filter(|(_, roles)| !roles.is_empty()) {
                let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
                println!("{person}  {}", roles.join(", "));
            }
            Ok(())
        }
        RoleCommand::Assign { person, roles, none: _, reason } => {
            let known = session.roster.state().access.contains_key(&person)
                || session.roster.state().devices.values().any(|device| device.person == person);
            ensure!(known, "{person} is nobody in the roster");
            let before = assigned_roles(session).await?.remove(&person).unwrap_or_default();
            let action = Action::AssignRoles { person, roles: roles.into_iter().collect() };
            session.order("/api/v1/roles", (roles_state(person, &before), action), json!({}), &reason).await
        }
    }
}
