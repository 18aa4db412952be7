use fastrand::Rng;
use sweep::rules::Kind;
use sweep::{Finding, Fingerprint, Rule, Rules, Severity};

use crate::made::{self, made};
use crate::{ids, sweep};

#[test]
fn each_rule_finds_its_examples_and_not_what_only_looks_like_them() {
    let rules = Rules::built_in();
    assert!(rules.iter().count() >= 60, "{} rules", rules.iter().count());
    let mut wrong = Vec::new();
    for seed in 0..20 {
        for rule in rules.iter() {
            for template in &rule.matches {
                let (text, part) = with_longest(template, &mut of(template, seed));
                let (found, _) = sweep(&rules, text.as_bytes());
                if !found.iter().any(|finding| tells(finding, rule, &part)) {
                    wrong.push(format!("{} misses {text:?}, found {:?}", rule.id, ids(&found)));
                }
            }
            for template in &rule.rejects {
                let text = made(template, &mut of(template, seed));
                let (found, _) = sweep(&rules, text.as_bytes());
                if !found.is_empty() {
                    wrong.push(format!("{} is not to find {text:?}: {:?}", rule.id, ids(&found)));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup_by_key(|wrong| wrong[..wrong.len().min(40)].to_owned());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is made up for an example, whatever stands before it.
fn of(template: &str, seed: u64) -> Rng {
    // FNV-1a.
    let mixed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Rng::with_seed(template.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, mixed))
}

/// An example, and the longest part of it that was made up, the last of equals: the secret, or most of it.
fn with_longest(template: &str, rng: &mut Rng) -> (String, String) {
    let mut longest = String::new();
    let text = made::with(template, &mut |kind, number| {
        let part = made::part(kind, number, rng)?;
        if part.len() >= longest.len() {
            longest.clone_from(&part);
        }
        Some(part)
    });
    (text, longest)
}

/// The rule itself, or one that knows more where it gives way, which says no less; and
/// what is told of is the secret.
fn tells(finding: &Finding, rule: &Rule, part: &str) -> bool {
    let same = finding.rule.id == rule.id;
    let secret = String::from_utf8_lossy(finding.secret.reveal()).into_owned();
    let whole = secret.contains(part.trim_end())
            // Of a user and a password in base64, the password is told.
            || part == made::base64(format!("admin:{secret}").as_bytes())
            || part.contains(&secret) && secret.len() * 4 >= part.len() * 3;
    whole
        && (same
            || finding.rule.severity >= rule.severity && (rule.is_general() || !finding.rule.is_general()))
}

#[test]
fn private_keys_without_armour_are_found_and_cut_ones_are_not() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(3);
    let key = crate::made::pkcs8(&mut rng);
    let inside = [crate::made::bytes(333, &mut rng), key.clone(), crate::made::bytes(99, &mut rng)].concat();
    assert_eq!(ids(&sweep(&rules, &inside).0), ["private-key-pkcs8"]);
    assert_eq!(ids(&sweep(&rules, &key[..key.len() - 4]).0), [""; 0]);
}

#[test]
fn an_ended_token_is_a_lesser_finding_and_a_writing_one_a_greater() {
    let rules = Rules::built_in();
    let severity = |template: &str| {
        let (found, _) = sweep(&rules, made(template, &mut Rng::with_seed(1)).as_bytes());
        assert_eq!(ids(&found), ["azure-sas"], "{template}");
        (found[0].severity, found[0].permits.clone().unwrap_or_default())
    };
    let url = "https://a.blob.core.windows.net/c?sv=2022-11-02&sr=c";
    assert_eq!(
        severity(&format!("{url}&sp=rl&se=2099-01-01&sig={{sig}}")),
        (Severity::High, "read, list".into())
    );
    assert_eq!(
        severity(&format!("{url}&sp=rw&se=2099-01-01&sig={{sig}}")),
        (Severity::Critical, "read, write".into())
    );
    assert_eq!(severity(&format!("{url}&sp=rw&se=2020-01-01&sig={{sig}}")).0, Severity::Low);
}

#[test]
fn a_secret_prints_nowhere() {
    let rules = Rules::built_in();
    let (found, _) = sweep(&rules, b"rtsp://admin:Zebra77crossing@10.0.0.1/live\n");
    assert_eq!(ids(&found), ["url-credentials"]);
    let shown = format!("{found:?}");
    assert!(!shown.contains("Zebra77"), "{shown}");
    assert_eq!(found[0].secret.reveal(), b"Zebra77crossing");
    assert_eq!(found[0].secret.redacted(found[0].rule.kind), "…");
}

#[test]
fn fingerprints_are_the_same_in_each_run_and_short_for_what_can_be_guessed() {
    let rules = Rules::built_in();
    let key = made("{base64:64}", &mut Rng::with_seed(5));
    let (a, _) = sweep(&rules, format!("AccountName=x;AccountKey={key}").as_bytes());
    let (b, _) = sweep(&rules, format!("  '{key}'  ").as_bytes());
    assert_ne!(a[0].rule.id, b[0].rule.id, "two rules");
    assert_eq!(a[0].fingerprint, b[0].fingerprint, "of one key");
    assert_eq!(a[0].fingerprint.as_str().len(), 32);
    let (password, _) = sweep(&rules, b"rtsp://admin:Zebra77crossing@10.0.0.1/live\n");
    assert_eq!(password[0].fingerprint.as_str().len(), 3, "a longer one could be tried against a dictionary");
}

/// What programs write looks like what people choose: where nothing but a password
/// stands, it is one.
#[test]
fn a_password_that_looks_like_a_constant_is_found_where_only_passwords_stand() {
    let rules = Rules::built_in();
    for (text, secret) in [
        ("rtsp://admin:NVR_2024_HOF@192.168.1.64:554/\n", "NVR_2024_HOF"),
        ("<password>kGarten</password>\n", "kGarten"),
    ] {
        let (found, _) = sweep(&rules, text.as_bytes());
        let all: Vec<_> = found.iter().map(|one| String::from_utf8_lossy(one.secret.reveal())).collect();
        assert!(all.iter().any(|one| one == secret), "{text}: {all:?}");
    }
}

#[test]
fn a_password_with_letters_beyond_ascii_or_of_many_digits_is_found() {
    let rules = Rules::built_in();
    for (text, secret) in [
        ("<PPPoE><enabled>true</enabled><password>Größe77</password></PPPoE>\n", "Größe77"),
        ("root.SMTP.Password=Größe77\n", "Größe77"),
        ("rtsp://admin:Größe77@10.0.0.1/\n", "Größe77"),
        ("wpa_passphrase=Größe77x\n", "Größe77x"),
        ("password=Sommer2024€\n", "Sommer2024€"),
        ("Passwort: Müller2024\n", "Müller2024"),
        ("password: słońce12\n", "słońce12"),
        ("password=Пароль77\n", "Пароль77"),
        ("WLAN-Passwort: 91827364558271736455\n", "91827364558271736455"),
        ("password=9182736455827173\n", "9182736455827173"),
    ] {
        let (found, _) = sweep(&rules, text.as_bytes());
        let revealed: Vec<_> = found.iter().map(|finding| finding.secret.reveal()).collect();
        assert_eq!(revealed, [secret.as_bytes()], "{text}");
    }
    for text in
        ["\"password\": \"密码长度8到16位\"\n", "password_changed=1795824000123\n", "password: “sommer”\n"]
    {
        assert!(sweep(&rules, text.as_bytes()).0.is_empty(), "{text}");
    }
}

#[test]
fn a_password_of_three_characters_in_an_address_is_found() {
    let rules = Rules::built_in();
    for (text, secret) in [
        ("rtsp://admin:abc@10.0.0.5\n", "abc"),
        ("rtsp://admin:abc@10.0.0.5:554/live\n", "abc"),
        ("ftp://u:123@h\n", "123"),
        ("url=http://root:a1!@cam.local/mjpg\n", "a1!"),
        ("mqtt://cam:x-y@nas:1883\n", "x-y"),
    ] {
        let (found, _) = sweep(&rules, text.as_bytes());
        assert_eq!(ids(&found), ["url-credentials"], "{text}");
        assert_eq!(found[0].secret.reveal(), secret.as_bytes());
    }
    for text in [
        "rtsp://admin:***@10.0.0.5\n",
        "rtsp://user:xxx@10.0.0.5\n",
        "ftp://u:<p>@h\n",
        "http://$U:$P1@host/\n",
        "http://u:%s1@host/\n",
        "http://host:80/x@y\n",
        "http://host:8080/x@y\n",
        "https://a.example/b:cde@f\n",
        "git+ssh://git@host:org/x.git\n",
        "http://u:{p}@host\n",
        "https://abc:xyz@example.com/\n",
        "https://abc:abc@example.com/\n",
        "https://abc:xyz@www.Example.org:8080\n",
    ] {
        assert!(sweep(&rules, text.as_bytes()).0.is_empty(), "{text}");
    }
}

/// Beginnings of keys stand in anything long that chance made.
#[test]
fn keys_are_not_seen_in_what_chance_made() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(64);
    let mut text = Vec::new();
    for (number, begin) in ["K000", "K003", "AzFu", "AccountK"].iter().cycle().take(10_000).enumerate() {
        let mut line = made::base64(&made::bytes(57, &mut rng)).into_bytes();
        let at = number % (line.len() - begin.len());
        line[at..at + begin.len()].copy_from_slice(begin.as_bytes());
        text.extend(line);
        text.push(b'\n');
    }
    let (found, _) = sweep(&rules, &text);
    let told: Vec<_> =
        found.iter().map(|one| (&one.rule.id, String::from_utf8_lossy(one.secret.reveal()))).collect();
    assert!(told.is_empty(), "{told:?}");
}

/// A password that an address has with escapes is told once.
#[test]
fn a_password_with_escapes_is_told_once() {
    let rules = Rules::built_in();
    for text in [
        "rtsp://admin:Gar%74en77%21@10.0.0.2/live\n",
        "http://10.0.0.2/cgi-bin/api.cgi?user=a&password=Gar%74en77%21\n",
    ] {
        let (found, _) = sweep(&rules, text.as_bytes());
        assert_eq!(found.len(), 1, "{text}: {:?}", ids(&found));
    }
}

/// The name beside a value is told whole, whatever its alphabet.
#[test]
fn names_in_other_alphabets_are_told_whole() {
    let rules = Rules::built_in();
    for (text, name) in [("Hasło: Zebra77crossing\n", "Hasło"), ("Пароль=Zebra77crossing\n", "Пароль")]
    {
        let (found, _) = sweep(&rules, text.as_bytes());
        let told = found.first().and_then(|one| one.location.parameter.clone()).unwrap_or_default();
        assert_eq!(told, name, "{text}");
    }
}

/// FileZilla and Kubernetes write passwords in base64: what is told is the password.
#[test]
fn a_password_in_base64_is_told_as_it_is() {
    let rules = Rules::built_in();
    for text in [
        "<Pass encoding=\"base64\">WmVicmE3N2Nyb3NzaW5n</Pass>",
        "kind: Secret\ndata:\n  password: WmVicmE3N2Nyb3NzaW5n\n",
        "password=Zebra77crossing\n",
    ] {
        let (found, _) = sweep(&rules, text.as_bytes());
        let [one] = &found[..] else { panic!("{text}: {found:?}") };
        assert_eq!(one.secret.reveal(), b"Zebra77crossing", "{text}");
        assert_eq!(
            one.fingerprint.as_str(),
            Fingerprint::new(Kind::Password, "password-assignment", b"Zebra77crossing").as_str()
        );
    }
    // `changeme`, and what is no text.
    assert!(sweep(&rules, b"password: Y2hhbmdlbWU=\n").0.is_empty());
    let (found, _) = sweep(&rules, b"password: Qm9vdExvYWRlcg8x\n");
    assert_eq!(found[0].secret.reveal(), b"Qm9vdExvYWRlcg8x");
}

/// Lines of a file in UTF-16 are counted.
#[test]
fn lines_of_a_file_in_utf_16_are_told() {
    let rules = Rules::built_in();
    let text = "\u{feff}[cam]\r\nuser=admin\r\npassword=Zebra77crossing\r\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (found, _) = sweep(&rules, &bytes);
    assert_eq!(found.iter().map(|one| one.location.line).collect::<Vec<_>>(), [Some(3)]);
}

/// A literal that leads to no match costs time and finds nothing. It stands in an example,
/// or in one that is made of an example with it in the place of another literal.
#[test]
fn each_literal_leads_to_a_match() {
    let rules = Rules::built_in();
    let mut dead = Vec::new();
    for rule in rules.iter() {
        let mut rng = Rng::with_seed(7);
        let texts: Vec<(String, String)> =
            rule.matches.iter().map(|template| with_longest(template, &mut rng)).collect();
        let led: Vec<&str> = texts.iter().flat_map(|(text, _)| rule.leading(text.as_bytes())).collect();
        // Keys in DER are no text: `private_keys_without_armour…` has them.
        for literal in rule.literals().filter(|literal| !led.contains(literal) && !rule.matches.is_empty()) {
            let put = |(text, part): &(String, String)| {
                led.iter().any(|other| {
                    put(text, part, other, literal).iter().any(|text| rule.leading(text).contains(&literal))
                })
            };
            if !texts.iter().any(put) {
                dead.push(format!("{}: {literal:?}", rule.id));
            }
        }
    }
    assert!(dead.is_empty(), "{} literals\n{}", dead.len(), dead.join("\n"));
}

/// Texts in which a literal stands in the place of another: with what follows, and with the
/// signs between it and the secret written in all ways.
fn put(text: &str, secret: &str, other: &str, literal: &str) -> Vec<Vec<u8>> {
    const BETWEEN: &[(&str, &str)] = &[
        ("", "\n"),
        ("=", "\n"),
        (": ", "\n"),
        (" ", "\n"),
        ("\"", "\"\n"),
        ("'", "'\n"),
        ("=\"", "\"\n"),
        (":\"", "\"\n"),
        ("\": \"", "\"\n"),
        (" \"", "\"\n"),
        (">", "</a>"),
    ];
    let folded = text.to_ascii_lowercase();
    let hex = |text: &str| match text.strip_prefix("hex:") {
        Some(digits) => made::unhex(digits),
        None => text.as_bytes().to_vec(),
    };
    let Some(at) = folded.find(&other.to_ascii_lowercase()) else { return Vec::new() };
    let before = &text.as_bytes()[..at];
    let after = &text.as_bytes()[at + other.len()..];
    let literal = hex(literal);
    let mut texts = vec![[before, literal.as_slice(), after].concat()];
    texts.extend(BETWEEN.iter().map(|(sign, end)| {
        [before, literal.as_slice(), sign.as_bytes(), secret.as_bytes(), end.as_bytes()].concat()
    }));
    texts
}

/// A hash that everybody can open is as good as the password.
#[test]
fn the_hash_of_a_default_password_is_critical() {
    let rules = Rules::built_in();
    let find = |text: &str| {
        let (found, _) = sweep(&rules, text.as_bytes());
        let [finding] = &found[..] else { panic!("{text}: {:?}", ids(&found)) };
        (finding.severity, finding.permits.clone())
    };
    let says = Some("the hash is of a well-known default password".to_owned());
    for text in [
        "root:$1$RYIwEiRA$d5iRRVQ5ZeRTrJwGjRy.B0:0:0::/:/bin/sh\n",
        "root:absxcfbgXtb3o:0:0:root:/:/bin/sh\n",
        "root:$6$saltstring$sIi0EXY3T6D1w0qETOVPk1yLQtSAq50lenn0esECBK6vtR0hLf8xxyudAcCAUX9S0DSVUmnHf9CYm2cIB1gWQ1:18000:0:99999:7:::\n",
        "admin:$apr1$abcdefgh$2dFsxY98J9MenKm8PdLtN/\n",
        "admin:{SHA}tecByS63TeTWDNwG80nkzwCdrWU=\n",
    ] {
        assert_eq!(find(text), (Severity::Critical, says.clone()), "{text}");
    }
    let other = "root:$1$RYIwEiRA$d5iRRVQ5ZeRTrJwGjRy.B1:0:0::/:/bin/sh\n";
    assert_eq!(find(other), (Severity::High, None));
}

/// The attack: a file of many hashes. What is not tried is told.
#[test]
fn many_hashes_cost_bounded_work() {
    let line = |number: usize| {
        format!(
            "user{number}:$6$salt{number:04}$sIi0EXY3T6D1w0qETOVPk1yLQtSAq50lenn0esECBK6vtR0hLf8xxyudAcCAUX9S0DSVUmnHf9CYm2cIB1gWQ1:18000:0:99999:7:::\n"
        )
    };
    let text: String = (0..1000).map(line).collect();
    let (found, skipped) = sweep(&Rules::built_in(), text.as_bytes());
    assert_eq!(found.len(), 1000);
    assert_eq!(skipped, ["input: more hashes than are tried with default passwords"]);
}
