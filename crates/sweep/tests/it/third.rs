//! A third corpus, written down without a look at the rules by somebody who knew none
//! of them (`third/*.txt`); its form is that of [`crate::planted`].

use fastrand::Rng;

use crate::made::{self, base64};
use crate::planted;
use crate::strangers::Corpus;

const CORPUS: Corpus = Corpus {
    files: &[
        include_str!("third/devices.txt"),
        include_str!("third/programs.txt"),
        include_str!("third/network.txt"),
        include_str!("third/clouds.txt"),
        include_str!("third/traces.txt"),
    ],
    near: include_str!("third/near.txt"),
    seeds: 900..905,
};

/// What only this corpus needs made.
pub(crate) fn part(name: &str, rng: &mut Rng) -> Option<String> {
    Some(match name {
        "hu" => human(rng),
        "hu64" => base64(human(rng).as_bytes()),
        "userb64" => base64(planted::user(rng).as_bytes()),
        "phrase" => phrase(rng),
        // What follows `password=` in the second half of a line of `hexdump -C`.
        "hexdump" => made::hex(human(rng).as_bytes(), " "),
        "pemc" => {
            let key = made::pem(&made::pkcs8(rng), "PRIVATE KEY");
            let lines: Vec<&str> = key.lines().collect();
            lines.join("\\n\"\n\"")
        }
        _ => return None,
    })
}

/// As installers and owners choose.
fn human(rng: &mut Rng) -> String {
    const WORDS: &[&str] =
        &["Winter", "Martina", "Schalke", "Security", "Camera", "Bulldog", "Paris", "Summer", "hikvision"];
    let word = WORDS[rng.usize(..WORDS.len())];
    let other = WORDS[rng.usize(..WORDS.len())];
    match rng.u8(..12) {
        0 => format!("{word}{}", rng.u32(1960..2030)),
        1 => format!("{}{}", word.to_lowercase(), rng.u32(1..10_000)),
        2 => format!("{}{}", word.replace('a', "@").replace('e', "3"), rng.u32(10..99)),
        3 => format!("{word}-{other}{}", rng.u32(1..99)),
        4 => format!("{}{}!", word.to_lowercase(), rng.u32(100..999)),
        5 => rng.u32(100_000..999_999_999).to_string(),
        6 => format!("{}{}", &word[..3].to_lowercase(), rng.u32(1000..99_999)),
        7 => made::any(made::LOWER, 10, rng),
        8 => made::any(made::ALNUM, 16, rng),
        9 => format!("{}.{}", made::any(made::ALNUM, 6, rng), made::any(made::ALNUM, 7, rng)),
        10 => format!("{word}{other}{}", rng.u32(1..99)),
        _ => made::password(rng),
    }
}

fn phrase(rng: &mut Rng) -> String {
    const WORDS: &[&str] = &["blue", "garden", "seven", "Hund", "coffee", "river", "otter", "lampe"];
    let mut word = || WORDS[rng.usize(..WORDS.len())].to_owned();
    let words = [word(), word(), word(), word()];
    match rng.bool() {
        true => words.join(" "),
        false => human(rng),
    }
}

/// What is missed: a code of digits alone beside a name that says nothing, keys that
/// nothing tells from identifiers, and passwords that could be words.
const RECALL: f64 = 0.99;

#[test]
fn settings_of_a_stranger_lose_their_secrets() {
    CORPUS.plain(RECALL);
}

#[test]
fn settings_of_a_stranger_lose_their_secrets_in_encodings_too() {
    CORPUS.encoded(RECALL);
}

#[test]
fn what_a_stranger_would_take_for_no_secret_is_no_finding() {
    CORPUS.no_finding();
}
