//! Figures of this machine (docs/performance.md).
