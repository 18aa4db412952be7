//! CVE records of form 5 (CVE JSON 5.1), and the answers of the NVD's interface 2.0.

use std::collections::HashSet;

use serde_json::Value;

use super::range::Range;
use super::{Advisories, Claim, list, string};

/// A CVE record; how many vulnerabilities it tells of, or `None` if it is none.
pub(super) fn record(advisories: &mut Advisories<'_>, file: &str, record: &Value) -> Option<usize> {
    let metadata = record.get("cveMetadata")?;
    let id = string(metadata, "cveId");
    if id.is_empty() || string(metadata, "state") == "REJECTED" {
        return Some(0);
    }
    let containers = record.get("containers")?;
    let all = || containers.get("cna").into_iter().chain(list(containers, "adp"));
    let score = all().find_map(score_of);
    let title = all().map(title_of).find(|title| !title.is_empty()).unwrap_or_default();
    let affected = || all().flat_map(|container| list(container, "affected"));
    let names = |of: &Value| (string(of, "vendor").to_lowercase(), string(of, "product").to_lowercase());
    let can_compare =
        |of: &Value| list(of, "versions").any(|version| string(version, "versionType") != "git");
    let compared: HashSet<_> = affected().filter(|of| can_compare(of)).map(names).collect();
    for affected in affected() {
        let claim = Claim {
            id,
            vendor: string(affected, "vendor"),
            product: string(affected, "product"),
            title,
            score,
        };
        let (mut bad, mut good) = (Vec::new(), Vec::new());
        for version in list(affected, "versions") {
            match string(version, "status") {
                "affected" => bad.extend(ranges_of(version)),
                "unaffected" => good.extend(ranges_of(version)),
                _ => bad.push(Range::unknown()),
            }
        }
        // Commits alone, or nothing at all: nobody can say.
        if !can_compare(affected) && !compared.contains(&names(affected)) {
            bad.push(Range::unknown());
        }
        let otherwise = string(affected, "defaultStatus") == "affected";
        advisories.claim(file, &claim, (&bad, &good, otherwise));
    }
    Some(1)
}

/// None for commits, which no version can be compared with.
fn ranges_of(version: &Value) -> Vec<Range> {
    if string(version, "versionType") == "git" {
        return Vec::new();
    }
    let from = string(version, "version");
    let (before, up_to) = (string(version, "lessThan"), string(version, "lessThanOrEqual"));
    let range = match (before, up_to) {
        ("", "") if matches!(from, "n/a" | "" | "unspecified") => Range::unknown(),
        // `< 1.2.3` in the field that is for one version.
        ("", "") if from.contains(['<', '>']) => return Range::parse(from),
        ("", "") => Range::exactly(from),
        ("", up_to) => Range::all().from(from, true).to(up_to, true),
        (before, _) => Range::all().from(from, true).to(before, false),
    };
    vec![range]
}

fn score_of(container: &Value) -> Option<f64> {
    list(container, "metrics").find_map(|metric| {
        ["cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"]
            .iter()
            .find_map(|form| metric.get(form)?.get("baseScore")?.as_f64())
    })
}

fn title_of(container: &Value) -> &str {
    match string(container, "title") {
        "" => english(list(container, "descriptions")),
        title => title,
    }
}

fn english<'v>(mut descriptions: impl Iterator<Item = &'v Value>) -> &'v str {
    descriptions
        .find(|text| string(text, "lang").starts_with("en"))
        .map(|text| string(text, "value"))
        .unwrap_or_default()
}

/// One entry of the NVD.
pub(super) fn nvd(advisories: &mut Advisories<'_>, file: &str, cve: &Value) {
    let id = string(cve, "id");
    if id.is_empty() || string(cve, "vulnStatus") == "Rejected" {
        return;
    }
    let metrics = cve.get("metrics").unwrap_or(&Value::Null);
    let score = ["cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2"].iter().find_map(|form| {
        list(metrics, form).find_map(|metric| metric.get("cvssData")?.get("baseScore")?.as_f64())
    });
    let title = english(list(cve, "descriptions"));
    let nodes = list(cve, "configurations").flat_map(|configuration| list(configuration, "nodes"));
    for matched in nodes.flat_map(|node| list(node, "cpeMatch")) {
        let Some(cpe) = Cpe::parse(string(matched, "criteria")) else { continue };
        if matched.get("vulnerable") != Some(&Value::Bool(true)) || cpe.part == "h" {
            continue;
        }
        let bound = |name: &str| string(matched, name);
        let exact = match cpe.version.as_str() {
            "-" => Range::unknown(),
            version => Range::exactly(version),
        };
        let range = exact
            .from(bound("versionStartIncluding"), true)
            .from(bound("versionStartExcluding"), false)
            .to(bound("versionEndIncluding"), true)
            .to(bound("versionEndExcluding"), false);
        let claim = Claim { id, vendor: &cpe.vendor, product: &cpe.product, title, score };
        advisories.claim(file, &claim, (&[range], &[], false));
    }
}

/// A name of the CPE dictionary, of the form 2.3 or 2.2.
pub(super) struct Cpe {
    pub(super) part: String,
    pub(super) vendor: String,
    pub(super) product: String,
    pub(super) version: String,
}

impl Cpe {
    pub(super) fn parse(name: &str) -> Option<Cpe> {
        let rest = name.strip_prefix("cpe:2.3:").or_else(|| name.strip_prefix("cpe:/"))?;
        // A backslash takes a colon's meaning away.
        let mut fields = vec![String::new()];
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                ':' if fields.len() < 16 => fields.push(String::new()),
                '\\' => fields.last_mut()?.extend(chars.next()),
                c => fields.last_mut()?.push(c),
            }
        }
        let mut fields = fields.into_iter();
        let (part, vendor, product) = (fields.next()?, fields.next()?, fields.next()?);
        let mut version =
            fields.next().filter(|version| !version.is_empty()).unwrap_or_else(|| "*".to_owned());
        // `0.94.14:rc21` is one version in two fields.
        if let Some(update) = fields.next().filter(|update| !matches!(update.as_str(), "" | "*" | "-"))
            && !matches!(version.as_str(), "*" | "-")
        {
            version = format!("{version}-{update}");
        }
        Some(Cpe { part, vendor, product, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_cpe_are_read() {
        let cpe = Cpe::parse(r"cpe:2.3:a:w1.fi:wpa_supplicant:2\:6:*:*:*:*:*:*:*").unwrap();
        assert_eq!((&*cpe.vendor, &*cpe.product, &*cpe.version), ("w1.fi", "wpa_supplicant", "2:6"));
        let cpe = Cpe::parse("cpe:/o:axis:m3045-v_firmware").unwrap();
        assert_eq!((&*cpe.part, &*cpe.product, &*cpe.version), ("o", "m3045-v_firmware", "*"));
        assert!(Cpe::parse("pkg:deb/a").is_none());
    }
}
