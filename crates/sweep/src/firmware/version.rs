//! Which of two versions is the older one, for makers who agree on no form: numbers
//! count as numbers, `1.0.2` comes before `1.0.2a`, `2.0rc1` before `2.0`, `7.4p1` after
//! `7.4`.

use std::cmp::Ordering;

/// Of a version, in bytes; more is none.
const BYTES_MAX: usize = 128;

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Digits without zeros before them.
    Number(&'a str),
    Word(&'a str),
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (pieces(a), pieces(b));
    let mut at = 0;
    loop {
        let order = match (a.get(at), b.get(at)) {
            (None, None) => return Ordering::Equal,
            (Some(piece), None) => over_nothing(piece),
            (None, Some(piece)) => over_nothing(piece).reverse(),
            (Some(Piece::Number(a)), Some(Piece::Number(b))) => a.len().cmp(&b.len()).then(a.cmp(b)),
            (Some(Piece::Word(a)), Some(Piece::Word(b))) => (!is_before(a), a).cmp(&(!is_before(b), b)),
            // `1.0.1` against `1.0rc1` or `1.0a`.
            (Some(Piece::Number(_)), Some(Piece::Word(_))) => Ordering::Greater,
            (Some(Piece::Word(_)), Some(Piece::Number(_))) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
        at += 1;
    }
}

/// Whether it is one and nothing more: `1.2.3 and earlier`, `5.4.1, 5.4.2` and `1.x`
/// begin like versions, and are words.
pub(super) fn is_plain(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_+~:".contains(c);
    let is_any = |piece: &Piece<'_>| matches!(piece, Piece::Word(word) if word.eq_ignore_ascii_case("x"));
    is_version(text) && text.chars().all(is_part) && !pieces(text).iter().any(is_any)
}

/// Whether it could be one at all.
pub(super) fn is_version(text: &str) -> bool {
    let text = text.trim_start_matches(['v', 'V']);
    text.len() <= BYTES_MAX && text.starts_with(|c: char| c.is_ascii_digit())
}

fn over_nothing(piece: &Piece<'_>) -> Ordering {
    match piece {
        // `1.0.0` is `1.0`.
        Piece::Number("") => Ordering::Equal,
        Piece::Word(word) if is_before(word) => Ordering::Less,
        _ => Ordering::Greater,
    }
}

fn is_before(word: &str) -> bool {
    ["rc", "alpha", "beta", "pre", "dev", "preview"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn pieces(version: &str) -> Vec<Piece<'_>> {
    // What was built, not what was written: semver.org, 10.
    let version = version.split('+').next().unwrap_or_default().trim_start_matches(['v', 'V']);
    let mut rest = &version[..version.floor_char_boundary(BYTES_MAX)];
    let mut pieces = Vec::new();
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let is_letter = first.is_alphabetic();
        if !is_digit && !is_letter {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c: char| match is_digit {
            true => !c.is_ascii_digit(),
            false => !c.is_alphabetic(),
        });
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(match is_digit {
            true => Piece::Number(piece.trim_start_matches('0')),
            false => Piece::Word(piece),
        });
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_versions() {
        for text in ["1.2.3", "v5.4", "1.0.2k", "0.94.14-rc21", "2:6", "2022.83"] {
            assert!(is_plain(text), "{text}");
        }
        for text in ["1.2.3 and earlier", "5.4.1, 5.4.2", "1.0 through 1.5", "1.x", "all", "", "1.*"] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn older_versions_come_first() {
        for line in [
            "1.0.2 1.0.2a 1.0.2k 1.0.2z 1.0.2za 1.0.2zd 1.1.0 1.1.1 3.0.0",
            "1.9 1.10 1.10.1 2",
            "2.0rc1 2.0rc2 2.0 2.0.1",
            "7.4 7.4p1 7.5",
            "0.52 2011.54 2019.78 2020.81",
            "0.94.14rc20 0.94.14rc21 0.94.14",
            "2.9-beta 2.9",
        ] {
            let versions: Vec<&str> = line.split(' ').collect();
            for (at, a) in versions.iter().enumerate() {
                for (other, b) in versions.iter().enumerate() {
                    assert_eq!(compare(a, b), at.cmp(&other), "{a} {b}");
                }
            }
        }
        for (a, b) in [("1.0", "1.0.0"), ("v1.2", "1.2"), ("1.02", "1.2"), ("1.2+build7", "1.2")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }
}
