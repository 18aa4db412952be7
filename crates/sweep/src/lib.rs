//! The credential sweep: finds keys that lie open in a camera's settings,
//! backups, logs, firmware and SD cards. Useful by itself: no server, no network.
//!
//! `read` is where bytes come from, `limits` what a sweep may spend, and `unpack`
//! opens archives, images and captures. Nothing that was unpacked is written to
//! disk, and names inside are never used as paths on this machine.

pub mod limits;
pub mod read;
pub mod unpack;
