#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::event::Batch;

// What is read is written again as it was.
fuzz_target!(|data: &[u8]| {
    if let Ok(batch) = Batch::read(data) {
        assert_eq!(batch.encode(), data);
    }
});
