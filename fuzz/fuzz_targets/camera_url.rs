//! What a person pastes as the address of a camera.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok((url, _)) = model::CameraUrl::parse_with_credentials(text) {
        // Without credentials, and read as itself.
        assert_eq!(model::CameraUrl::parse(&url.to_string()), Ok(url));
    }
});
