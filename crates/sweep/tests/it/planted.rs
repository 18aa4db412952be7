//! A corpus that owes nothing to the rules: settings, backups, logs and captures as
//! vendors and programs write them (`planted/*.txt`), secrets of a seed in their places.
//!
//! An entry begins with `## name`. `«…»` is a secret, all of it; `{kind:number}` is made
//! up. What a vendor escapes counts as it stands there or as it was before.

use std::collections::BTreeMap;

use fastrand::Rng;
use sweep::{Finding, Rules};

use crate::made::{self, base64, bytes, der};
use crate::wraps::{self, WRAPS};
use crate::{found_untried, fourth, ids, third};

const PLANTED: &[&str] = &[
    include_str!("planted/cameras.txt"),
    include_str!("planted/software.txt"),
    include_str!("planted/network.txt"),
    include_str!("planted/clouds.txt"),
    include_str!("planted/services.txt"),
    include_str!("planted/keys.txt"),
];

/// What is missed: files of a name and a value, where nothing says what they are
/// (a list of keys of stunnel, of plain passwords of lighttpd), and passwords of small
/// letters that could be words, where the format does not say that they are none.
const RECALL: f64 = 0.99;
/// Of encodings and chains of them: the files above again in each, and lines whose
/// neighbours say what they are, where the decoder reads them alone.
const ENCODED: f64 = 0.984;
const SEEDS: std::ops::Range<u64> = 700..703;

pub(crate) struct Document {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    /// Each in all forms that count as itself.
    secrets: Vec<Vec<String>>,
}

pub(crate) fn entries(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.split("## ").skip(1).map(|entry| entry.split_once('\n').expect("a line with the name"))
}

fn documents(rng: &mut Rng) -> Vec<Document> {
    let of = |(kind, text): (&'static str, &str)| document(kind, text, rng);
    PLANTED.iter().flat_map(|file| entries(file)).map(of).collect()
}

/// All documents of all seeds, by kind and text.
pub(crate) fn corpus() -> impl Iterator<Item = (&'static str, String)> {
    let documents = SEEDS.flat_map(|seed| documents(&mut Rng::with_seed(seed)));
    documents.map(|document| (document.kind, document.text))
}

pub(crate) fn document(kind: &'static str, template: &str, rng: &mut Rng) -> Document {
    let made = made::with(template, &mut |name, number| part(name, number, rng));
    let (mut text, mut secrets) = (String::new(), Vec::new());
    let mut rest = made.as_str();
    while let Some((before, marked)) = rest.split_once('«') {
        let (secret, after) = marked.split_once('»').expect("an end of the secret");
        let (secret, inner) = nested(secret);
        let forms: Vec<String> = secret.split('¦').map(str::to_owned).chain(inner).collect();
        text.push_str(before);
        text.push_str(&forms[0]);
        secrets.push(forms);
        rest = after;
    }
    assert!(!rest.contains('»'), "{kind}");
    Document { kind, text: text + rest, secrets }
}

/// `‹…›` in a secret is what some would call the secret: either is right.
fn nested(secret: &str) -> (String, Option<String>) {
    let inner = secret.split_once('‹').and_then(|(_, rest)| Some(rest.split_once('›')?.0.to_owned()));
    (secret.replace(['‹', '›'], ""), inner)
}

/// What this corpus alone needs made; all else is of [`made`].
fn part(name: &str, number: &str, rng: &mut Rng) -> Option<String> {
    let len = number.parse::<usize>();
    Some(match name {
        "nul" => "\0".to_owned(),
        "user" => pick(USERS, rng),
        "word" => format!("{}{}", pick(WORDS, rng), rng.u32(1..99)),
        "domain" => format!("{}.{}", pick(WORDS, rng), pick(&["net", "org", "example.com", "de"], rng)),
        "host" => format!("{}.{}.net", pick(&["nvr", "cam", "mq", "gw01"], rng), pick(WORDS, rng)),
        "ip" => format!("{}.{}.{}", pick(&["192.168", "10.0", "172.16"], rng), rng.u8(..), rng.u8(1..)),
        "pw" => chosen(rng),
        "weak" => pick(WEAK, rng),
        "pwx" => escaped(number, rng),
        "digit" => rng.u32(0..10).to_string(),
        "b32" => made::any(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", len.ok()?, rng),
        "b64url" => made::any(&made::URL_SAFE[..], len.ok()?, rng),
        "b64raw" => base64(&bytes(len.ok()?, rng)).trim_end_matches('=').to_owned(),
        "b64aws" => base64(&bytes(len.ok()?, rng)),
        "pgp64" => made::lines(&base64(&bytes(len.ok()?, rng)), 64),
        "hexpairs" => made::hex(&bytes(len.ok()?, rng), ","),
        "ovpn" => made::lines(&made::hex(&bytes(256, rng), ""), 32),
        "adsecret" => format!("{}8Q~{}", made::any(made::ALNUM, 3, rng), made::any(AZURE_AD, 34, rng)),
        "azfunction" => {
            format!("{}AzFu{}==", made::any(made::ALNUM, 44, rng), made::any(made::ALNUM, 6, rng))
        }
        // Of a user and a password in base64, the password is told.
        "authplain" => {
            let (user, password) = (pick(USERS, rng), chosen(rng));
            format!("{}¦{password}", base64(format!("\0{user}\0{password}").as_bytes()))
        }
        "pair" => {
            let password = made::password(rng);
            format!("{}¦{password}", base64(format!("admin:{password}").as_bytes()))
        }
        "cftunnel" => base64(
            format!(
                r#"{{"a":"{}","t":"{}","s":"{}"}}"#,
                hexes(16, rng),
                hexes(16, rng),
                base64(&bytes(32, rng))
            )
            .as_bytes(),
        ),
        "signify" => base64(&[b"EdBK\0\0\0\0".to_vec(), bytes(96, rng)].concat()),
        "derhex" => made::hex(&key(number, rng).0, ""),
        "der64" => base64(&key(number, rng).0),
        "pem64" => base64(armoured(number, rng).as_bytes()),
        "pem" if number == "crlf" => armoured("pkcs8", rng).replace('\n', "\r\n"),
        "pem" if number == "indented" => {
            armoured("pkcs8", rng).lines().map(|line| format!("    {line}\n")).collect()
        }
        "pem" if number == "xml" => armoured("ec", rng).replace('\n', "&#10;"),
        "pem" if number == "legacy" => {
            let head = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{}\n\n", hexes(16, rng));
            armoured("noise", rng).replacen('\n', &format!("\n{head}"), 1)
        }
        "pem" if matches!(number, "rsa" | "ec" | "sealed") => armoured(number, rng),
        _ => {
            return third::part(name, rng)
                .or_else(|| fourth::part(name, number, rng))
                .or_else(|| made::part(name, number, rng));
        }
    })
}

const AZURE_AD: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~.-";
const USERS: &[&str] =
    &["admin", "root", "operator", "viewer", "cam01", "nvr", "j.meier", "service", "frigate"];
const WORDS: &[&str] = &["northgate", "lagerhaus", "hub", "office", "porte", "werk", "acme", "cctv"];
/// Defaults that vendors gave to a whole series.
const WEAK: &[&str] = &["12345", "123456", "888888", "666666", "tlJwpbo6", "xmhdipc", "ikwb", "4321", "1111"];

pub(crate) fn user(rng: &mut Rng) -> String {
    pick(USERS, rng)
}

fn pick(of: &[&str], rng: &mut Rng) -> String {
    of[rng.usize(..of.len())].to_owned()
}

fn hexes(len: usize, rng: &mut Rng) -> String {
    made::hex(&bytes(len, rng), "")
}

/// As people, installers and password stores choose. No character that any of the
/// formats would have to escape.
fn chosen(rng: &mut Rng) -> String {
    const NOUNS: &[&str] = &["Garage", "sommer", "Kamera", "tiger", "Falcon", "dragon", "Berlin", "welcome"];
    let noun = pick(NOUNS, rng);
    let number = rng.u32(10..10_000);
    match rng.u8(..8) {
        0 => format!("{noun}{number}"),
        1 => format!("{noun}{number}!"),
        2 => format!("{}-{}-{number}", noun.to_lowercase(), pick(NOUNS, rng).to_lowercase()),
        3 => made::any(made::ALNUM, rng.usize(10..20), rng),
        4 => made::any(&made::ALNUM[26..52], rng.usize(9..14), rng),
        5 => made::any(made::LOWER, rng.usize(8..12), rng),
        6 => format!("{}_{}", made::any(made::ALNUM, 5, rng), made::any(made::ALNUM, 6, rng)),
        _ => made::password(rng),
    }
}

/// With the characters that give trouble, as the format writes them, and as they are.
fn escaped(format: &str, rng: &mut Rng) -> String {
    let troubles: &[u8] = match format {
        "xml" => b"&<>\"!$%",
        "json" => b"\"\\/!$%&=",
        "url" => b"@:/?#&%+ =!",
        _ => b"!%&()*+,-./=?@[]^_{|}~;:<>",
    };
    let trouble = made::any(troubles, 2, rng);
    let (one, two) = trouble.split_at(1);
    let word = |rng: &mut Rng| made::any(made::ALNUM, rng.usize(3..7), rng);
    let clear = format!("{}{one}{}{two}{}", word(rng), word(rng), word(rng));
    let raw = match format {
        "xml" => wraps::xml(&clear),
        "json" => clear.replace('\\', "\\\\").replace('"', "\\\""),
        "url" => wraps::percent(&clear),
        _ => clear.clone(),
    };
    format!("{raw}¦{clear}")
}

/// A private key in DER, and the name of its armour. The numbers are no real key's.
pub(crate) fn key(kind: &str, rng: &mut Rng) -> (Vec<u8>, &'static str) {
    const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let mut number = |len: usize| {
        let mut number = bytes(len, rng);
        number[0] = number[0] & 0x7f | 0x40;
        der(0x02, &number)
    };
    match kind {
        "rsa" => {
            let version = der(0x02, &[0]);
            let (modulus, public) = (number(257), der(0x02, &[1, 0, 1]));
            let rest = [256, 128, 128, 128, 128, 128].map(number).concat();
            (der(0x30, &[version, modulus, public, rest].concat()), "RSA PRIVATE KEY")
        }
        "ec" => {
            let curve = der(0xa0, &der(0x06, P256));
            let point = der(0xa1, &der(0x03, &[vec![0, 4], bytes(64, rng)].concat()));
            let secret = der(0x04, &bytes(32, rng));
            (der(0x30, &[der(0x02, &[1]), secret, curve, point].concat()), "EC PRIVATE KEY")
        }
        "sealed" => (made::sealed(rng), "ENCRYPTED PRIVATE KEY"),
        "noise" => (bytes(608, rng), "RSA PRIVATE KEY"),
        _ => (made::pkcs8(rng), "PRIVATE KEY"),
    }
}

fn armoured(kind: &str, rng: &mut Rng) -> String {
    let (der, name) = key(kind, rng);
    made::pem(&der, name).trim_end().to_owned()
}

/// A PEM is the same with other ends of its lines.
fn same(found: &[u8], form: &str) -> bool {
    let packed =
        |text: &str| text.replace("\\n", "").replace("&#10;", "").split_whitespace().collect::<String>();
    match form.contains('\n') || form.contains("-----BEGIN") {
        true => packed(&String::from_utf8_lossy(found)) == packed(form),
        // What is encoded may be told of as it was before.
        false => {
            let plain = String::from_utf8_lossy(found).replace("&amp;", "&").replace("\\u0026", "&");
            plain == form
                || found == form.as_bytes()
                || form.len() > 100 && (base64(found) == form || made::hex(found, "") == form)
        }
    }
}

fn missed(document: &Document, found: &[Finding]) -> Vec<String> {
    let is_found = |forms: &&Vec<String>| {
        !found.iter().any(|finding| forms.iter().any(|form| same(finding.secret.reveal(), form)))
    };
    document.secrets.iter().filter(is_found).map(|forms| forms.join(" or ")).collect()
}

#[derive(Default)]
pub(crate) struct Score {
    planted: usize,
    missed: BTreeMap<(&'static str, String), Vec<String>>,
}

impl Score {
    pub(crate) fn add(&mut self, document: &Document, wrap: &str, found: &[Finding]) {
        self.planted += document.secrets.len();
        for secret in missed(document, found) {
            let near: Vec<String> = found
                .iter()
                .map(|finding| (String::from_utf8_lossy(finding.secret.reveal()), &finding.rule.id))
                .filter(|(near, _)| near.contains(&secret) || secret.contains(near.as_ref()))
                .map(|(near, rule)| format!("{near} by {rule}"))
                .collect();
            let line = document.text.lines().find(|line| line.contains(&secret)).unwrap_or_default();
            let line: String = line.chars().take(160).collect();
            let missed = self.missed.entry((document.kind, wrap.to_owned())).or_default();
            missed.push(format!("{secret:.60} in {line:?}, near {near:.60?}"));
        }
    }

    pub(crate) fn check(self, least: f64) {
        let missed: usize = self.missed.values().map(Vec::len).sum();
        let recall = 1.0 - missed as f64 / self.planted as f64;
        let told = self
            .missed
            .iter()
            .map(|((kind, wrap), each)| format!("{kind}, {wrap}:\n    {}", each.join("\n    ")));
        let told = told.collect::<Vec<_>>().join("\n");
        assert!(recall >= least, "{recall:.4} of {}, {missed} missed\n{told}", self.planted);
    }
}

#[test]
fn settings_backups_and_logs_lose_their_secrets() {
    let rules = Rules::built_in();
    let mut score = Score::default();
    for seed in SEEDS {
        for document in documents(&mut Rng::with_seed(seed)) {
            let found = found_untried(&rules, document.text.as_bytes());
            score.add(&document, "plain", &found);
        }
    }
    score.check(RECALL);
}

#[test]
fn settings_lose_their_secrets_in_each_encoding_and_in_several() {
    let rules = Rules::built_in();
    let mut score = Score::default();
    for seed in SEEDS {
        let mut rng = Rng::with_seed(seed + 10);
        for document in documents(&mut rng) {
            for (name, wrap) in WRAPS {
                let found = found_untried(&rules, &wrap(document.text.as_bytes(), &mut rng));
                score.add(&document, name, &found);
            }
            for depth in 2..=4 {
                let (names, wrapped) = wraps::nested(document.text.as_bytes(), depth, &mut rng);
                let found = found_untried(&rules, &wrapped);
                score.add(&document, &names, &found);
            }
        }
    }
    score.check(ENCODED);
}

/// Names and formats that were written down after the rules were.
#[test]
fn settings_of_unknown_makers_lose_their_secrets_too() {
    let rules = Rules::built_in();
    let mut score = Score::default();
    for seed in SEEDS.start..SEEDS.start + 20 {
        let mut rng = Rng::with_seed(seed);
        for (kind, text) in entries(include_str!("planted/others.txt")) {
            let document = document(kind, text, &mut rng);
            score.add(&document, "plain", &found_untried(&rules, document.text.as_bytes()));
        }
    }
    score.check(RECALL);
}

#[test]
fn what_looks_like_settings_without_secrets_has_no_findings() {
    let rules = Rules::built_in();
    let mut wrong = Vec::new();
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        for (kind, text) in entries(include_str!("planted/decoys.txt")) {
            let decoy = document(kind, text, &mut rng);
            let found = found_untried(&rules, decoy.text.as_bytes());
            let told = |finding: &Finding| {
                format!(
                    "{kind}: {:?} by {}",
                    String::from_utf8_lossy(finding.secret.reveal()),
                    ids(std::slice::from_ref(finding))[0]
                )
            };
            wrong.extend(found.iter().map(told));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// For other programs of the kind: `SWEEP_CORPUS=DIR cargo test -p sweep -- --ignored corpus_as_files`
/// writes each document, and beside it its secrets, one a line.
#[test]
#[ignore = "writes files, for comparing by hand"]
fn corpus_as_files() {
    let folder =
        std::path::PathBuf::from(std::env::var_os("SWEEP_CORPUS").expect("SWEEP_CORPUS names a folder"));
    for seed in SEEDS {
        for (number, document) in documents(&mut Rng::with_seed(seed)).into_iter().enumerate() {
            let path = folder.join(format!("{seed}-{number}.txt"));
            std::fs::write(&path, &document.text).expect("a file");
            let secrets: Vec<String> = document
                .secrets
                .iter()
                .map(|forms| serde_json::to_string(forms).expect("text") + "\n")
                .collect();
            std::fs::write(path.with_extension("secrets"), secrets.concat()).expect("a file");
        }
    }
}
