//! Advisories, as vendors and lists publish them, against components of one image.

use sweep::Severity;
use sweep::firmware::{Advisories, Component, Product, Report, Source};

fn component(vendor: &str, product: &str, version: &str) -> Component {
    Component {
        name: product.to_owned(),
        vendor: vendor.to_owned(),
        product: product.to_owned(),
        version: version.to_owned(),
        source: Source::Words,
        purl: None,
        place: format!("bin/{product}"),
        places: 1,
    }
}

fn report() -> Report {
    Report {
        product: Product {
            vendor: Some("Acme".to_owned()),
            model: Some("Dome 3".to_owned()),
            version: Some("5.4.1".to_owned()),
        },
        components: vec![
            component("busybox", "busybox", "1.30.1"),
            component("linux", "linux_kernel", "5.10.100"),
            component("openssl", "openssl", "1.0.2k"),
        ],
        ..Report::default()
    }
}

/// Vulnerabilities by what they are in; those that exploited ones stand first.
fn judged(files: &[&str]) -> Report {
    let mut report = report();
    let mut advisories = Advisories::of(&mut report);
    for (number, json) in files.iter().enumerate() {
        advisories.read(&format!("{number}.json"), json.as_bytes()).expect("an advisory");
    }
    advisories.finish();
    report
}

fn found(report: &Report) -> Vec<(&str, &str)> {
    report.vulnerabilities.iter().map(|found| (found.id.as_str(), found.component.as_str())).collect()
}

const CVE: &str = r#"{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{"cveId":"CVE-2022-1","state":"PUBLISHED"},
 "containers":{"cna":{"title":"Stack overflow in ash","metrics":[{"cvssV3_1":{"baseScore":9.8}}],
 "affected":[{"vendor":"n/a","product":"BusyBox","versions":[{"version":"0","lessThan":"1.35.0","status":"affected","versionType":"custom"}]}]}}}"#;

const NVD: &str = r#"{"resultsPerPage":2,"totalResults":2,"vulnerabilities":[
 {"cve":{"id":"CVE-2022-2","descriptions":[{"lang":"en","value":"Loop in BN_mod_sqrt"}],
  "metrics":{"cvssMetricV31":[{"cvssData":{"baseScore":7.5}}]},
  "configurations":[{"nodes":[{"cpeMatch":[
   {"vulnerable":true,"criteria":"cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*","versionStartIncluding":"1.0.2","versionEndExcluding":"1.0.2zd"},
   {"vulnerable":false,"criteria":"cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"}]}]}]}},
 {"cve":{"id":"CVE-2022-3","descriptions":[],"metrics":{},
  "configurations":[{"nodes":[{"cpeMatch":[{"vulnerable":true,"criteria":"cpe:2.3:a:openssl:openssl:1.0.1:*:*:*:*:*:*:*"}]}]}]}}]}"#;

const KEV: &str = r#"{"title":"CISA Catalog","catalogVersion":"2026.11.01","count":1,"vulnerabilities":[
 {"cveID":"CVE-2022-2","vendorProject":"OpenSSL","product":"OpenSSL"}]}"#;

const KERNEL: &str = r#"{"cveMetadata":{"cveId":"CVE-2023-4","state":"PUBLISHED"},"containers":{"cna":{"affected":[
 {"vendor":"Linux","product":"Linux","defaultStatus":"unaffected","versions":[{"version":"abc","lessThan":"def","status":"affected","versionType":"git"}]},
 {"vendor":"Linux","product":"linux_kernel","defaultStatus":"affected","versions":[
  {"version":"0","lessThan":"4.1","status":"unaffected"},
  {"version":"5.10.180","lessThanOrEqual":"5.10.*","status":"unaffected"},
  {"version":"6.3","lessThanOrEqual":"*","status":"unaffected"}]}]}}}"#;

const CSAF: &str = r#"{"document":{"csaf_version":"2.0","title":"Acme cameras","tracking":{"id":"ACME-1"}},
 "product_tree":{"branches":[{"category":"vendor","name":"Acme Systems","branches":[
  {"category":"product_name","name":"Dome 3","branches":[
   {"category":"product_version_range","name":"vers:generic/>=5.0|<5.5","product":{"product_id":"A","name":"old"}},
   {"category":"product_version","name":"5.5","product":{"product_id":"B","name":"new"}}]},
  {"category":"product_name","name":"Dome 4","branches":[
   {"category":"product_version_range","name":"<9","product":{"product_id":"C","name":"other camera"}}]}]}]},
 "vulnerabilities":[
  {"cve":"CVE-2024-5","scores":[{"cvss_v3":{"baseScore":8.1},"products":["A"]}],"product_status":{"known_affected":["A"],"fixed":["B"]}},
  {"cve":"CVE-2024-6","product_status":{"known_affected":["C"]}}]}"#;

#[test]
fn each_form_is_read_and_versions_decide() {
    let report = judged(&[CVE, NVD, KEV, KERNEL, CSAF]);
    assert_eq!(
        found(&report),
        [
            ("CVE-2022-2", "openssl"),
            ("CVE-2022-1", "busybox"),
            ("CVE-2024-5", "Dome 3"),
            ("CVE-2023-4", "linux_kernel"),
        ]
    );
    let [openssl, busybox, camera, _] = &report.vulnerabilities[..] else { panic!() };
    assert!(openssl.is_exploited && openssl.severity == Severity::High);
    assert_eq!(openssl.fixed_in.as_deref(), Some("1.0.2zd"));
    assert_eq!((busybox.severity, busybox.score), (Severity::Critical, Some(9.8)));
    assert_eq!((busybox.title.as_str(), busybox.place.as_str()), ("Stack overflow in ash", "bin/busybox"));
    assert_eq!((camera.fixed_in.as_deref(), camera.advisory.as_str()), (Some("5.5"), "4.json"));
}

#[test]
fn versions_outside_are_safe() {
    for (from, to) in
        [("1.35.0", "1.30.1"), ("1.0.2zd", "1.0.2k"), ("vers:generic/>=5.0|<5.5", "vers:generic/<5.4.1")]
    {
        for json in [CVE, NVD, CSAF] {
            let json = json.replace(from, to);
            if json != CVE && json != NVD && json != CSAF {
                assert_eq!(found(&judged(&[&json])), [], "{json}");
            }
        }
    }
    let mended = KERNEL.replace("5.10.180", "5.10.100");
    assert_eq!(found(&judged(&[&mended])), []);
    let rejected = CVE.replace("PUBLISHED", "REJECTED");
    assert_eq!(found(&judged(&[&rejected])), []);
    // Of another maker's program that has the same name.
    let other = CVE.replace("n/a", "Somebody").replace("BusyBox", "openssl");
    assert_eq!(found(&judged(&[&other])), []);
    let other = NVD.replace("a:openssl:openssl", "a:somebody:openssl_plugin");
    assert_eq!(found(&judged(&[&other])), []);
}

/// What nobody can compare is told, and not taken for safe.
#[test]
fn versions_in_words_are_told() {
    let told = ["CVE-2022-1: busybox 1.30.1"];
    for words in ["all before spring", "1.35 and earlier", "1.30.0, 1.30.1", "1.0 through 1.35", "1.x", "n/a"]
    {
        let json = CVE.replace(r#""version":"0","lessThan":"1.35.0""#, &format!(r#""version":"{words}""#));
        let report = judged(&[&json]);
        assert_eq!(
            (found(&report), &report.not_compared[..]),
            (vec![], &told.map(str::to_owned)[..]),
            "{words}"
        );
    }
    // Commits alone, and no version at all.
    let commits = CVE.replace(r#""versionType":"custom""#, r#""versionType":"git""#);
    let none = CVE.replace(
        r#","versions":[{"version":"0","lessThan":"1.35.0","status":"affected","versionType":"custom"}]"#,
        "",
    );
    for json in [commits, none] {
        assert_eq!(judged(&[&json]).not_compared, told, "{json}");
    }
    // Beside versions, commits say nothing more.
    assert_eq!(judged(&[KERNEL]).not_compared, Vec::<String>::new());
}

#[test]
fn versions_in_two_fields_and_with_patches_are_found() {
    let with = |vendor: &str, product: &str, version: &str, json: &str| {
        let mut report =
            Report { components: vec![component(vendor, product, version)], ..Report::default() };
        let mut advisories = Advisories::of(&mut report);
        advisories.read("nvd.json", json.as_bytes()).expect("an advisory");
        advisories.finish();
        report.vulnerabilities.len()
    };
    let of = |cpe: &str, bound: &str| {
        format!(
            r#"{{"vulnerabilities":[{{"cve":{{"id":"CVE-1-1","configurations":[{{"nodes":[{{"cpeMatch":[
            {{"vulnerable":true,"criteria":"cpe:2.3:a:{cpe}:*:*:*:*:*:*"{bound}}}]}}]}}]}}}}]}}"#
        )
    };
    let openssh = of("openbsd:openssh:*:*", r#","versionEndIncluding":"7.7""#);
    for (version, count) in [("7.7p1", 1), ("7.7", 1), ("7.6p1", 1), ("7.8p1", 0), ("7.8", 0)] {
        assert_eq!(with("openbsd", "openssh", version, &openssh), count, "{version}");
    }
    let boa = of("boa:boa:0.94.14:rc21", "");
    for (version, count) in [("0.94.14rc21", 1), ("0.94.14rc20", 0), ("0.94.14", 0)] {
        assert_eq!(with("boa", "boa", version, &boa), count, "{version}");
    }
    let several = CVE.replace(r#""version":"0","lessThan":"1.35.0""#, r#""version":"< 1.2, >= 2.0 < 2.1""#);
    for (version, count) in [("1.1", 1), ("2.0.5", 1), ("1.5", 0), ("2.1", 0)] {
        assert_eq!(with("busybox", "busybox", version, &several), count, "{version}");
    }
}

#[test]
fn from_the_first_to_the_last_version_of_csaf() {
    let csaf = CSAF
        .replace(r#"{"category":"product_version_range","name":"vers:generic/>=5.0|<5.5","product":{"product_id":"A","name":"old"}}"#,
            r#"{"category":"product_version","name":"5.0","product":{"product_id":"A","name":"old"}},
               {"category":"product_version","name":"5.4.9","product":{"product_id":"D","name":"last"}}"#)
        .replace(r#""known_affected":["A"]"#, r#""first_affected":["A"],"last_affected":["D"]"#);
    assert_eq!(found(&judged(&[&csaf])), [("CVE-2024-5", "Dome 3")]);
    assert_eq!(found(&judged(&[&csaf.replace("5.4.9", "5.3")])), []);
}

#[test]
fn what_is_no_advisory_is_an_error_and_hostile_ones_do_no_harm() {
    let mut report = report();
    let mut advisories = Advisories::of(&mut report);
    let deep = "[".repeat(100_000);
    for text in
        ["", "{", "{}", "[1,2", "null", "7", "\"CVE\"", "[7]", deep.as_str(), r#"{"vulnerabilities":7}"#]
    {
        let error =
            advisories.read("x.json", text.as_bytes()).expect_err(&text[..text.len().min(20)]).to_string();
        assert!(!error.is_empty());
    }
    // Wrong kinds of values at each place, and branches inside themselves.
    let mut branches = r#"{"product":{"product_id":"A","name":"x"}}"#.to_owned();
    for _ in 0..60 {
        branches = format!(r#"{{"category":"vendor","name":7,"branches":[{branches}]}}"#);
    }
    let tree = format!(
        r#"{{"document":{{"csaf_version":"2.0"}},"product_tree":{{"branches":[{branches}]}},"vulnerabilities":[{{"product_status":{{"known_affected":[7,"A","none"]}}}}]}}"#
    );
    for text in [
        r#"{"cveMetadata":7,"containers":[]}"#,
        r#"{"cveMetadata":{"cveId":"CVE-1-1"},"containers":{"cna":{"affected":{"vendor":7}},"adp":7}}"#,
        r#"{"vulnerabilities":[{"cve":7}]}"#,
        r#"{"vulnerabilities":[{"cveID":7}]}"#,
        r#"[{"cveMetadata":{"cveId":"CVE-1-1"},"containers":7}]"#,
        tree.as_str(),
    ] {
        let _ = advisories.read("x.json", text.as_bytes());
    }
    advisories.finish();
    assert_eq!(found(&report), []);
}
