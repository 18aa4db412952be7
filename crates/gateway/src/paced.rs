//! Uploads no faster than the site is set to send. What of them is on its way
//! shares one [`Pace`].

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use gateway_core::pace::Pace;
use gateway_core::uplink::Lane;
use model::Bandwidth;
use tokio::sync::watch;

use crate::clock;

/// For an upload as fast as it goes, and beside the time that its bandwidth takes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Sent at once: half a second of the least bandwidth is 8 KiB.
const PART: usize = 8 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Paced {
    bandwidth: watch::Receiver<Bandwidth>,
    pace: Arc<Mutex<Pace>>,
    started: Instant,
}

impl Paced {
    pub(crate) fn new(bandwidth: watch::Receiver<Bandwidth>) -> Self {
        Paced { bandwidth, pace: Arc::default(), started: Instant::now() }
    }

    /// In kbit/s, now; 0 is nothing.
    pub(crate) fn kilobits_max(&self) -> Option<u32> {
        self.bandwidth.borrow().at(clock::now())
    }

    /// How long an upload may take.
    pub(crate) fn patience(&self, bytes: usize) -> Duration {
        let slow = self.kilobits_max().filter(|kilobits| *kilobits > 0);
        let own_ms = slow.map_or(0, |kilobits| bytes as u64 * 8 / u64::from(kilobits));
        // Two uploads share it.
        UPLOAD_TIMEOUT + 2 * Duration::from_millis(own_ms)
    }

    pub(crate) fn body(&self, bytes: Vec<u8>, lane: Lane) -> reqwest::Body {
        if self.kilobits_max().is_none() {
            return bytes.into();
        }
        if lane == Lane::Urgent {
            // It does not wait, and others wait for it.
            self.take(bytes.len());
            return bytes.into();
        }
        let left = (Bytes::from(bytes), self.clone());
        let parts = stream::unfold(left, |(mut left, paced)| async move {
            if left.is_empty() {
                return None;
            }
            let part = left.split_to(left.len().min(PART));
            tokio::time::sleep(paced.take(part.len())).await;
            Some((Ok::<_, Infallible>(part), (left, paced)))
        });
        reqwest::Body::wrap_stream(parts)
    }

    fn take(&self, bytes: usize) -> Duration {
        let now_us = self.started.elapsed().as_micros() as u64;
        let kilobits = self.kilobits_max();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(pace.take(bytes as u64, kilobits, now_us))
    }
}
