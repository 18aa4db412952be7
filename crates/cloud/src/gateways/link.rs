//! The live link of a gateway: one WebSocket, opened by the gateway. Ends when
//! the roster revokes it, its certificate runs out, a newer link takes over,
//! or it falls silent.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use model::wire::{
    ANSWERS_HEADER, ANSWERS_LOCKS, ANSWERS_NOTICES, ANSWERS_PTZ, ANSWERS_RECORDINGS, ANSWERS_TIMELINES,
    FromGateway, LINK_FRAME_MAX, ToGateway,
};
use tokio::time::Instant;

use super::report::is_its_own;
use crate::app::App;
use crate::clock;
use crate::http::guard::{GatewayCaller, gateway_in_force};
use crate::hub::{Answers, LinkEnd, LinkStatus, Listed};
use crate::serve::Peer;

const RECHECK: Duration = Duration::from_secs(5);
/// Gateways say how they are every 10 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
const SEND_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn link(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let says = |answer: &str| headers.get_all(ANSWERS_HEADER).iter().any(|value| value == answer);
    let answers = Answers {
        recordings: says(ANSWERS_RECORDINGS),
        timelines: says(ANSWERS_TIMELINES),
        notices: says(ANSWERS_NOTICES),
        ptz: says(ANSWERS_PTZ),
        locks: says(ANSWERS_LOCKS),
    };
    let tasks = app.tasks.clone();
    upgrade
        .max_message_size(LINK_FRAME_MAX)
        .max_frame_size(LINK_FRAME_MAX)
        .on_upgrade(move |socket| tasks.track_future(serve(app, caller, peer, answers, socket)))
}

async fn serve(app: Arc<App>, caller: GatewayCaller, peer: Peer, answers: Answers, socket: WebSocket) {
    let gateway = caller.gateway;
    let (mut sink, stream) = socket.split();
    let end = app.hub.link(caller.org, gateway, answers);
    tracing::info!(%gateway, address = %peer.address, "linked");
    let reason = run(&app, caller, peer, end, &mut sink, stream).await;
    tracing::info!(%gateway, "link ended: {reason}");
    let frame = CloseFrame { code: close_code::NORMAL, reason: reason.into() };
    let goodbye = sink.send(Message::Close(Some(frame)));
    let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
}

/// Returns why it ended.
async fn run(
    app: &App,
    mut caller: GatewayCaller,
    peer: Peer,
    mut end: LinkEnd,
    sink: &mut SplitSink<WebSocket, Message>,
    mut stream: futures_util::stream::SplitStream<WebSocket>,
) -> &'static str {
    let mut changes = app.hub.rights_changes();
    let mut recheck = tokio::time::interval(RECHECK);
    let mut heard = Instant::now();
    let cut = end.cut.clone();
    loop {
        let check = tokio::select! {
            () = cut.cancelled() => return "another link of this gateway took over, or it did not read",
            () = app.shutdown.cancelled() => return "the cloud is restarting",
            message = stream.next() => {
                heard = Instant::now();
                let taken = match message {
                    Some(Ok(Message::Binary(frame))) => end.frame(frame, &caller.roster),
                    Some(Ok(Message::Text(text))) => hear(&end, &caller, &text),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return "the gateway left",
                };
                if let Err(fault) = taken {
                    tracing::warn!(gateway = %caller.gateway, "link: {fault}");
                    return "the gateway sent what it may not";
                }
                false
            }
            message = end.outbox.recv() => match message {
                Some(message) if say(sink, &message).await => false,
                _ => return "the gateway does not read",
            },
            _ = recheck.tick() => true,
            _ = changes.changed() => true,
        };
        if !check {
            continue;
        }
        if heard.elapsed() > SILENCE_MAX {
            return "the gateway is silent";
        }
        if clock::now() >= peer.ends_at {
            return "the certificate has ended";
        }
        match gateway_in_force(app, caller.gateway).await {
            Ok(known) => caller = known,
            Err(problem) if problem.status.is_server_error() => {}
            Err(_) => return "the gateway was revoked",
        }
        if tokio::time::timeout(SEND_MAX, sink.send(Message::Ping(Bytes::new()))).await.is_err() {
            return "the gateway does not read";
        }
    }
}

async fn say(sink: &mut SplitSink<WebSocket, Message>, message: &ToGateway) -> bool {
    let text = serde_json::to_string(message).expect("a message serialises");
    matches!(tokio::time::timeout(SEND_MAX, sink.send(Message::Text(text.into()))).await, Ok(Ok(())))
}

fn hear(end: &LinkEnd, caller: &GatewayCaller, text: &str) -> Result<(), &'static str> {
    // It speaks for the cameras that the roster binds to it.
    let own = |camera| caller.roster.camera(camera).is_some_and(|known| known.gateway == caller.gateway);
    match serde_json::from_str(text).map_err(|_| "a message that does not parse")? {
        FromGateway::Status { state, version, mut cameras } => {
            cameras.retain(|stream| own(stream.camera));
            end.set_status(LinkStatus { state, version, cameras });
        }
        FromGateway::Settings { mut settings } => {
            settings.bandwidth.check().map_err(|_| "a bandwidth that there is not")?;
            settings.forwarding.retain(|camera, _| own(*camera));
            end.set_settings(settings);
        }
        FromGateway::WatchFailed { stream, reason } => end.watch_failed(stream, reason),
        FromGateway::CommandResult { id, envelope } => end.command_result(id, envelope),
        FromGateway::Recordings { ask, recordings, more } => {
            end.recordings(ask, Listed { recordings, more }, |recording| is_its_own(caller, recording));
        }
        FromGateway::Timeline { ask, parts } => end.timeline(ask, parts),
        FromGateway::PtzSession { ask, envelope } => end.ptz_session(ask, envelope),
        FromGateway::PtzDone { ask, refused } => end.ptz_done(ask, refused),
        FromGateway::AskFailed { ask, reason } => end.ask_failed(ask, reason),
    }
    Ok(())
}
