//! Checkpoints, keys, paths and bundles of a transparency log, and what it
//! hands in to witnesses.
#![no_main]

use seal::tlog::{Bundle, Checkpoint, LogKey, Submission, Tile};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Bundle::entries(data, 256);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.path(), text);
    }
    if let Ok(submission) = Submission::parse(text) {
        assert_eq!(submission.to_text(), text);
    }
    let Some((key, note)) = text.split_once('\n') else { return };
    if let Ok(key) = LogKey::parse(key) {
        let _ = Checkpoint::verify(note, &key);
        let _ = Checkpoint::witnessed(note, &[key]);
    }
});
