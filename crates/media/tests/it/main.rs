//! Integration tests of `media`.

mod chunks;
mod mp4;
mod timeline;
