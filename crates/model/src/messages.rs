//! Every message of every WebSocket: who may send it, and what stands before
//! its effect. The matches are exhaustive, so a message without its row does
//! not compile; `crates/cloud/tests/it/messages.rs` attacks each row. Viewers
//! have no rows: they say nothing, and whoever says something is cut.

use crate::wire::{FrameKind, FromGateway, ToGateway, ToViewer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Gateway,
    Cloud,
    /// Whoever shows a live stream: the cloud, or on the local way the gateway.
    Relay,
}

/// What is seen to before the message has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// What it says of cameras that the roster does not bind to it is left out.
    OwnCameras,
    /// The stream's number was given to this gateway; else it is dropped.
    OwnStream,
    /// As above, and the roster finds the gateway's signature under the header
    /// of this very stream; else the link ends.
    OwnHeader,
    /// This link was sent the command and has not answered it; else dropped.
    Asked,
    /// As above, and it is of the camera, rendition and time that was asked for,
    /// which the roster binds to the gateway, its name says what its fields say,
    /// and there are not too many.
    AskedRecordings,
    /// As `Asked`, and it has no more parts than were asked for. What of them does not
    /// fit is left out, and nothing is read by them: they are drawn.
    AskedTimeline,
    /// As `Asked`, and it has as many bytes as were asked for; else the read fails.
    AskedBytes,
    /// The gateway records the stream. Bytes leave it sealed, whoever asks.
    OwnRecording,
    /// The gateway's own index has the recording, of the camera that is named, and
    /// undamaged; the range lies within it. No more are taken than wait in turn,
    /// and nothing else waits for them. Bytes leave it sealed, whoever asks.
    OwnDisk,
    /// As many administrators as the roster demands signed it for this gateway,
    /// once, soon, and for the configuration that it has.
    Administrators,
    /// A device in force signed it, whose person may open the camera, in a session
    /// that this gateway opened, in its order and freshly; what a camera remembers
    /// is changed by administrators' devices alone.
    Steering,
    /// Nothing: it takes away, or is only a reason to look oneself.
    Nothing,
    /// The viewer may watch this camera now, which is asked again meanwhile.
    Viewing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub sender: Sender,
    pub before: Before,
}

const fn row(sender: Sender, before: Before) -> Row {
    Row { sender, before }
}

impl FromGateway {
    pub fn row(&self) -> Row {
        match self {
            FromGateway::Status { .. } | FromGateway::Settings { .. } => {
                row(Sender::Gateway, Before::OwnCameras)
            }
            FromGateway::WatchFailed { .. } => row(Sender::Gateway, Before::OwnStream),
            FromGateway::CommandResult { .. }
            | FromGateway::PtzSession { .. }
            | FromGateway::PtzDone { .. }
            | FromGateway::AskFailed { .. } => row(Sender::Gateway, Before::Asked),
            FromGateway::Recordings { .. } => row(Sender::Gateway, Before::AskedRecordings),
            FromGateway::Timeline { .. } => row(Sender::Gateway, Before::AskedTimeline),
        }
    }
}

impl FrameKind {
    /// On the link; viewers get the frames of what they watch.
    pub fn row(self) -> Row {
        match self {
            FrameKind::Header => row(Sender::Gateway, Before::OwnHeader),
            FrameKind::Chunk => row(Sender::Gateway, Before::OwnStream),
            FrameKind::Piece => row(Sender::Gateway, Before::AskedBytes),
        }
    }
}

impl ToGateway {
    pub fn row(&self) -> Row {
        match self {
            ToGateway::Watch { .. } | ToGateway::Event { .. } => row(Sender::Cloud, Before::OwnRecording),
            ToGateway::Unwatch { .. }
            | ToGateway::RosterChanged
            | ToGateway::NoticesChanged
            | ToGateway::LocksChanged => row(Sender::Cloud, Before::Nothing),
            ToGateway::Command { .. } => row(Sender::Cloud, Before::Administrators),
            // Nothing moves by it.
            ToGateway::PtzOpen { .. } => row(Sender::Cloud, Before::OwnRecording),
            ToGateway::PtzOrder { .. } => row(Sender::Cloud, Before::Steering),
            ToGateway::List { .. }
            | ToGateway::Timeline { .. }
            | ToGateway::Find { .. }
            | ToGateway::Read { .. } => row(Sender::Cloud, Before::OwnDisk),
        }
    }
}

impl ToViewer {
    pub fn row(&self) -> Row {
        match self {
            ToViewer::Waiting | ToViewer::Skipped { .. } => row(Sender::Relay, Before::Viewing),
            ToViewer::Ended { .. } => row(Sender::Relay, Before::Nothing),
        }
    }
}
