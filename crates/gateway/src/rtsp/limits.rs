use std::time::Duration;

/// What one stream may take of us. Every field has a default that real
/// cameras stay far below.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TCP connect and TLS handshake together. Default 5 s.
    pub connect: Duration,
    /// From the first request to the answer to PLAY. Default 10 s.
    pub describe: Duration,
    /// From PLAY to the first packet. Default 10 s.
    pub first_packet: Duration,
    /// From PLAY to the first key frame: nothing can be shown before it.
    /// Default 20 s; some cameras have groups of pictures of 10 s.
    pub key_frame: Duration,
    /// Longest time without a picture. Default 10 s.
    pub stall: Duration,
    /// Steady rate from the camera, bytes per second. Default 12.5 MB/s
    /// (100 Mbit/s); 4K cameras send a tenth.
    pub bytes_per_second: u64,
    /// What may come at once above the steady rate. Default 16 MiB: a few of the
    /// largest key frames.
    pub burst_bytes: u64,
    /// Head of an RTSP message. Default 16 KiB.
    pub head_bytes: usize,
    /// Body of an RTSP message (an SDP has 1 to 4 KiB). Default 256 KiB.
    pub body_bytes: usize,
    /// One access unit. Default 8 MiB less 1 KiB: a sealed chunk has 8 MiB.
    pub access_unit_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(5),
            describe: Duration::from_secs(10),
            first_packet: Duration::from_secs(10),
            key_frame: Duration::from_secs(20),
            stall: Duration::from_secs(10),
            bytes_per_second: 12_500_000,
            burst_bytes: 16 << 20,
            head_bytes: 16 << 10,
            body_bytes: 256 << 10,
            access_unit_bytes: (8 << 20) - 1_024,
        }
    }
}
