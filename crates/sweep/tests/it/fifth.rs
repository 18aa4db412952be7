//! A fifth corpus (`fifth/*.txt`): passwords that are plain words in settings and commands,
//! notes in a dozen languages, and documents. Each line is a document of its own; `\n` in it
//! is the end of one. All else is as in [`crate::planted`].
//!
//! What is missed: two names as a password (`BerlinOskar`) and words with a number behind
//! `_` where a note says nothing but a name of an account, `!` at the end of a sentence, and
//! labels that any text has (`pwd`, `mdp caméra`).

use fastrand::Rng;
use sweep::Rules;

use crate::found_untried;
use crate::planted::{self, Document, Score};
use crate::strangers;

const SETTINGS: &str = include_str!("fifth/settings.txt");
const COMMANDS: &str = include_str!("fifth/commands.txt");
const NOTES: &str = include_str!("fifth/notes.txt");
const DOCUMENTS: &str = include_str!("fifth/documents.txt");
const SEEDS: std::ops::Range<u64> = 1300..1303;

pub(crate) fn lines(file: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    planted::entries(file)
        .flat_map(|(kind, text)| text.lines().map(move |line| (kind, line.replace("\\n", "\n") + "\n")))
}

fn documents(file: &'static str, rng: &mut Rng) -> Vec<Document> {
    lines(file).map(|(kind, line)| planted::document(kind, &line, rng)).collect()
}

pub(crate) fn loses(file: &'static str, seeds: std::ops::Range<u64>, recall: f64) {
    let rules = Rules::built_in();
    let mut score = Score::default();
    for seed in seeds {
        for document in documents(file, &mut Rng::with_seed(seed)) {
            score.add(&document, "plain", &found_untried(&rules, document.text.as_bytes()));
        }
    }
    score.check(recall);
}

#[test]
fn settings_lose_passwords_that_are_words() {
    loses(SETTINGS, SEEDS, 0.99);
}

#[test]
fn commands_lose_passwords_that_are_words() {
    loses(COMMANDS, SEEDS, 0.99);
}

#[test]
fn notes_in_a_dozen_languages_lose_their_secrets() {
    loses(NOTES, SEEDS, 0.95);
}

#[test]
fn documents_lose_their_secrets() {
    loses(DOCUMENTS, SEEDS, 0.98);
}

#[test]
fn what_is_near_to_words_in_settings_is_no_finding() {
    let near = lines(include_str!("fifth/near.txt")).collect::<Vec<_>>();
    strangers::no_finding(|rng| near.iter().map(|(kind, line)| planted::document(kind, line, rng)).collect());
}
