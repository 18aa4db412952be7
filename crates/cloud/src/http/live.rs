//! `GET /api/v1/cameras/{id}/live`: sealed chunks to one viewer, as they come
//! in. A browser opens a WebSocket with its cookie alone, so it shows a ticket
//! that it was given for a proof of its session's key. Whether the viewer may go on is asked again every few seconds and
//! whenever a roster changes or a session ends, beside the sending and not between two sends:
//! a viewer that does not read is cut as promptly as any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use cloud_core::Action;
use cloud_core::relay::Item;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use model::wire::ToViewer;
use model::{CameraId, Rendition, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path, Query};
use crate::app::App;
use crate::hub::{Next, StreamKey, Viewer};
use crate::permits::Still;
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::{clock, random};

/// Between a ticket and its use.
const TICKET_MS: u64 = 30 * Timestamp::SECOND;
const TICKET: &str = "live-ticket";
/// How often it is asked whether the viewer may go on (protocol.md section 3).
const RECHECK: Duration = Duration::from_secs(5);
/// Viewers say nothing but close and pong.
const MESSAGE_MAX: usize = 1 << 10;
/// A viewer that takes nothing for so long is gone.
const SEND_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    rendition: Option<Rendition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    rendition: Option<Rendition>,
    ticket: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiveTicket {
    /// For the query of `GET`: once, for this session, camera and rendition.
    #[schema(value_type = String)]
    ticket: Secret,
    #[schema(value_type = u64)]
    expires_at: Timestamp,
}

#[utoipa::path(post, path = "/api/v1/cameras/{id}/live",
    params(("id" = String, Path), ("rendition" = Option<String>, Query, description = "`main` (default) or `sub`")),
    responses((status = 200, body = LiveTicket)))]
pub(crate) async fn ticket(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Query(query): Query<Which>,
) -> Result<Json<LiveTicket>, Problem> {
    let now = clock::now();
    let rendition = query.rendition.unwrap_or(Rendition::Main);
    let roster = app.roster(caller.org, now).await?;
    app.permit(&caller, &roster, Action::Live { camera, rendition }, now).await?;
    let (ticket, expires_at) = (random::token().to_string(), now.plus_ms(TICKET_MS));
    let what = ticketed(&caller, camera, rendition);
    app.database.add_ceremony(random::hashed(&ticket), TICKET, &what, expires_at, now).await?;
    Ok(Json(LiveTicket { ticket: Secret::new(ticket), expires_at }))
}

/// What a ticket is for.
fn ticketed(caller: &Caller, camera: CameraId, rendition: Rendition) -> String {
    format!("{} {camera} {rendition}", caller.session)
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}/live",
    params(
        ("id" = String, Path),
        ("rendition" = Option<String>, Query, description = "`main` (default) or `sub`, as in the ticket"),
        ("ticket" = String, Query, description = "from `POST`; good once, for 30 s"),
    ),
    responses((status = 101, description = "WebSocket; frames as in protocol.md section 3"),
        (status = 401, description = "`ticket_refused`: the ticket was used, has ended, or is for something else")))]
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Query(query): Query<Shown>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let now = clock::now();
    let rendition = query.rendition.unwrap_or(Rendition::Main);
    let taken = app.database.take_ceremony(random::hashed(query.ticket.expose()), TICKET, now).await?;
    if taken != Some(ticketed(&caller, camera, rendition)) {
        return Err(Problem::ticket());
    }
    let roster = app.roster(caller.org, now).await?;
    // It stands in the history since the ticket was given; rights may have
    // changed meanwhile.
    let _permit = app.decide(&caller, &roster, Action::Live { camera, rendition }, now).await?;
    let gateway = roster.camera(camera).ok_or_else(Problem::not_found)?.gateway;
    let key = StreamKey { org: caller.org, gateway, camera, rendition };
    let tasks = app.tasks.clone();
    Ok(upgrade
        .max_message_size(MESSAGE_MAX)
        .on_upgrade(move |socket| tasks.track_future(serve(app, caller, key, socket))))
}

async fn serve(app: Arc<App>, caller: Caller, key: StreamKey, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let viewer = app.hub.view(key);
    let hears = viewer.hears.clone();
    let reason = tokio::select! {
        reason = send(viewer, &mut sink) => reason,
        () = left(&mut stream) => None,
        () = refused(&app, &caller, key, &hears) => Some("you may no longer watch this camera".to_owned()),
        () = app.shutdown.cancelled() => Some("the server is restarting".to_owned()),
    };
    let goodbye = async {
        if let Some(reason) = reason {
            notify(&mut sink, &ToViewer::Ended { reason }).await?;
        }
        sink.close().await
    };
    // It may be that nobody reads this.
    let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
}

/// Ends when the viewer leaves, or says anything: viewers have nothing to say
/// (`model::messages`).
async fn left(stream: &mut SplitStream<WebSocket>) {
    while let Some(Ok(Message::Ping(_) | Message::Pong(_))) = stream.next().await {}
}

/// Sends until the stream ends (the reason) or the viewer does (none).
async fn send(mut viewer: Viewer, sink: &mut SplitSink<WebSocket, Message>) -> Option<String> {
    let mut waiting = false;
    loop {
        let sent = match viewer.next() {
            Next::Item(Item::Header(bytes) | Item::Chunk { bytes, .. }) => {
                waiting = false;
                in_time(sink.send(Message::Binary(bytes))).await
            }
            Next::Item(Item::Skipped { chunks }) => {
                in_time(notify(sink, &ToViewer::Skipped { chunks })).await
            }
            Next::Unlinked if !waiting => {
                waiting = true;
                in_time(notify(sink, &ToViewer::Waiting)).await
            }
            Next::Ended(reason) => return Some(reason),
            Next::Unlinked | Next::Nothing => {
                match tokio::time::timeout(SEND_MAX, viewer.changed()).await {
                    Ok(()) => true,
                    // Nothing comes in; see whether the viewer is still there.
                    Err(_) => in_time(sink.send(Message::Ping(Bytes::new()))).await,
                }
            }
        };
        if !sent {
            return None;
        }
    }
}

async fn in_time(send: impl Future<Output = Result<(), axum::Error>>) -> bool {
    matches!(tokio::time::timeout(SEND_MAX, send).await, Ok(Ok(())))
}

async fn notify(sink: &mut SplitSink<WebSocket, Message>, notice: &ToViewer) -> Result<(), axum::Error> {
    let text = serde_json::to_string(notice).expect("a notice serialises");
    sink.send(Message::Text(text.into())).await
}

/// Ends when the viewer may not go on. Says meanwhile whether it hears.
async fn refused(app: &App, caller: &Caller, key: StreamKey, hears: &AtomicBool) {
    let mut changes = app.hub.rights_changes();
    while may_go_on(app, caller, key, hears).await {
        let _ = tokio::time::timeout(RECHECK, changes.changed()).await;
    }
}

async fn may_go_on(app: &App, caller: &Caller, key: StreamKey, hears: &AtomicBool) -> bool {
    let StreamKey { gateway, camera, rendition, .. } = key;
    match app.still_permits(caller, Action::Live { camera, rendition }, (camera, gateway)).await {
        Still::Permitted(caller, roster) => {
            let sound = app.may_hear(&caller, &roster, camera, clock::now()).await;
            hears.store(sound.unwrap_or(false), Ordering::Relaxed);
            true
        }
        Still::Unknown => true,
        Still::Refused => false,
    }
}
