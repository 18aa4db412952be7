//! Cameras of every kind, good and bad, against [`gateway::rtsp`].

mod attacks;
mod bytes;
mod faults;
mod ffmpeg;
mod gstreamer;
mod scripted;
mod secrets;
pub(crate) mod support;
mod timeline;
mod tls;
