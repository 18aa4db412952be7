//! A sixth corpus (`sixth/*.txt`), of what was missed in formats of somebody who had not read
//! the rules, and by somebody who uses them: two words as a password, words in settings and
//! calls, notes with the name of a device, and where a password ends. Lines are as in
//! [`crate::fifth`]. Of notes, passwords of small letters that could be words are missed.

use crate::fifth::{lines, loses};
use crate::{planted, strangers};

const SEEDS: std::ops::Range<u64> = 1400..1403;

#[test]
fn settings_lose_passwords_of_one_and_two_words() {
    loses(include_str!("sixth/settings.txt"), SEEDS, 0.98);
}

#[test]
fn commands_and_calls_lose_passwords_that_are_words() {
    loses(include_str!("sixth/commands.txt"), SEEDS, 0.98);
}

#[test]
fn notes_with_the_name_of_a_device_lose_their_secrets() {
    loses(include_str!("sixth/notes.txt"), SEEDS, 0.85);
}

#[test]
fn what_is_near_to_two_words_and_to_notes_is_no_finding() {
    let near = lines(include_str!("sixth/near.txt")).collect::<Vec<_>>();
    strangers::no_finding(|rng| near.iter().map(|(kind, line)| planted::document(kind, line, rng)).collect());
}
