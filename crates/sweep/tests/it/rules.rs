use fastrand::Rng;
use sweep::{Rules, Severity};

use crate::made::made;
use crate::{ids, sweep};

#[test]
fn each_rule_finds_its_examples_and_not_what_only_looks_like_them() {
    let rules = Rules::built_in();
    assert!(rules.iter().count() >= 60, "{} rules", rules.iter().count());
    let mut wrong = Vec::new();
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        for rule in rules.iter() {
            for template in &rule.matches {
                let text = made(template, &mut rng);
                let (found, _) = sweep(&rules, text.as_bytes());
                // A general rule gives way to one that knows more.
                let by_another = rule.remedy.is_empty() || !found.is_empty();
                let is_found = ids(&found).contains(&rule.id.as_str());
                if !(is_found || by_another && gives_way(&rule.id)) {
                    wrong.push(format!("{} misses {text:?}, found {:?}", rule.id, ids(&found)));
                }
            }
            for template in &rule.rejects {
                let text = made(template, &mut rng);
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

/// Rules whose examples another rule may tell of.
fn gives_way(id: &str) -> bool {
    ["password-assignment", "password-line", "password-element", "secret-assignment", "s3-settings"]
        .contains(&id)
        || ["azure-shared-access-key", "dahua-json", "hikvision-element", "onvif-password"].contains(&id)
        || ["mqtt-password", "mail-password", "aws-pair", "aws-access-key-id", "pppoe-ddns"].contains(&id)
        || ["azure-account-key", "wireguard-key", "axis-user", "reolink-login", "azure-sas"].contains(&id)
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
