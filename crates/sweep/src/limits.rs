//! What a sweep may spend.

/// What a sweep may spend; every limit has a name and a documented default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Containers and encodings inside each other. 8.
    pub depth: u32,
    /// Held in memory for one part, in bytes. 64 MiB.
    pub part_bytes: u64,
    /// Unpacked in all for one input, in bytes. 16 GiB.
    pub total_bytes: u64,
    /// Unpacked bytes for each byte read, beyond 10 MiB. 1 000.
    pub ratio: u64,
    /// Parts of one input. 1 000 000.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 8, part_bytes: 64 << 20, total_bytes: 16 << 30, ratio: 1000, entries: 1_000_000 }
    }
}
