//! camera-sim
