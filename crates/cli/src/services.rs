//! `lenskeep service-account`: accounts for programs, such as a dashboard that
//! reads lists or a directory that provisions people. This device makes the
//! token and signs what the account may do; the cloud learns the token's hash.

use std::collections::BTreeSet;

use anyhow::ensure;
use clap::ValueEnum;
use model::{CameraId, Hash, PersonId, Secret, ServiceId, Timestamp};
use seal::action::{Action, ServicePermission};
use seal::roster::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Session, now, random};
use crate::text::printable;
use crate::times;

#[derive(clap::Subcommand)]
pub(crate) enum ServiceCommand {
    /// Make an account and print its token, once.
    Create(Create),
    /// Accounts, what they may do, and when they were used last.
    List {
        #[arg(long)]
        json: bool,
    },
    /// End an account at once.
    Revoke { id: ServiceId },
}

#[derive(clap::Args)]
pub(crate) struct Create {
    #[arg(long)]
    name: String,
    /// What it may do; repeat it for more.
    #[arg(long = "allow", value_name = "WHAT", required = true)]
    permissions: Vec<Permission>,
    /// About this camera only; repeat it for more. Default: all cameras.
    #[arg(long = "camera", value_name = "ID", conflicts_with = "groups")]
    cameras: Vec<CameraId>,
    /// About the cameras of this group only; repeat it for more.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Ends after so many days, at most 366.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Permission {
    ListCameras,
    ListGateways,
    ListRecordings,
    ReadHistory,
    ProvisionPeople,
}

impl From<Permission> for ServicePermission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::ListCameras => ServicePermission::ListCameras,
            Permission::ListGateways => ServicePermission::ListGateways,
            Permission::ListRecordings => ServicePermission::ListRecordings,
            Permission::ReadHistory => ServicePermission::ReadHistory,
            Permission::ProvisionPeople => ServicePermission::ProvisionPeople,
        }
    }
}

#[derive(Deserialize)]
struct Accounts {
    accounts: Vec<Account>,
}

#[derive(Deserialize, Serialize)]
struct Account {
    id: ServiceId,
    name: String,
    permissions: Vec<ServicePermission>,
    scope: Scope,
    created_by: PersonId,
    created_at: Timestamp,
    ends_at: Timestamp,
    used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

pub(crate) async fn run(session: &mut Session, command: ServiceCommand) -> anyhow::Result<()> {
    match command {
        ServiceCommand::Create(create) => make(session, create).await,
        ServiceCommand::List { json } => list(session, json).await,
        ServiceCommand::Revoke { id } => {
            session.client.delete(&format!("/api/v1/service-accounts/{id}")).await?;
            println!("revoked");
            Ok(())
        }
    }
}

async fn make(session: &mut Session, create: Create) -> anyhow::Result<()> {
    for camera in &create.cameras {
        ensure!(session.roster.camera(*camera).is_some(), "{camera} is not a camera of this organisation");
    }
    let scope = match (create.cameras.is_empty(), create.groups.is_empty()) {
        (true, true) => Scope::All,
        (false, _) => Scope::Cameras { cameras: create.cameras.into_iter().collect() },
        (true, false) => Scope::Groups { groups: create.groups.into_iter().collect() },
    };
    let permissions: BTreeSet<ServicePermission> = create.permissions.into_iter().map(Into::into).collect();
    let account = ServiceId::from_random(random());
    let until = now().plus_ms(create.days * Timestamp::DAY);
    let text = Secret::new(format!("lkst_{}", Hash(random())));
    let token = seal::sha256(text.expose().as_bytes());
    let name = create.name;
    let action = Action::CreateServiceAccount { account, token, name, permissions, scope, until };
    let state = session.roster.head().1;
    let others = session.ordered("/api/v1/service-accounts", (state, action), json!({}), "").await?;
    if let Some(others) = others {
        eprintln!("{others}\nUntil then its token is worth nothing.");
    }
    eprintln!("{account} ends {}. This is its token; it is not shown again:", times::format(until));
    println!("{}", text.expose());
    Ok(())
}

async fn list(session: &Session, as_json: bool) -> anyhow::Result<()> {
    let Accounts { accounts } = session.client.get("/api/v1/service-accounts").await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&accounts)?);
        return Ok(());
    }
    if accounts.is_empty() {
        println!("There are no service accounts.");
    }
    for account in &accounts {
        let state = match (account.revoked_at, account.ends_at <= now()) {
            (Some(at), _) => format!("revoked {}", times::format(at)),
            (None, true) => format!("ended {}", times::format(account.ends_at)),
            (None, false) => format!("ends {}", times::format(account.ends_at)),
        };
        let used =
            account.used_at.map_or("never used".to_owned(), |at| format!("used {}", times::format(at)));
        let name = printable(&account.name);
        println!("{}  {name}  {state}, {used}", account.id);
        println!(
            "  {} {}",
            serde_json::to_string(&account.permissions)?,
            serde_json::to_string(&account.scope)?
        );
    }
    Ok(())
}
