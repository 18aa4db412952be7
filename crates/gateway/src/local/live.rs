//! `GET /api/v1/cameras/{id}/live` of this gateway: the frames of the cloud's
//! relay, without it. Whether the viewer may go on is asked again whenever the
//! roster changes and every few seconds, beside the sending.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use model::wire::{FRAME_CHUNK, FRAME_HEADER, ToViewer};
use model::{CameraId, Rendition};
use seal::local::{JournalEvent, RefusedReason};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::door::{Caller, Refused};
use super::problem::Problem;
use super::view::StreamKey;
use super::{Peer, Way};

const RECHECK: Duration = Duration::from_secs(5);
/// Viewers say nothing but close and pong.
const MESSAGE_MAX: usize = 1 << 10;
/// A viewer that takes nothing for so long is gone.
const SEND_MAX: Duration = Duration::from_secs(20);
/// Sealed chunks that wait for the viewer; beyond it whole groups of pictures are lost.
const FRAMES_QUEUE: usize = 256;
const GOODBYE_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    rendition: Option<Rendition>,
}

pub(super) async fn live(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path(camera): Path<CameraId>,
    Query(Which { rendition }): Query<Which>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let rendition = rendition.unwrap_or(Rendition::Main);
    let view = way.view();
    if view.camera(caller.device, camera, way.now(&view)).is_none() {
        way.refuse(Refused { device: Some(caller.device), reason: RefusedReason::Access }, peer);
        return Err(Problem::not_found());
    }
    let key = (camera, rendition);
    let slots = (way.streams.take(caller.device), way.viewers.take(key));
    let (Some(own), Some(viewer)) = slots else { return Err(Problem::busy()) };
    let Caller { device, person, .. } = caller;
    way.note(device, JournalEvent::Live { device, person, camera, rendition }).await?;
    Ok(upgrade.max_message_size(MESSAGE_MAX).on_upgrade(async move |socket| {
        serve(way, caller, key, socket).await;
        drop((own, viewer));
    }))
}

async fn serve(way: Arc<Way>, caller: Caller, key: StreamKey, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let reason = tokio::select! {
        () = send(&way, key, &mut sink) => None,
        () = left(&mut stream) => None,
        reason = refused(&way, caller, key.0) => Some(reason),
    };
    let goodbye = async {
        if let Some(reason) = reason {
            notify(&mut sink, &ToViewer::Ended { reason: reason.to_owned() }).await?;
        }
        sink.close().await
    };
    // It may be that nobody reads this.
    let _ = timeout(GOODBYE_MAX, goodbye).await;
}

/// Ends when the viewer leaves, or says anything: viewers have nothing to say
/// (`model::messages`).
async fn left(stream: &mut SplitStream<WebSocket>) {
    while let Some(Ok(Message::Ping(_) | Message::Pong(_))) = stream.next().await {}
}

/// Sends until the viewer ends. A stream that is started anew is taken up.
async fn send(way: &Way, key: StreamKey, sink: &mut SplitSink<WebSocket, Message>) {
    let mut views = way.view.clone();
    let mut waiting = false;
    loop {
        let outlet = views.borrow_and_update().streams.get(&key).cloned();
        let (frames, receiver) = mpsc::channel(FRAMES_QUEUE);
        if outlet.is_some_and(|outlet| outlet.watch(frames)) {
            waiting = false;
            if !forward(receiver, sink).await {
                return;
            }
        } else if !std::mem::replace(&mut waiting, true) && !in_time(notify(sink, &ToViewer::Waiting)).await {
            return;
        }
        // The stream is gone; the supervisor shows what comes in its place.
        if let Ok(Err(_)) = timeout(RECHECK, views.changed()).await {
            return;
        }
    }
}

/// True when the stream ends, false when the viewer does.
async fn forward(mut frames: mpsc::Receiver<Bytes>, sink: &mut SplitSink<WebSocket, Message>) -> bool {
    let mut last = None;
    loop {
        let sent = match timeout(SEND_MAX, frames.recv()).await {
            Ok(None) => return true,
            Ok(Some(frame)) => {
                let skipped = skipped(&mut last, &frame);
                if skipped > 0 && !in_time(notify(sink, &ToViewer::Skipped { chunks: skipped })).await {
                    return false;
                }
                in_time(sink.send(Message::Binary(frame))).await
            }
            // Nothing comes in; see whether the viewer is still there.
            Err(_) => in_time(sink.send(Message::Ping(Bytes::new()))).await,
        };
        if !sent {
            return false;
        }
    }
}

/// How many chunks are missing before this one, as far as their numbers tell.
fn skipped(last: &mut Option<u32>, frame: &[u8]) -> u64 {
    match frame.split_first() {
        Some((&FRAME_CHUNK, rest)) => {
            let Some((number, _)) = rest.split_first_chunk::<4>() else { return 0 };
            let number = u32::from_be_bytes(*number);
            let before = last.replace(number);
            before.map_or(0, |before| u64::from(number.saturating_sub(before).saturating_sub(1)))
        }
        Some((&FRAME_HEADER, _)) => {
            *last = None;
            0
        }
        _ => 0,
    }
}

async fn in_time(send: impl Future<Output = Result<(), axum::Error>>) -> bool {
    matches!(timeout(SEND_MAX, send).await, Ok(Ok(())))
}

async fn notify(sink: &mut SplitSink<WebSocket, Message>, notice: &ToViewer) -> Result<(), axum::Error> {
    let text = serde_json::to_string(notice).expect("a notice serialises");
    sink.send(Message::Text(text.into())).await
}

/// Ends when the viewer may not go on, with the reason.
async fn refused(way: &Way, caller: Caller, camera: CameraId) -> &'static str {
    let mut views = way.view.clone();
    loop {
        let view = views.borrow_and_update().clone();
        if view.camera(caller.device, camera, way.now(&view)).is_none() {
            return "you may no longer watch this camera";
        }
        // A device that proves itself again meanwhile watches on.
        if !way.door.is_inside(caller.device) {
            return "the session has ended; prove the device again";
        }
        if let Ok(Err(_)) = timeout(RECHECK, views.changed()).await {
            return "the gateway is ending";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_the_numbers() {
        let mut last = None;
        let mut of = |number: u32| skipped(&mut last, &[&[FRAME_CHUNK][..], &number.to_be_bytes()].concat());
        assert_eq!([of(30), of(31), of(60), of(61)], [0, 0, 28, 0]);
        assert_eq!(skipped(&mut last, &[FRAME_HEADER, 1]), 0);
        assert_eq!((skipped(&mut last, &[FRAME_CHUNK]), last), (0, None));
    }
}
