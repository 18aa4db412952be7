//! The gateway: pulls pictures from cameras that can reach nothing else, seals
//! them, keeps them, forwards them, and sends them up while somebody watches.
//!
//! Refuses to record without a roster, to take orders that no administrator's
//! device has signed, and to hand a key to anybody but a device of the roster.

mod asked;
mod camera_test;
mod check;
mod clock;
mod cloud;
mod config;
mod connect;
mod data;
mod disk;
mod enrol;
mod events;
mod finding;
mod forward;
mod index;
mod keep;
mod leaks;
mod link;
pub mod local;
mod locks;
mod mqtt;
mod notices;
pub mod onvif;
mod outward;
mod paced;
mod ptz;
mod questions;
mod random;
mod recover;
pub mod rtsp;
mod run;
mod secret_file;
mod stills;
mod stream;
mod supervise;
mod tls;
mod trouble;
mod trust;
mod viewers;
pub mod webhooks;
mod witness;

pub use check::{Checked, check};
pub use config::{
    Config, DiscoverySection, FrigateSection, HistorySection, LocalSection, MqttSection, ReceiverUrl,
    RecordingSection, StoreSection, SweepSection, WebhookSection,
};
pub use enrol::Enrolment;
pub use run::{Running, start};
