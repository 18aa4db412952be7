//! A fourth corpus (`fourth/*.txt`), written down before its author read a rule or a
//! sample of the others; its form is that of [`crate::planted`].

use fastrand::Rng;

use crate::made::{self, base64, bytes, der};
use crate::planted;
use crate::strangers::Corpus;

const CORPUS: Corpus = Corpus {
    files: &[
        include_str!("fourth/cameras.txt"),
        include_str!("fourth/recorders.txt"),
        include_str!("fourth/clouds.txt"),
        include_str!("fourth/network.txt"),
        include_str!("fourth/programs.txt"),
        include_str!("fourth/traces.txt"),
        include_str!("fourth/keys.txt"),
        include_str!("fourth/words.txt"),
    ],
    near: include_str!("fourth/near.txt"),
    seeds: 1200..1205,
};

#[test]
fn settings_of_another_stranger_lose_their_secrets() {
    CORPUS.plain(0.99);
}

#[test]
fn settings_of_another_stranger_lose_their_secrets_in_encodings_too() {
    CORPUS.encoded(0.98);
}

#[test]
fn what_another_stranger_would_take_for_no_secret_is_no_finding() {
    CORPUS.no_finding();
}

/// What only this corpus needs made.
pub(crate) fn part(name: &str, number: &str, rng: &mut Rng) -> Option<String> {
    let bare = |len: usize, end: &str, rng: &mut Rng| made::any(made::ALNUM, len, rng) + end;
    Some(match name {
        "ch" => chosen(rng),
        "wd" => word(rng),
        "weak6" => format!("{}", rng.u32(100_000..1_000_000)),
        "upper4" => made::any(UPPER, 4, rng),
        "upper6" => made::any(&UPPER[..26], 6, rng),
        "applower" => {
            let lower = &made::LOWER[..26];
            [(); 4].map(|()| made::any(lower, 4, rng)).join("")
        }
        "hapin" => format!("{:03}-{:02}-{:03}", rng.u32(100..999), rng.u32(10..99), rng.u32(100..999)),
        "yt" => [(); 5].map(|()| made::any(made::LOWER, 4, rng)).join("-"),
        "b32lower" => made::any(b"abcdefghijklmnopqrstuvwxyz234567", number.parse().ok()?, rng),
        "azkey" => bare(76, "+ASt", rng) + &bare(6, "==", rng),
        "cosmoskey" => bare(76, "ACDb", rng) + &bare(6, "==", rng),
        "iotkey" => bare(33, "AIoT", rng) + &bare(6, "=", rng),
        "busbkey" => bare(33, "+ASb", rng) + &bare(6, "=", rng),
        "redkey" => bare(33, "AzCa", rng) + &bare(6, "=", rng),
        "acrkey" => bare(42, "+ACR", rng) + &bare(6, "", rng),
        "tuyakey" => made::any(b"abcdefghijkmnpqrstuvwxyz0123456789<>{}!$^(", 16, rng),
        "c7" => seven(&chosen(rng), rng),
        "j9" => made::any(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-/", 26, rng),
        "fort" => format!("SH2{}", base64(&bytes(39, rng))),
        "fort2" => base64(&bytes(72, rng)),
        "HEXB" => made::hex(&bytes(32, rng), "").to_uppercase(),
        "pw64" | "ch64" | "user64" | "ldif64" => coded(&chosen(rng)),
        "key64" => coded(&base64(&bytes(64, rng))),
        "bcrypt64" => coded(&format!("$2b$12${}", bare(53, "", rng))),
        "basic" => {
            let (user, password) = (planted::user(rng), chosen(rng));
            let pair = format!("{user}:{password}");
            format!("{}¦{pair}¦{password}", base64(pair.as_bytes()))
        }
        "ovpn64" => {
            let lines = made::lines(&made::hex(&bytes(256, rng), ""), 32);
            let key = format!(
                "-----BEGIN OpenVPN Static key V1-----\n{lines}\n-----END OpenVPN Static key V1-----\n"
            );
            format!("{}¦{key}¦{lines}", base64(key.as_bytes()))
        }
        "osshi" => each(&openssh(rng), "          ", ""),
        "pemi" => each(&pem(rng), "      ", ""),
        "pemmail" => each(&pem(rng), "> ", ""),
        "pemarray" => each(&pem(rng), "  \"", "\","),
        "pemspace" => pem(rng).trim_end().replace('\n', " "),
        "derc" => {
            let key = planted::key("ec", rng).0;
            let rows: Vec<String> =
                key.chunks(12).map(|row| format!("    0x{},", made::hex(row, ", 0x"))).collect();
            format!("«{}¦{}»", rows.join("\n"), made::hex(&key, ""))
        }
        "p12" => base64(&p12(rng)),
        _ => return None,
    })
}

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// As owners, installers and machines choose, with no character that a format escapes.
fn chosen(rng: &mut Rng) -> String {
    const KEYS: &[&str] = &["qwertz12", "1qaz2wsx", "asdf1234", "q1w2e3r4", "zaq12wsx", "Qwerty123"];
    const VENDORS: &[&str] = &["admin", "hik", "Dahua", "cctv", "ipcam", "Axis", "nvr", "camera"];
    let name = NAMES[rng.usize(..NAMES.len())];
    let other = NAMES[rng.usize(..NAMES.len())];
    let lower = name.to_lowercase();
    match rng.u8(..16) {
        0 => format!("{name}{}", rng.u32(1950..2027)),
        1 => format!("{lower}{}", rng.u32(1..1000)),
        2 => format!("{}{}!", name.replace('a', "4").replace('o', "0"), rng.u32(1..100)),
        3 => format!("{lower}_{}", rng.u32(10..10_000)),
        4 => format!("{}{}", &name[..2].to_lowercase(), rng.u32(10_000..9_999_999)),
        5 => rng.u32(100_000..999_999_999).to_string(),
        6 | 7 => made::any(made::ALNUM, rng.usize(8..17), rng),
        8 => made::any(made::LOWER, rng.usize(8..13), rng),
        9 => format!("{}{}", VENDORS[rng.usize(..VENDORS.len())], rng.u32(100..99_999)),
        10 => KEYS[rng.usize(..KEYS.len())].to_owned(),
        11 => format!("{}{}", name.to_uppercase(), rng.u32(10..2027)),
        12 => format!("{name}.{other}.{}", rng.u32(1..100)),
        13 => format!("{name}{other}"),
        14 => format!("!{}{}_{}", name, rng.u32(1..99), made::any(made::ALNUM, 3, rng)),
        _ => made::password(rng),
    }
}

const NAMES: &[&str] =
    &["Mallorca", "Sophie", "Bayern", "Liverpool", "Pferdehof", "Werkstatt", "Oskar", "Chocolat", "Thunder"];

/// One that a dictionary has, in small letters.
fn word(rng: &mut Rng) -> String {
    NAMES[rng.usize(..NAMES.len())].to_lowercase()
}

/// A text in base64, which counts as it stands there or as it was before.
fn coded(text: &str) -> String {
    format!("{}¦{text}", base64(text.as_bytes()))
}

/// A key with something before and behind each of its lines, which counts with that or
/// without.
fn each(pem: &str, before: &str, behind: &str) -> String {
    let pem = pem.trim_end();
    let lines = pem.replace('\n', &format!("{behind}\n{before}"));
    format!("{before}«{lines}¦{pem}»{behind}")
}

fn pem(rng: &mut Rng) -> String {
    made::pem(&made::pkcs8(rng), "PRIVATE KEY")
}

fn openssh(rng: &mut Rng) -> String {
    made::part("openssh", "0", rng).expect("a part of `made`")
}

/// Type 7 of Cisco: the place in a key that is known, and the text under it.
fn seven(text: &str, rng: &mut Rng) -> String {
    const KEY: &[u8] = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87";
    let at = rng.usize(..16);
    let hidden: Vec<u8> =
        text.bytes().enumerate().map(|(place, byte)| byte ^ KEY[(at + place) % KEY.len()]).collect();
    format!("{at:02}{}", made::hex(&hidden, "").to_uppercase())
}

/// A store of PKCS#12 (RFC 7292, 4), with noise for what it holds.
fn p12(rng: &mut Rng) -> Vec<u8> {
    const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
    let safe = der(0xa0, &der(0x04, &der(0x30, &bytes(900, rng))));
    let content = der(0x30, &[der(0x06, DATA), safe].concat());
    let algorithm = der(0x30, &[der(0x06, SHA1), vec![5, 0]].concat());
    let digest = der(0x30, &[algorithm, der(0x04, &bytes(20, rng))].concat());
    let mac = der(0x30, &[digest, der(0x04, &bytes(8, rng)), der(0x02, &[8, 0])].concat());
    der(0x30, &[der(0x02, &[3]), content, mac].concat())
}
