use super::*;

#[test]
fn unknown_keys_are_refused_with_line_and_suggestion() {
    let error =
        format!("{:#}", Config::parse("data = \"x\"\n[listen]\nviewer = \"127.0.0.1:1\"\n").unwrap_err());
    assert!(error.contains("line 3"), "{error}");
    assert!(error.contains("Did you mean `viewers`?"), "{error}");
    let error = format!("{:#}", Config::parse("[store]\nkind = \"azur\"").unwrap_err());
    assert!(error.contains("Did you mean `azure`?"), "{error}");
}

#[test]
fn other_machines_demand_tls() {
    let error = Config::parse("[listen]\nviewers = \"0.0.0.0:8470\"").unwrap_err().to_string();
    assert!(error.contains("tls_certificate"), "{error}");
    assert!(Config::parse("[listen]\nviewers = \"[::1]:8470\"").is_ok());
}

#[test]
fn origins_are_names_with_tls_or_localhost() {
    for bad in ["http://example.org", "https://192.0.2.1", "https://example.org/app", "http://127.0.0.1:8470"]
    {
        assert!(Config::parse(&format!("[listen]\npublic_url = \"{bad}\"")).is_err(), "{bad}");
    }
    for good in ["http://localhost:9000", "https://cameras.example.org"] {
        assert!(Config::parse(&format!("[listen]\npublic_url = \"{good}\"")).is_ok(), "{good}");
    }
}

#[test]
fn witnesses_have_keys_of_their_kind() {
    let key = LogKey {
        name: "w.example".to_owned(),
        key: seal::keys::SigningKey::from_seed([1; 32]).verifying_key(),
    };
    let (log, witness) = (key.verifier_key(), key.cosigner_key());
    let asked = |url: &str, key: &str| format!("[[history.witnesses]]\nurl = \"{url}\"\nkey = \"{key}\"\n");
    let https = "https://w.example/witness";
    assert!(Config::parse(&asked(https, &witness)).is_ok());
    assert!(Config::parse(&asked("http://127.0.0.1:9/witness", &witness)).is_ok());
    assert!(Config::parse(&format!("[witness]\nlogs = [\"{log}\"]")).is_ok());
    for (text, told) in [
        (asked(https, &log), "history.witnesses.key"),
        (asked("http://w.example", &witness), "https://"),
        (asked("https://w.example/?x", &witness), "behind the path"),
        (asked(https, &witness).repeat(2), "twice"),
        (format!("[witness]\nlogs = [\"{witness}\"]"), "witness.logs"),
        (format!("[witness]\nlogs = [\"{log}\", \"{log}\"]"), "twice"),
        ("[witness]\nname = \"two words\"".to_owned(), "witness.name"),
        ("[history]\nwitness_seconds = 0".to_owned(), "witness_seconds"),
        ("[history]\nrecordings_seconds = 0".to_owned(), "recordings_seconds"),
    ] {
        let error = Config::parse(&text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn identity_providers_are_named_once_and_speak_https() {
    let of = |id: &str, issuer: &str, rest: &str| {
        let head = "[[identity_providers]]\nname = \"Corp\"\nclient_id = \"c\"\n";
        format!("{head}id = \"{id}\"\nissuer = \"{issuer}\"\n{rest}\n")
    };
    let issuer = "https://id.example.org";
    let roles = "[identity_providers.roles]\nguards = [\"operator all\", \"viewer group:doors\"]";
    let config = Config::parse(&of("corp", issuer, roles)).unwrap();
    assert_eq!(config.identity_providers[0].roles.0["guards"].len(), 2);
    assert!(Config::parse(&of("corp", "http://127.0.0.1:9", "")).is_ok());
    for (text, told) in [
        (of("Corp", issuer, ""), "a-z"),
        (of("corp", "http://id.example.org", ""), "https://"),
        (of("corp", issuer, "").repeat(2), "twice"),
        (of("corp", issuer, "[identity_providers.roles]\nguards = [\"boss all\"]"), "guards"),
        (of("corp", issuer, "link_claim = \"email\""), "oid"),
        (of("corp", issuer, "create_people = false"), "scim.provider"),
        (of("corp", issuer, "[scim]\nprovider = \"other\""), "no id"),
    ] {
        let error = format!("{:#}", Config::parse(&text).unwrap_err());
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn azure_is_https_and_has_an_account() {
    assert!(Config::parse("[store]\nkind = \"azure\"").is_err());
    let http = "[store]\nkind = \"azure\"\naccount = \"a\"\nendpoint = \"http://127.0.0.1\"";
    assert!(Config::parse(http).is_err());
    assert!(Config::parse("[store]\nkind = \"azure\"\naccount = \"a\"").is_ok());
}

#[test]
fn mail_goes_in_the_clear_to_this_machine_alone() {
    let section =
        |rest: &str| format!("[mail]\nhost = \"mail.example.org\"\nfrom = \"a@example.org\"\n{rest}");
    assert!(Config::parse(&section("")).is_ok());
    let here = "[mail]\nhost = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"Cameras <a@example.org>\"\n";
    assert_eq!(Config::parse(here).unwrap().mail.unwrap().port(), 25);
    for (text, told) in [
        (section("tls = \"none\""), "starttls"),
        (section("username = \"a\""), "mail.password_file"),
        (section("pause_minutes = 0"), "pause_minutes"),
        (section("").replace("a@example.org", "a b"), "mail.from"),
        (section("").replace("a@example.org", "a@example.org\\r\\nBcc: b@example.org"), "mail.from"),
        (section("").replace("mail.example.org", "mail.example.org/x"), "mail.host"),
    ] {
        let error = Config::parse(&text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
