//! Secrets that lie across the borders of what is looked at in one piece.

use fastrand::Rng;
use sweep::{Finding, Limits, Rules};

use crate::made::{self, base64, made};
use crate::sweep_within;
use crate::wraps::gzip;

/// What [`Limits::part_bytes`] is; a part that is larger is read from front to back.
const PART: usize = 2 << 20;
/// Beyond what a pass answers for, it sees so much.
const MARGIN: usize = 1 << 20;
/// A pass answers for so much.
const WINDOW: usize = 8 << 20;
/// Behind the first pass, which is over what is held, and the next one.
fn borders(part: usize) -> [usize; 3] {
    [part - MARGIN, part, part - MARGIN + WINDOW]
}

fn limits(part: usize) -> Limits {
    Limits { part_bytes: part as u64, ratio: u64::MAX, ..Limits::default() }
}

/// Lines that say nothing, with `secrets` where they begin in place of what stands there.
fn text(bytes: usize, secrets: &[(usize, String)]) -> Vec<u8> {
    let mut text = b"a line of a log that says nothing\n".repeat(bytes / 34 + 1);
    for (at, line) in secrets {
        text[*at - 1] = b'\n';
        text[*at..*at + line.len()].copy_from_slice(line.as_bytes());
    }
    text
}

/// Each secret was found once, whole, and where it stands.
fn check(found: &[Finding], text: &[u8], lines: &[(usize, String)], secrets: &[String]) {
    let told: Vec<String> =
        found.iter().map(|one| String::from_utf8_lossy(one.secret.reveal()).into_owned()).collect();
    assert_eq!(told, secrets, "{:?}", lines.iter().map(|(at, _)| at).collect::<Vec<_>>());
    for (finding, ((at, line), secret)) in found.iter().zip(lines.iter().zip(secrets)) {
        let at = at + line.find(secret.as_str()).expect("it stands in it");
        assert_eq!(finding.location.offset, at as u64, "{secret}");
        let ends = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(finding.location.line, Some(ends + 1), "{secret}");
    }
}

#[test]
fn a_secret_across_a_border_of_a_large_part_is_found_once_and_whole() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(11);
    let len = "stream password = \"\"\n".len() + 15;
    // One line in each sweep at each border, a byte further on each time. Of the second, what
    // is held takes two passes.
    let each = (0..=len + 1).map(|before| (PART, before));
    for (part, before) in each.chain([0, 1, 9, 20, 30, len].map(|before| (WINDOW + MARGIN / 2, before))) {
        let secrets: Vec<String> = borders(part).iter().map(|_| made("{lower:14}7", &mut rng)).collect();
        let line = |secret: &String| format!("stream password = \"{secret}\"\n");
        let lines: Vec<_> =
            borders(part).iter().zip(&secrets).map(|(at, secret)| (at - before, line(secret))).collect();
        let text = text(part + WINDOW, &lines);
        let (found, skipped) = sweep_within(&rules, &gzip(&text), limits(part));
        assert_eq!(skipped.len(), 1, "too large for what is inside: {skipped:?}");
        check(&found, &text, &lines, &secrets);
    }
}

#[test]
fn what_is_long_or_encoded_is_whole_across_a_border_as_well() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(12);
    let key = made::pem(&made::sealed(&mut rng), "ENCRYPTED PRIVATE KEY");
    let inner = made("rtsp://admin:{alnum:14}7@10.0.0.2/live\n", &mut rng);
    let packed = format!("{}\n", base64(format!("{}{inner}", "a word and ".repeat(20)).as_bytes()));
    for before in [1, 60, 300, 700, 1300] {
        for border in [PART - MARGIN, PART] {
            let text = text(
                PART + MARGIN,
                &[(border - before, key.clone()), (border + 5000 - before, packed.clone())],
            );
            let (found, _) = sweep_within(&rules, &gzip(&text), limits(PART));
            let ids: Vec<&str> = found.iter().map(|one| one.rule.id.as_str()).collect();
            assert_eq!(ids, ["private-key-pem", "url-credentials"], "{border} {before}");
            assert_eq!(found[0].secret.reveal(), key.trim_end().as_bytes());
        }
    }
}

/// Two rules know such a value, and the words by which they do lie on two sides.
#[test]
fn what_several_rules_know_is_told_once_across_a_border() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(13);
    let secret = made("{lower:14}7", &mut rng);
    let line = format!("password=rtsp://admin:{secret}@10.0.0.2/live\n");
    let mut plain: Option<Vec<String>> = None;
    for border in [PART - MARGIN, PART] {
        for before in 1..line.len() {
            let text = text(PART + MARGIN, &[(border - before, line.clone())]);
            let (found, _) = sweep_within(&rules, &gzip(&text), limits(PART));
            let ids: Vec<String> = found.iter().map(|one| one.rule.id.clone()).collect();
            assert_eq!(*plain.get_or_insert_with(|| ids.clone()), ids, "{border} {before}");
        }
    }
    assert_eq!(plain.unwrap_or_default(), ["url-credentials"]);
}

/// A file is read in windows, too.
#[test]
fn a_secret_across_a_border_of_a_file_is_found_once_and_whole() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(14);
    for before in (0..44).step_by(3) {
        let secret = made("{lower:14}7", &mut rng);
        let line = format!("password=rtsp://admin:{secret}@10.0.0.2/live\n");
        let lines = [(WINDOW - before, line)];
        let text = text(WINDOW + MARGIN, &lines);
        let (found, _) = sweep_within(&rules, &text, Limits::default());
        check(&found, &text, &lines, &[secret]);
    }
}
