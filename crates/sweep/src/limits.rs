//! What a sweep may spend. What goes beyond is skipped and reported, never done in
//! silence.

/// What a sweep may spend; every limit has a name and a documented default.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Containers inside containers. 8.
    pub depth: u32,
    /// Bytes held in memory for one part, and the largest window of a codec. 64 MiB.
    pub part_bytes: u64,
    /// Unpacked bytes of one input in all. 16 GiB.
    pub total_bytes: u64,
    /// Unpacked bytes for each byte of the source, once there are more than 10 MiB. 1000.
    pub ratio: u64,
    /// Files, folders and blocks of one container. 1,000,000.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 8, part_bytes: 64 << 20, total_bytes: 16 << 30, ratio: 1000, entries: 1_000_000 }
    }
}
