//! Texts that are decoded several lines at once: keys in mails, and where a secret stands.

use fastrand::Rng;
use sweep::{Limits, Rules};

use crate::made::{self, bytes, der, made};
use crate::wraps::{quoted_printable, xml};
use crate::{sweep, totals};

/// A key of RSA (RFC 8017, A.1.2) of so many bits, with noise for its numbers.
fn rsa(bits: usize, rng: &mut Rng) -> Vec<u8> {
    let mut number = |len: usize| {
        let mut value = bytes(len, rng);
        value[0] = value[0] & 0x7f | 0x40;
        der(0x02, &value)
    };
    let (whole, half) = (bits / 8, bits / 16);
    let lens = [whole, 3, whole, half, half, half, half, half];
    let numbers: Vec<u8> = lens.into_iter().flat_map(&mut number).collect();
    der(0x30, &[der(0x02, &[0]), numbers].concat())
}

/// With padding, which alone is escaped.
fn padded(bits: usize, rng: &mut Rng) -> String {
    loop {
        let pem = made::pem(&rsa(bits, rng), "RSA PRIVATE KEY");
        if pem.contains('=') {
            return pem;
        }
    }
}

fn mail(text: &str) -> Vec<u8> {
    let head = "Subject: cameras\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHello,\r\n\r\n";
    [head.as_bytes(), &quoted_printable(text.as_bytes()), b"\r\nBye\r\n"].concat()
}

#[test]
fn a_long_key_in_a_mail_is_found() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(41);
    for bits in [2048, 3072, 4096, 8192] {
        let key = padded(bits, &mut rng);
        for before in ["", "the key:\n", "a = b, and other words before the key\nof more lines than one:\n"] {
            let (found, _) = sweep(&rules, &mail(&format!("{before}{key}")));
            // Its lines are base64 as well, but for the last.
            let told = found.iter().find(|one| one.rule.id == "private-key-pem");
            let told = told.map(|one| String::from_utf8_lossy(one.secret.reveal()).into_owned());
            assert_eq!(told.as_deref(), Some(key.trim_end()), "{bits} {before}");
        }
    }
}

#[test]
fn a_key_behind_its_certificate_in_a_mail_is_found() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(42);
    for seed in 0..6 {
        let certificate = made::pem(&der(0x30, &bytes(1200 + seed, &mut rng)), "CERTIFICATE");
        let key = made::pem(&rsa(4096, &mut rng), "RSA PRIVATE KEY");
        let (found, _) = sweep(&rules, &mail(&format!("{certificate}{key}")));
        let told = found.iter().find(|one| one.rule.id == "private-key-pem");
        let told = told.map(|one| String::from_utf8_lossy(one.secret.reveal()).into_owned());
        assert_eq!(told.as_deref(), Some(key.trim_end()));
    }
}

/// The attack: each line asks for all that stands before it to be read again.
#[test]
fn paragraphs_are_decoded_in_proportion() {
    let rules = Rules::built_in();
    for line in [
        "a line =3D of a mail\n",
        "x=3D\n",
        &format!("{}=3D\n", "y".repeat(2000)),
        &format!("{}=\r\n", "z".repeat(75)),
    ] {
        let text = line.repeat((2 << 20) / line.len());
        let (_, _, totals) = totals(&rules, text.as_bytes(), Limits::default());
        assert!(totals.decoded <= 4 * text.len() as u64, "{line}: {totals:?}");
    }
}

#[test]
fn a_finding_in_a_decoded_paragraph_has_the_line_of_the_secret() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(43);
    for above in 0..12 {
        let secret = made("{alnum:10}7", &mut rng);
        // Of a mail; the first line is what is escaped first.
        let mut text = String::from("one = two\n");
        (0..above).for_each(|line| text.push_str(&format!("line {line} = of the mail\n")));
        text.push_str(&format!("password =\n  \"{secret}\"\n and = more\n"));
        let mail = mail(&text);
        let (found, _) = sweep(&rules, &mail);
        let told: Vec<_> = found.iter().map(|one| one.secret.reveal()).collect();
        assert_eq!(told, [secret.as_bytes()], "{text}");
        let at = String::from_utf8_lossy(&mail).find(&secret).expect("it stands there");
        let line = 1 + mail[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(found[0].location.line, Some(line), "{text}");
        let start = mail[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        assert_eq!(found[0].location.offset, start as u64, "where that line begins");
    }
}

#[test]
fn a_line_that_a_mailer_broke_counts_where_the_secret_begins() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(44);
    for words in 0..30 {
        let secret = made("{lower:10}7", &mut rng);
        let text = format!("{}password=\"{secret}\" end\n", "a=b ".repeat(words));
        let mail = mail(&text);
        let (found, _) = sweep(&rules, &mail);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].secret.reveal(), secret.as_bytes());
        // Where its first letters stand, on one line or on two.
        let joined = String::from_utf8_lossy(&mail).replace("=\r\n", "\u{1}");
        let value = joined.find('"').expect("a quote") + 1;
        let line = 1 + joined[..value].matches(['\n', '\u{1}']).count() as u64;
        let told = found[0].location.line.expect("text");
        let broken = joined[value..].starts_with('\u{1}');
        assert!(told == line || broken && told == line + 1, "{told} of {line}: {joined}");
    }
}

#[test]
fn a_finding_in_xml_has_the_line_of_the_secret_also_inside_another_encoding() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(45);
    for above in [0, 1, 5, 9] {
        let secret = made("{alnum:10}7", &mut rng);
        let filler: String = (0..above).map(|line| format!("<p{line}>\"x\"</p{line}>\n")).collect();
        let inner = format!("<a>\n{filler}<password>\n{secret}</password>\n</a>\n");
        let text = format!("first\n\n{}", xml(&inner));
        let (found, _) = sweep(&rules, text.as_bytes());
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].secret.reveal(), secret.as_bytes());
        let line = |text: &str| 1 + text[..text.find(&secret).expect("it")].matches('\n').count() as u64;
        assert_eq!(found[0].location.line, Some(line(&text)), "{text}");
        // Once more escaped, which leaves lines where they were.
        let twice = xml(&text);
        let (found, _) = sweep(&rules, twice.as_bytes());
        assert_eq!(found.first().and_then(|one| one.location.line), Some(line(&twice)), "{twice}");
    }
}
