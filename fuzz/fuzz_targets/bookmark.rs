#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{BookmarkId, CameraId};
use seal::bookmark::{Bookmark, LockResult, Note, NoteKey};
use seal::grant::EpochKey;

// Bookmarks come by way of the cloud, and their notes from other devices. What is
// read is written again as it was.
fuzz_target!(|data: &[u8]| {
    if let Ok(bookmark) = seal::from_canonical::<Bookmark>(data) {
        assert_eq!(seal::to_canonical(&bookmark), data);
    }
    if let Ok(result) = seal::from_canonical::<LockResult>(data) {
        assert_eq!(seal::to_canonical(&result), data);
    }
    if let Ok(note) = seal::from_canonical::<Note>(data) {
        assert_eq!(seal::to_canonical(&note), data);
    }
    let key = NoteKey::new(&EpochKey::from_random([1; 32]), CameraId::from_random([2; 16]));
    let id = BookmarkId::from_random([3; 16]);
    assert!(key.open(id, &data.to_vec().into()).is_err(), "nobody sealed it");
    // What is opened is judged as what a stranger sealed.
    if let Ok(note) = std::str::from_utf8(data) {
        let note = Note { text: note.to_owned(), case: None };
        let fits = note.text.encode_utf16().count() <= seal::bookmark::NOTE_MAX;
        assert_eq!(key.open(id, &key.seal(id, &note, [4; 12])).is_ok(), fits);
    }
});
