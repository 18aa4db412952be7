//! Runs before every handler: who is asking, and may a request of this kind
//! come from there. A route cannot forget it, since the table wraps each one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use model::{GatewayId, OrgId};
use seal::action::ServicePermission;
use seal::dpop::NONCE_HEADER;
use seal::roster::Roster;

use super::scim::ScimError;
use crate::app::App;
use crate::clock;
use crate::permits::is_administrator;
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::rate::{self, Key, PER_ADDRESS};
use crate::refusals::{self, Refused};
use crate::serve::Peer;
use crate::services::{self, Asker};
use crate::sessions::{self, Caller};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody. The reason stands in the table.
    Anyone,
    /// Whoever holds a one-time token, which the handler checks. Limited per
    /// address, as everything that could be guessed at.
    Token,
    /// Whoever knows a password and a code, which the handler checks and
    /// limits: a limit per address alone would keep out those who are known.
    SignIn,
    Session,
    /// A session without proof of its key, for what a browser cannot send a
    /// proof with; the handler takes a ticket that was asked for with one.
    Ticket,
    /// A directory's token: of a program that may provision people. Cookies
    /// count nothing here, so that no page can be made to ask.
    Provisioner,
    /// Whoever signs for a log that this server witnesses, which the handler
    /// checks; limited per address. Cookies count nothing here either.
    Log,
    /// Whoever shows what comes from the part of a link that no server is sent,
    /// which the handler checks; limited per address, apart from sign-ins.
    Link,
    /// Whoever got a mail: its program, or its provider's servers, which send no
    /// header of ours. The handler checks the link's token; limited per address,
    /// apart from sign-ins, and cookies count nothing.
    Mail,
    /// A session, or a program's token; the handler asks what it may read.
    Reader,
    /// A session, or a token of a link that the handler checks.
    SessionOrToken,
    Administrator,
    /// A gateway with a client certificate that the roster has not revoked.
    Gateway,
    /// Whoever has a signed URL, which the handler checks.
    SignedUrl,
}

#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: Arc<App>,
    pub(crate) who: Who,
    pub(crate) time_max: Duration,
    pub(crate) viewers: bool,
    /// Method and path, as the history names what was refused.
    pub(crate) route: (&'static str, &'static str),
}

/// A gateway that asks, as the roster knows it now.
#[derive(Clone, Debug)]
pub(crate) struct GatewayCaller {
    pub(crate) org: OrgId,
    pub(crate) gateway: GatewayId,
    pub(crate) roster: Arc<Roster>,
}

pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    guard.app.metrics.requests.add(1);
    let admitted = admit(&guard, &mut request).await;
    let who = refusals::Who::of(request.extensions());
    let mut response = match admitted {
        Err(problem) if guard.who == Who::Provisioner => ScimError::from(problem).into_response(),
        Err(problem) => problem.into_response(),
        Ok(()) => match tokio::time::timeout(guard.time_max, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "This took too long.", "Try again.")
                    .into_response()
            }
        },
    };
    if let Some(Refused(why)) = response.extensions().get() {
        let (method, path) = guard.route;
        guard.app.refusals.count(who, format!("{method} {path}"), *why);
    }
    if guard.viewers && guard.route.1.starts_with("/api/") {
        response.headers_mut().insert(NONCE_HEADER, guard.app.proof_nonce(clock::now()));
    }
    response
}

async fn admit(guard: &Guard, request: &mut Request) -> Result<(), Problem> {
    let (app, now) = (&guard.app, clock::now());
    let peer = request.extensions().get::<Peer>().copied();
    if guard.viewers {
        our_host(app, request)?;
        if !matches!(guard.who, Who::Provisioner | Who::Log | Who::Mail) {
            same_site(app, request)?;
        }
    }
    match guard.who {
        Who::Anyone | Who::SignedUrl | Who::SignIn => {}
        Who::Token => within_rate(app, peer)?,
        // Apart from what people need, where all come through one proxy.
        Who::Log | Who::Link | Who::Mail => {
            let address = peer.map(|peer| rate::network(peer.address).to_string()).unwrap_or_default();
            if !app.limiter.allow(Key::Account(format!("{:?} {address}", guard.who)), PER_ADDRESS, now) {
                return Err(Problem::too_many());
            }
        }
        Who::Provisioner => {
            let service = services::authenticate(&app.database, request.headers(), now).await?;
            let Some(service) = service else {
                within_rate(app, peer)?;
                return Err(Problem::signed_out());
            };
            let service = Arc::new(service);
            request.extensions_mut().insert(Asker::Service(service.clone()));
            if !service.may(ServicePermission::ProvisionPeople) {
                return Err(cloud_core::Denial::Principal.into());
            }
            request.extensions_mut().insert(service);
        }
        Who::Reader if services::shown(request.headers()) => {
            let Some(service) = services::authenticate(&app.database, request.headers(), now).await? else {
                within_rate(app, peer)?;
                return Err(Problem::signed_out());
            };
            request.extensions_mut().insert(Asker::Service(Arc::new(service)));
        }
        Who::Session | Who::Ticket | Who::Reader | Who::SessionOrToken | Who::Administrator => {
            let caller = sessions::authenticate(&app.database, request.headers(), now).await?;
            match caller {
                Some((caller, HeldKey(key))) => {
                    let caller = Caller { network: peer.map(|peer| peer.address), ..caller };
                    let roster = app.roster(caller.org, now).await?;
                    // A session that a device opened ends with the device.
                    if caller.device.is_some_and(|device| roster.device_in_force(device, now).is_none()) {
                        app.database.end_session(caller.session).await?;
                        return Err(Problem::signed_out());
                    }
                    request.extensions_mut().insert(Asker::Person(caller));
                    request.extensions_mut().insert(caller);
                    if guard.who != Who::Ticket {
                        let target = (request.method(), request.uri().path());
                        app.check_proof(target, request.headers(), key, now)?;
                    }
                    if guard.who == Who::Administrator && !is_administrator(&roster, caller.person, now) {
                        return Err(cloud_core::Denial::NotAdministrator.into());
                    }
                    // Who came from an identity provider with one factor looks, and changes nothing.
                    let two = caller.second_factor || caller.device.is_some();
                    if guard.who == Who::Administrator && request.method() != Method::GET && !two {
                        return Err(cloud_core::Denial::SecondFactor.into());
                    }
                }
                None if guard.who == Who::SessionOrToken => within_rate(app, peer)?,
                None => return Err(Problem::signed_out()),
            }
        }
        Who::Gateway => {
            let shown = peer.filter(|peer| now < peer.ends_at).and_then(|peer| peer.gateway);
            let gateway = shown.ok_or_else(Problem::certificate)?;
            let caller = gateway_in_force(app, gateway).await?;
            request.extensions_mut().insert(caller);
        }
    }
    Ok(())
}

pub(crate) async fn gateway_in_force(app: &App, gateway: GatewayId) -> Result<GatewayCaller, Problem> {
    let org = app.database.org_of_gateway(gateway).await?.ok_or_else(Problem::certificate)?;
    let roster = app.roster(org, clock::now()).await?;
    // The roster's own list holds only gateways that were not revoked.
    match roster.gateway(gateway) {
        Some(_) if !roster.state().revoked_gateways.contains(&gateway) => {
            Ok(GatewayCaller { org, gateway, roster })
        }
        _ => Err(Problem::certificate()),
    }
}

fn within_rate(app: &App, peer: Option<Peer>) -> Result<(), Problem> {
    let Some(peer) = peer else { return Err(Problem::too_many()) };
    if app.limiter.allow(Key::Address(peer.address), PER_ADDRESS, clock::now()) {
        Ok(())
    } else {
        Err(Problem::too_many())
    }
}

/// A page whose name was made to point here would count as us.
fn our_host(app: &App, request: &Request) -> Result<(), Problem> {
    if !header_text(request.headers(), header::HOST.as_str())
        .is_some_and(|host| app.hosts.contains(&host.to_ascii_lowercase()))
    {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "other_host",
            "This server does not answer to that name.",
            "Use the address in listen.public_url, or set it to the one that people use.",
        ));
    }
    Ok(())
}

/// Forms and pages of other sites are refused three times over: the cookie is
/// `SameSite=Strict`, a change needs a header that forms cannot set, and an
/// `Origin`, if there is one, must be ours.
fn same_site(app: &App, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let upgrades = headers.contains_key(header::UPGRADE);
    let foreign =
        header_text(headers, header::ORIGIN.as_str()).is_some_and(|origin| !app.passkeys.is_ours(origin));
    let unmarked = header_text(headers, "x-lenskeep") != Some("1");
    if (!reads && unmarked) || ((!reads || upgrades) && foreign) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "other_site",
            "The request does not come from a page of this server.",
            "Use the web app at its own address; programs send the header X-Lenskeep: 1. The origin of \
             `lenskeep app` must stand in app_origins of the cloud's configuration.",
        ));
    }
    Ok(())
}

/// A header that stands exactly once.
fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}
