//! Who was refused what. Refusals are counted and written into the history a
//! few times an hour, one entry for each caller, route and reason: somebody who
//! is refused a million times fills no disk. Those of nobody in particular
//! stand, without addresses, in the history of each organisation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Extensions;
use cloud_core::{Entry, History as _};
use model::OrgId;

use crate::app::App;
use crate::clock;
use crate::database::Database;
use crate::http::guard::GatewayCaller;
use crate::services::Asker;

/// How often they are written down, and at the end.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Different ones between two times; what comes beyond is counted together.
const KINDS_MAX: usize = 2_000;
/// In place of an id.
const ANONYMOUS: &str = "anonymous";
const MANY: &str = "many";

/// A response carries it from where it is made to the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused(pub(crate) Why);

macro_rules! reasons {
    ($($name:ident = $text:literal;)*) => {
        /// Why, in one word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Why {
            $($name,)*
        }

        impl Why {
            fn as_str(self) -> &'static str {
                match self {
                    $(Why::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    SignedOut = "signed_out";
    Certificate = "certificate";
    Token = "token";
    Proof = "proof";
    Login = "login";
    TooManyRequests = "too_many_requests";
    Gateway = "gateway";
    Session = "session";
    NoDevice = "no_device";
    NotAnAdministrator = "not_an_administrator";
    ObjectName = "object_name";
    ObjectSize = "object_size";
    Camera = "camera";
    Unsigned = "unsigned";
    Device = "device";
    Principal = "principal";
    Approvals = "approvals";
    Role = "role";
    Policy = "policy";
    NoReason = "no_reason";
    SecondFactor = "second_factor";
    ShareEnded = "share_ended";
    NoPolicies = "no_policies";
    Unanswered = "unanswered";
}

/// Who asks, as far as the guard could tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    org: Option<OrgId>,
    id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    who: Who,
    /// Method and path of the route, or an action.
    what: String,
    why: Why,
}

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counted: Mutex<HashMap<Kind, u64>>,
}

impl Who {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        if let Some(asker) = extensions.get::<Asker>() {
            let id = match asker {
                Asker::Person(caller) => caller.person.to_string(),
                Asker::Service(service) => service.account.to_string(),
            };
            return Who { org: Some(asker.org()), id };
        }
        match extensions.get::<GatewayCaller>() {
            Some(gateway) => Who::gateway(gateway),
            None => Who { org: None, id: ANONYMOUS.to_owned() },
        }
    }

    pub(crate) fn gateway(caller: &GatewayCaller) -> Self {
        Who { org: Some(caller.org), id: caller.gateway.to_string() }
    }
}

impl Refusals {
    pub(crate) fn count(&self, who: Who, what: String, why: Why) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = Kind { who, what, why };
        if counted.len() >= KINDS_MAX && !counted.contains_key(&kind) {
            kind = Kind { who: Who { org: None, id: MANY.to_owned() }, what: MANY.to_owned(), why };
        }
        *counted.entry(kind).or_default() += 1;
    }

    /// Moves what was counted into the history; what cannot be written is
    /// counted on.
    pub(crate) async fn write(&self, database: &Database) -> sqlx::Result<()> {
        let counted = std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        if counted.is_empty() {
            return Ok(());
        }
        let written = write(database, &counted).await;
        if written.is_err() {
            let mut now = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, count) in counted {
                *now.entry(kind).or_default() += count;
            }
        }
        written
    }
}

async fn write(database: &Database, counted: &HashMap<Kind, u64>) -> sqlx::Result<()> {
    let at = clock::now();
    for org in database.organisations().await? {
        let concerned = counted.iter().filter(|(kind, _)| kind.who.org.is_none_or(|of| of == org));
        let entry = |(kind, count): (&Kind, &u64)| Entry {
            org,
            at,
            actor: kind.who.id.clone(),
            device: None,
            action: "refused".to_owned(),
            resource: format!("{} {}", kind.what, kind.why.as_str()),
            signature: None,
            policy: None,
            posture: None,
            request: None,
            refused: Some(*count),
        };
        let mut entries: Vec<Entry> = concerned.map(entry).collect();
        entries.sort_by(|a, b| (&a.actor, &a.resource).cmp(&(&b.actor, &b.resource)));
        database.append(&entries).await?;
    }
    Ok(())
}

pub(crate) async fn run(app: Arc<App>) {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        let ends = tokio::select! {
            () = app.shutdown.cancelled() => true,
            _ = interval.tick() => false,
        };
        if let Err(error) = app.refusals.write(&app.database).await {
            tracing::error!("refusals could not be written into the history: {error}");
        }
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_different_refusals_is_bounded() {
        let refusals = Refusals::default();
        for number in 0..10 * KINDS_MAX {
            refusals.count(Who { org: None, id: number.to_string() }, "GET /".to_owned(), Why::SignedOut);
        }
        let counted = refusals.counted.lock().unwrap();
        assert_eq!(counted.len(), KINDS_MAX + 1);
        assert_eq!(counted.values().sum::<u64>(), 10 * KINDS_MAX as u64);
    }
}
