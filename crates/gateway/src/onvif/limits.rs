use std::time::Duration;

/// What one camera's event service may take of us. Every field has a default
/// that real cameras stay far below.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TCP connect and TLS handshake together. Default 5 s.
    pub connect: Duration,
    /// From a request to the end of its answer. Default 10 s. PullMessages has
    /// [`Limits::poll`] in addition.
    pub answer: Duration,
    /// How long the camera holds PullMessages back while it has nothing to
    /// say. Default 20 s.
    pub poll: Duration,
    /// One answer. Default 1 MiB; a hundred notifications have a tenth of that.
    pub answer_bytes: usize,
    /// Notifications taken of one answer, and how many are asked for. The
    /// surplus is counted and left out. Default 100.
    pub messages: usize,
    /// The lifetime that is asked for a subscription. It is renewed when half
    /// of what the camera gave is over. Default 10 min.
    pub lifetime: Duration,
    /// From one PullMessages that brought events to the next. Default 200 ms.
    pub pause: Duration,
    /// From one that brought none to the next, as cameras exist that do not
    /// hold it back. Default 500 ms.
    pub pause_empty: Duration,
    /// A camera that forgot a subscription sooner than this after it was made
    /// is an error; later, another one is made. Default 30 s.
    pub subscription_good_after: Duration,
    /// For giving a subscription back. Default 3 s.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            poll: Duration::from_secs(20),
            answer_bytes: 1 << 20,
            messages: 100,
            lifetime: Duration::from_secs(600),
            pause: Duration::from_millis(200),
            pause_empty: Duration::from_millis(500),
            subscription_good_after: Duration::from_secs(30),
            goodbye: Duration::from_secs(3),
        }
    }
}
