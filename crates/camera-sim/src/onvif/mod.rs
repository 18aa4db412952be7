//! ONVIF's device, media, event and PTZ services, as far as finding a camera,
//! hearing its events, seeing a still picture of it and moving it needs them: WS-Discovery, profiles and their
//! addresses, real-time pull points (Core Specification section 9), UsernameToken
//! or HTTP Digest, and whatever cameras do wrong there.

mod answers;
mod auth;
mod axis;
pub(crate) mod discovery;
mod events;
pub(crate) mod media;
mod ptz;
mod request;
mod still;
mod vapix;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::head::Head;
use crate::{Credentials, Fault, Identity};
use answers::Answer;
use events::Events;
pub use ptz::PtzFault;
use request::Request;
use still::Content;

/// Each field has a default: UsernameToken, a clock that is right, and pull
/// points that are told apart by their addresses.
#[derive(Clone, Debug, Default)]
pub struct OnvifOptions {
    /// Over HTTPS, as whom.
    pub tls: Option<Identity>,
    pub auth: OnvifAuth,
    /// Seconds by which the camera's clock is ahead.
    pub clock_ahead: i64,
    /// Pull points are told apart by a reference parameter, as at AXIS.
    pub reference_parameters: bool,
    /// What the camera takes for its own address, such as
    /// `http://192.168.1.64`. As behind a translation of addresses, or as a
    /// hostile camera would.
    pub named: Option<String>,
    /// It can be moved.
    pub ptz: bool,
    /// It streams its events, too, as cameras of Axis do, and is moved as they are.
    pub vapix: bool,
    /// More lines of its parameters: what somebody set there, as `root.A.B=value`.
    pub parameters: Vec<String>,
    /// Lines of its log.
    pub log: Vec<String>,
    /// What it does wrong when it is moved.
    pub ptz_fault: Option<PtzFault>,
    /// Something moves this often, for a third of the time.
    pub event_every: Option<Duration>,
    /// By which rule; none is "Yard".
    pub event_rule: Option<String>,
    /// Where it answers those who look for cameras, if it does.
    pub discovery: Option<discovery::Discovery>,
    /// It knows the older media service alone.
    pub old_media: bool,
}

/// How a client shows that it has the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnvifAuth {
    /// WS-Security with a digest.
    #[default]
    UsernameToken,
    /// HTTP Digest.
    Md5,
    Sha256,
    /// HTTP Basic.
    Basic,
}

/// Of a request's body, in bytes.
const BODY_MAX: usize = 64 << 10;
/// A client that asks to be held back longer is answered then.
const POLL_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Onvif {
    options: OnvifOptions,
    credentials: Option<Credentials>,
    /// Such as `http://127.0.0.1:8000`.
    origin: String,
    /// As people named the camera.
    name: String,
    streams: Vec<media::Stream>,
    guard: Mutex<auth::Guard>,
    /// Of still pictures, which have challenges of their own.
    still_guard: Mutex<auth::Guard>,
    pub(crate) events: Events,
    head: Arc<Head>,
    began: Instant,
    requests: AtomicU64,
    tokens: vapix::Tokens,
    stills: AtomicU64,
}

impl Onvif {
    pub(crate) fn new(
        options: OnvifOptions,
        credentials: Option<Credentials>,
        origin: String,
        (name, streams): (String, Vec<media::Stream>),
        head: Arc<Head>,
    ) -> Self {
        let (guard, still_guard, events, requests, stills) = Default::default();
        let (began, tokens) = (Instant::now(), vapix::Tokens::default());
        Onvif {
            options,
            credentials,
            origin,
            name,
            streams,
            guard,
            still_guard,
            events,
            head,
            began,
            requests,
            stills,
            tokens,
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Of the device service, as the camera says it.
    fn url_named(&self) -> String {
        format!("{}/onvif/device_service", self.named())
    }

    /// Of the device service.
    pub(crate) fn url(&self) -> String {
        format!("{}/onvif/device_service", self.origin)
    }

    /// Of the event stream, if there is one.
    pub(crate) fn stream_url(&self) -> Option<String> {
        self.options.vapix.then(|| format!("{}{}", self.origin, vapix::PATH))
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Questions for a still picture, answered or not.
    pub(crate) fn stills(&self) -> u64 {
        self.stills.load(Ordering::Relaxed)
    }

    /// Where the camera says that it is.
    fn named(&self) -> &str {
        self.options.named.as_deref().unwrap_or(&self.origin)
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::seconds(self.options.clock_ahead)
    }

    async fn answer(
        &self,
        target: &str,
        authorization: Option<&str>,
        body: &[u8],
        fault: Option<Fault>,
    ) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        match fault {
            Some(Fault::NoAnswer) => std::future::pending().await,
            Some(Fault::OnvifRedirect) => return Answer::Redirect(format!("{}{target}", self.named())),
            Some(Fault::OnvifEcho) => return Answer::echo(authorization, body),
            _ => {}
        }
        let Some(request) = Request::read(body) else {
            return Answer::fault("Sender", "WellFormed", "this is no SOAP request");
        };
        if request.name != "GetSystemDateAndTime"
            && let Err(refused) = self.check(&request, target, authorization, fault)
        {
            return refused;
        }
        let is_of_media = target.starts_with("/onvif/media");
        match (request.name.as_str(), fault) {
            (_, Some(Fault::OnvifLocked)) => {
                return Answer::fault("Sender", "NotAuthorized", "The account is locked for 30 minutes");
            }
            (_, Some(Fault::OnvifNoRight)) if is_of_media => {
                return Answer::fault("Sender", "NotAuthorized", "Sender not authorized");
            }
            (_, Some(Fault::OnvifCutOff)) => return Answer::cut_off(),
            (_, Some(Fault::OnvifEntities)) => return Answer::entities(),
            (_, Some(Fault::OnvifHuge)) => return Answer::huge(),
            ("Renew", Some(Fault::OnvifNoRenew)) => {
                return Answer::fault("Receiver", "ActionNotSupported", "subscriptions are not renewed");
            }
            ("PullMessages", Some(Fault::OnvifFlood)) => return answers::flood(self.now()),
            ("PullMessages", Some(Fault::OnvifNothing)) => {
                return answers::pulled(self.now(), Duration::from_secs(60), &[]);
            }
            ("PullMessages", Some(Fault::OnvifForgets)) => {
                self.events.forget_all();
            }
            _ => {}
        }
        if let Some(answer) = ptz::answer(&self.options, &self.head, &request).await {
            return answer;
        }
        match request.name.as_str() {
            "GetSystemDateAndTime" => answers::system_time(self.now()),
            "GetServices" => answers::services(self.named(), self.options.old_media, self.options.ptz),
            "GetCapabilities" => answers::capabilities(self.named()),
            "GetDeviceInformation" => answers::device_information(self.options.vapix),
            "GetSystemLog" if request.text("LogType") == Some("System") => answers::log(&self.options.log),
            "GetSystemBackup" => answers::backup(&self.options.parameters),
            "GetProfiles" if is_of_media => {
                media::profiles(&self.streams, target.contains("media2"), self.options.ptz)
            }
            "GetStreamUri" if is_of_media => {
                let token = request.text("ProfileToken").unwrap_or_default();
                let named = self.options.named.as_deref();
                media::stream_uri(&self.streams, token, target.contains("media2"), named)
            }
            "GetSnapshotUri" if is_of_media => still::uri(self, &request, target.contains("media2"), fault),
            "GetEventProperties" => answers::event_properties(),
            "GetServiceCapabilities" => answers::service_capabilities(),
            "CreatePullPointSubscription" => {
                let lifetime = request.duration("InitialTerminationTime", self.now());
                match self.events.subscribe(lifetime) {
                    Some(id) => answers::pull_point(
                        self.named(),
                        id,
                        self.options.reference_parameters,
                        (self.now(), lifetime),
                    ),
                    None => Answer::fault("Receiver", "MaxPullPoints", "there are too many pull points"),
                }
            }
            name => match self.point(&request, target) {
                Some(point) => self.answer_at_point(name, point, &request).await,
                None => Answer::fault("Sender", "ResourceUnknown", "there is no such pull point"),
            },
        }
    }

    async fn answer_at_point(&self, name: &str, point: u32, request: &Request) -> Answer {
        match name {
            "PullMessages" => {
                let patience = request.duration("Timeout", self.now()).min(POLL_MAX);
                let limit = request.number("MessageLimit").unwrap_or(1);
                match self.events.pull(point, patience, limit).await {
                    Some((told, left)) => answers::pulled(self.now(), left, &told),
                    None => Answer::fault("Sender", "ResourceUnknown", "the pull point is gone"),
                }
            }
            "SetSynchronizationPoint" => {
                self.events.synchronise(point);
                answers::synchronised()
            }
            "Renew" => {
                let lifetime = request.duration("TerminationTime", self.now());
                self.events.renew(point, lifetime);
                answers::renewed(self.now(), lifetime)
            }
            "Unsubscribe" => {
                self.events.unsubscribe(point);
                answers::unsubscribed()
            }
            _ => Answer::fault("Sender", "ActionNotSupported", "there is no such action"),
        }
    }

    /// Which pull point a request is for, if there is one.
    fn point(&self, request: &Request, target: &str) -> Option<u32> {
        let id = match self.options.reference_parameters {
            true => request.text("SubscriptionId")?,
            false => target.rsplit_once("?Idx=")?.1,
        };
        id.parse().ok().filter(|id| self.events.has(*id))
    }

    fn check(
        &self,
        request: &Request,
        target: &str,
        authorization: Option<&str>,
        fault: Option<Fault>,
    ) -> Result<(), Answer> {
        let Some(credentials) = self.credentials.as_ref() else { return Ok(()) };
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = fault == Some(Fault::WrongPassword);
        match self.options.auth {
            OnvifAuth::UsernameToken => {
                let right = !wrong && guard.accepts_token(request, credentials, self.now());
                let refused = || Answer::fault("Sender", "NotAuthorized", "Sender not authorized");
                right.then_some(()).ok_or_else(refused)
            }
            way => {
                let right = authorization
                    .is_some_and(|header| guard.accepts_header(header, way, credentials, ("POST", target)));
                let refused = || Answer::Unauthorized(guard.challenge(way));
                (right && !wrong).then_some(()).ok_or_else(refused)
            }
        }
    }
}

/// Whether it is asked for as cameras of Axis have it.
fn is_vapix(path: &str) -> bool {
    matches!(path, vapix::PATH | vapix::TOKENS) || axis::Program::at(path).is_some()
}

/// Who asks for the event stream, for a token with which to do it, or moves the
/// camera. `true`: the stream is to begin.
async fn answer_vapix(
    onvif: &Onvif,
    (head, body): (&hyper::http::request::Parts, Incoming),
    fault: Option<Fault>,
) -> (Response<Content>, bool) {
    onvif.requests.fetch_add(1, Ordering::Relaxed);
    let (target, path) = (head.uri.path_and_query().map_or("/", |target| target.as_str()), head.uri.path());
    match fault {
        Some(Fault::NoAnswer) => std::future::pending().await,
        Some(Fault::OnvifRedirect) => {
            return (response(Answer::Redirect(format!("{}{target}", onvif.named()))), false);
        }
        _ => {}
    }
    let way = match onvif.options.auth {
        OnvifAuth::UsernameToken => OnvifAuth::Md5,
        way => way,
    };
    let is_let_in = match &onvif.credentials {
        None => true,
        Some(_) if path == vapix::PATH && onvif.tokens.take(head.uri.query().unwrap_or_default()) => true,
        Some(credentials) => {
            let header = head.headers.get(AUTHORIZATION);
            let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let mut guard = onvif.guard.lock().unwrap_or_else(PoisonError::into_inner);
            header.is_some_and(|header| {
                guard.accepts_header(&header, way, credentials, (head.method.as_str(), target))
            })
        }
    };
    if !is_let_in || fault == Some(Fault::WrongPassword) {
        let challenge = onvif.guard.lock().unwrap_or_else(PoisonError::into_inner).challenge(way);
        return (response(Answer::Unauthorized(challenge)), false);
    }
    if path == vapix::TOKENS {
        return (Response::new(Content::of(onvif.tokens.give())), false);
    }
    if let Some(program) = axis::Program::at(path) {
        let asked = match head.method {
            Method::POST => collect(body).await.unwrap_or_default(),
            _ => head.uri.query().unwrap_or_default().as_bytes().to_vec(),
        };
        let answer = axis::answer(&onvif.options, &onvif.head, (program, &asked), fault).await;
        return (answer, false);
    }
    let agreed = vapix::agreed(&head.headers);
    let begins = agreed.status() == StatusCode::SWITCHING_PROTOCOLS;
    (agreed.map(Content::of), begins)
}

/// One connection of a client, until it ends. `fault` is asked for each request.
pub(crate) async fn serve<S>(stream: S, onvif: &Onvif, fault: impl Fn() -> Option<Fault>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let fault = &fault;
    let stream_begins = &Mutex::new(None);
    let service = service_fn(|mut request: hyper::Request<Incoming>| async move {
        if onvif.options.vapix && is_vapix(request.uri().path()) {
            let upgrade = hyper::upgrade::on(&mut request);
            let (head, body) = request.into_parts();
            let (answer, begins) = Box::pin(answer_vapix(onvif, (&head, body), fault())).await;
            *stream_begins.lock().unwrap_or_else(PoisonError::into_inner) = begins.then_some(upgrade);
            return Ok(answer);
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let header = request.headers().get(AUTHORIZATION);
        let authorization = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if request.method() == Method::GET {
            return Ok(still::answer(onvif, &target, authorization.as_deref(), fault()));
        }
        let answer = match collect(request.into_body()).await {
            Some(body) => Box::pin(onvif.answer(&target, authorization.as_deref(), &body, fault())).await,
            None => Answer::fault("Sender", "TooLong", "the request is too long"),
        };
        Ok::<_, Infallible>(response(answer))
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.with_upgrades().await {
        tracing::debug!("a client of the simulated ONVIF service left: {error}");
    }
    let upgrade = stream_begins.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Ok(upgraded)) = futures_util::future::OptionFuture::from(upgrade).await else { return };
    if let Err(error) = Box::pin(vapix::tell(upgraded, &onvif.events, || onvif.now(), fault)).await {
        tracing::debug!("a client of the simulated event stream left: {error}");
    }
}

async fn collect(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { return Some(bytes) };
        if let Some(data) = frame.ok()?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > BODY_MAX {
            return None;
        }
    }
}

fn response(answer: Answer) -> Response<Content> {
    let (status, header, body) = match answer {
        Answer::Content(body) => (StatusCode::OK, None, body),
        Answer::Fault(body) => (StatusCode::BAD_REQUEST, None, body),
        Answer::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, Some((LOCATION, to)), String::new()),
        Answer::Unauthorized(challenge) => {
            (StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, challenge)), String::new())
        }
    };
    let mut response = Response::new(Content::of(body));
    *response.status_mut() = status;
    let soap = HeaderValue::from_static("application/soap+xml; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, soap);
    if let Some((name, value)) = header.and_then(|(name, value)| Some((name, value.parse().ok()?))) {
        response.headers_mut().insert(name, value);
    }
    response
}
