//! Secrets planted in what cameras write, and what only looks like them.

use std::io::Write as _;

use fastrand::Rng;
use sweep::Rules;

use crate::made::{base64, bytes, made, url_safe};
use crate::{found_untried, ids, sweep};

type Wrap = fn(&str, &mut Rng) -> Vec<u8>;

fn filler(rng: &mut Rng) -> String {
    const LINES: &[&str] = &[
        "2026-11-28T10:00:00Z camd[312]: stream 1 started, 1920x1080, 25 fps\n",
        "root.Image.I0.Appearance.Resolution=1920x1080\n",
        "<Resolution><Width>1920</Width><Height>1080</Height></Resolution>\n",
        "int set_password(const char *password, size_t len);\n",
        "enabled = true\nport = 554\n",
        "{\"channel\": 1, \"codec\": \"h264\", \"bitrate\": 4096}\n",
    ];
    (0..rng.usize(1..30)).map(|_| LINES[rng.usize(..LINES.len())]).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}

const WRAPS: &[(&str, Wrap)] = &[
    ("plain", |text, _| text.as_bytes().to_vec()),
    ("base64", |text, _| format!("blob: {}\n", base64(text.as_bytes())).into_bytes()),
    ("base64 url-safe", |text, _| format!("blob={}\n", url_safe(text.as_bytes())).into_bytes()),
    ("base64 wrapped", |text, _| {
        let digits = base64(text.as_bytes());
        digits.as_bytes().chunks(76).map(|line| [line, b"\n"].concat()).collect::<Vec<_>>().concat()
    }),
    ("base64 twice", |text, _| base64(base64(text.as_bytes()).as_bytes()).into_bytes()),
    ("hex", |text, _| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()),
    ("percent", |text, _| {
        text.bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect::<String>()
            .into_bytes()
    }),
    ("utf-16le", |text, _| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("utf-16be", |text, _| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ("utf-16 at an odd offset", |text, _| {
        [vec![7], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
    }),
    ("json", |text, _| serde_json::to_string(text).expect("text").replace('/', "\\/").into_bytes()),
    ("json unicode", |text, _| {
        text.chars()
            .map(|c| match c {
                '&' | '=' | '<' | '>' | '"' | '+' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect::<String>()
            .into_bytes()
    }),
    ("xml", |text, _| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .into_bytes()
    }),
    ("gzip", |text, _| gzip(text.as_bytes())),
    ("gzip inside bytes", |text, rng| [bytes(1001, rng), gzip(text.as_bytes()), bytes(77, rng)].concat()),
    ("gzip twice", |text, _| gzip(&gzip(text.as_bytes()))),
    ("gzip in base64", |text, _| base64(&gzip(text.as_bytes())).into_bytes()),
];

#[test]
fn planted_secrets_are_found_in_all_encodings() {
    let rules = Rules::built_in();
    let (mut planted, mut missed) = (0, Vec::new());
    for seed in 100..106 {
        let mut rng = Rng::with_seed(seed);
        for rule in rules.iter() {
            for template in rule.matches.iter().filter(|template| !template.contains("{pem:escaped}")) {
                for (name, wrap) in WRAPS {
                    let secret = made(template, &mut rng);
                    let text = [filler(&mut rng), "\n".into(), secret.clone(), "\n".into(), filler(&mut rng)]
                        .concat();
                    let found = found_untried(&rules, &wrap(&text, &mut rng));
                    planted += 1;
                    // Of a user and a password in base64, the password is told.
                    let in_it = |bytes: &[u8]| {
                        let pair = base64(&[b"admin:", bytes].concat());
                        secret.contains(String::from_utf8_lossy(bytes).as_ref()) || secret.contains(&pair)
                    };
                    if !found.iter().any(|finding| in_it(finding.secret.reveal())) {
                        missed.push(format!("{} in {name}: {:?}", rule.id, ids(&found)));
                    }
                }
            }
        }
    }
    let recall = 1.0 - missed.len() as f64 / f64::from(planted);
    missed.sort();
    missed.dedup();
    assert!(recall >= 0.99, "{recall} of {planted}\n{}", missed.join("\n"));
}

#[test]
fn what_only_looks_like_a_secret_is_none() {
    const DECOYS: &[&str] = &[
        "\"integrity\": \"sha512-{base64:64}\"",
        "sha256:{hex:64}  firmware.bin",
        "commit {hex:40}",
        "id: {uuid}",
        "password: ********",
        "password = \"<redacted>\"",
        "PASSWORD=${CAMERA_PASSWORD}",
        "root.RemoteService.Password=******",
        "rtsp://user:password@camera.example/stream",
        "rtsp://<user>:<password>@<address>/",
        "AccountKey=<your account key>;",
        "<Password></Password>",
        "if (password == NULL) return -1;",
        "const password = await prompt(\"password: \");",
        "token = lexer.next_token();",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{alnum:43} root@cam",
        "-----BEGIN CERTIFICATE-----\n{base64:300}\n-----END CERTIFICATE-----",
        "root:x:0:0:root:/root:/bin/sh",
        "root:*:18000:0:99999:7:::",
        "data:image/png;base64,iVBORw0KGgo{base64:200}",
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "etag: \"{hex:32}\"",
        "public static final String PASSWORD_FIELD = \"user_password_field\";",
        "<input type=\"password\" name=\"password\" placeholder=\"Password\">",
        "rocommunity public",
    ];
    let rules = Rules::built_in();
    let mut wrong = Vec::new();
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        for decoy in DECOYS {
            let text = format!("{}{}\n{}", filler(&mut rng), made(decoy, &mut rng), filler(&mut rng));
            let (found, _) = sweep(&rules, text.as_bytes());
            wrong.extend(found.iter().map(|finding| format!("{} in {decoy:?}", finding.rule.id)));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_are_found_across_windows_of_a_large_file_with_their_line() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(9);
    let line = "2026-11-28T10:00:00Z camd[312]: stream 1 started\n";
    let mut text = line.repeat((20 << 20) / line.len());
    // Around the ends of windows of 8 MiB, and in the middle.
    for at in [17_000_000, 16_777_210, 8_388_600, 8_388_500, 4_000_000] {
        let at = at / line.len() * line.len();
        text.insert_str(at, &made("AccountKey={base64:64};\n", &mut rng));
    }
    let (found, _) = sweep(&rules, text.as_bytes());
    assert_eq!(found.len(), 5);
    for finding in &found {
        let at = finding.location.offset as usize;
        assert_eq!(&text.as_bytes()[at..at + 88], finding.secret.reveal());
        let lines = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(finding.location.line, Some(lines + 1));
        assert_eq!(finding.location.parameter.as_deref(), Some("AccountKey"));
    }
}
