use super::base64::{LINE_MIN, join_lines};
use super::*;

/// Runs that are long enough, found by looking at every byte.
fn plain_runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut runs, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let mut end = at + bytes[at..].iter().take_while(|byte| is(**byte, BASE64)).count();
        if end - at >= LINE_MIN {
            end = join_lines(bytes, at, end);
        }
        let padded = end + bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
        if end > at && padded - at >= RUN_MIN {
            runs.push(at..padded);
        }
        at = end.max(at + 1);
    }
    runs
}

#[test]
fn each_run_of_base64_is_found_wherever_it_begins() {
    let mut random = fastrand::Rng::with_seed(8);
    for round in 0..3000 {
        let mut bytes = Vec::new();
        while bytes.len() < 400 {
            let len = random.usize(..if round % 3 == 0 { 90 } else { 30 });
            bytes.extend((0..len).map(|_| random.alphanumeric() as u8));
            let between: &[&[u8]] = &[b"=", b"==", b" ", b"\n", b"\r\n", b"\n  ", b"\0", b"==="];
            bytes.extend_from_slice(random.choice(between).copied().unwrap_or_default());
        }
        let mut found = Vec::new();
        base64_runs(&bytes, &Marks::new(&bytes, 0..bytes.len()), |run| found.push(run));
        assert_eq!(found, plain_runs(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn bytes_apart_are_found_wherever_they_begin() {
    for between in [":", " ", ",", "-", ", 0x", ",0x", " 0x"] {
        for before in 0..40 {
            for count in [31, 40] {
                let hex: Vec<String> = (0..count).map(|n| format!("{:02x}", b'a' + n % 26)).collect();
                let text = format!("{}\n{}\nend of it", ".".repeat(before), hex.join(between));
                let mut found = Vec::new();
                apart(text.as_bytes(), &Marks::new(text.as_bytes(), 0..text.len()), |decoded| {
                    found.push(decoded)
                });
                assert_eq!(found.len(), 1, "{text}");
                assert!(found[0].bytes.len() >= usize::from(count) - 1, "{text}");
            }
        }
    }
}

#[test]
fn base64_is_read_with_blanks_in_it_and_nothing_else() {
    for (text, bytes) in [
        ("", Some("")),
        ("QUJDREVGR0g=", Some("ABCDEFGH")),
        ("QUJDREVGR0g", Some("ABCDEFGH")),
        ("QUJD\r\n RE\tVGR0g=", Some("ABCDEFGH")),
        ("QUJDREVG", Some("ABCDEF")),
        ("QUJDREVGR0", Some("ABCDEFG")),
        ("QUJDREVGR", None),
        ("QUJDREVG.0g=", None),
        ("QU=JDREV", None),
        ("QUJD====", None),
    ] {
        assert_eq!(base64(text.as_bytes()).as_deref(), bytes.map(str::as_bytes), "{text:?}");
    }
    assert_eq!(base64(b"-_+/"), Some(vec![0xfb, 0xff, 0xbf]));
}

#[test]
fn escapes_and_wide_letters_are_found_wherever_they_begin() {
    type Search = fn(&[u8], &Marks, &mut dyn FnMut(Decoded));
    let wide: Vec<u8> = "password=7 and 8".bytes().flat_map(|byte| [byte, 0]).collect();
    let cases: [(&[u8], Search); 6] = [
        (b"password=a%40b%41", |bytes, marks, decoded| escapes(bytes, marks, decoded)),
        (b"\"password\\\":\\\"a", |bytes, marks, decoded| escapes(bytes, marks, decoded)),
        (b"password=a&amp;b.", |bytes, marks, decoded| escapes(bytes, marks, decoded)),
        (b"password=3Da=3Db.", |bytes, marks, decoded| escapes(bytes, marks, decoded)),
        (&wide, |bytes, marks, decoded| utf16(bytes, marks, decoded)),
        (b"52:54:61:62:63:64:65:66:67:68:69:6a:6b:6c:6d:6e:6f", |bytes, marks, decoded| {
            apart(bytes, marks, decoded);
        }),
    ];
    for (text, search) in cases {
        for before in 0..150 {
            // In the midst of a program, and after blocks that have nothing.
            let (noise, code) = ([0xc3].repeat(before), [0xc3, 0x90].repeat(before));
            let bytes = [noise.as_slice(), b"\n", text, b"\n", &code].concat();
            let mut found = 0;
            search(&bytes, &Marks::new(&bytes, 0..bytes.len()), &mut |_| found += 1);
            assert!(found > 0, "{} at {before}", text.escape_ascii());
        }
    }
}

#[test]
fn other_scripts_in_utf_16_and_in_mails_are_read_with_what_stands_beside_them() {
    for text in
        ["密码：kamera 7812", "Пароль: kamera 7812", "kamera 7812 = пароль = kamera", "größe\tkamera 7812"]
    {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            for before in 0..40 {
                let wide: Vec<u8> = text.encode_utf16().flat_map(order).collect();
                let bytes = [&[0].repeat(2 * before), wide.as_slice(), &[0; 12]].concat();
                let mut found = Vec::new();
                utf16(&bytes, &Marks::new(&bytes, 0..bytes.len()), |decoded| found.push(decoded.bytes));
                assert!(found.iter().any(|found| found == text.as_bytes()), "{text} at {before}: {found:?}");
            }
        }
    }
    for (text, plain) in [
        ("=D0=9F=D0=B0: kamera 7812\n", "Па: kamera 7812\n"),
        ("password=09kamera 7812\n", "password\tkamera 7812\n"),
    ] {
        let mut found = Vec::new();
        let bytes = text.as_bytes();
        escapes(bytes, &Marks::new(bytes, 0..bytes.len()), |decoded| found.push(decoded.bytes));
        assert!(found.iter().any(|found| found == plain.trim_end().as_bytes()), "{text}: {found:?}");
    }
}
