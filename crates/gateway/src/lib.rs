//! gateway

pub mod rtsp;
