//! Cards, disks and file systems in each form of the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{csv_field, html, level, place, uri};
use crate::finding::{Severity, shown};
use crate::volume::Volume;

pub(super) fn text(volumes: &[Volume], out: &mut String) {
    for volume in volumes {
        let _ = writeln!(out, "{:8}  {}", volume.severity().name(), shown(&volume.title()));
        let _ = writeln!(out, "          {}", place(&volume.chain));
        for fact in volume.facts() {
            let _ = writeln!(out, "          {}", shown(&fact));
        }
        if let Some(remedy) = volume.remedy() {
            let _ = writeln!(out, "          do: {remedy}");
        }
        out.push('\n');
    }
}

pub(super) fn json(volume: &Volume) -> Value {
    let mut value = serde_json::to_value(volume).expect("text and numbers are JSON");
    value["rule"] = volume.rule().into();
    value["title"] = volume.title().into();
    value["severity"] = volume.severity().name().into();
    value["fingerprint"] = volume.fingerprint().into();
    value["remedy"] = volume.remedy().into();
    value
}

/// What results of volumes are called, each once.
pub(super) fn rules(volumes: &[Volume]) -> impl Iterator<Item = Value> {
    let rules: BTreeMap<_, _> = volumes.iter().map(|volume| (volume.rule(), volume.remedy())).collect();
    rules.into_iter().map(|(id, remedy)| {
        let mut rule = json!({ "id": id, "shortDescription": { "text": id.replace('-', " ") } });
        if let Some(remedy) = remedy {
            rule["help"] = json!({ "text": remedy });
        }
        rule
    })
}

/// One result each; of what is no finding, an informational one.
pub(super) fn sarif(volume: &Volume) -> Value {
    let outer = volume.chain.first().map(String::as_str).unwrap_or_default();
    let facts = volume.facts().join(". ");
    let text = format!("{} in {}. {facts}", volume.title(), place(&volume.chain));
    let mut result = json!({
        "ruleId": volume.rule(),
        "message": { "text": shown(&text) },
        "partialFingerprints": { "lenskeepSweep/v1": volume.fingerprint() },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri(outer) } },
            "logicalLocations": [{ "fullyQualifiedName": place(&volume.chain) }],
        }],
    });
    match volume.severity() {
        Severity::Info => {
            result["kind"] = "informational".into();
            result["level"] = "none".into();
        }
        severity => result["level"] = level(severity).into(),
    }
    result
}

pub(super) fn csv(volume: &Volume, out: &mut String) {
    let facts = volume.facts().join("; ");
    let fields = [
        volume.severity().name(),
        volume.rule(),
        &format!("{}; {facts}", volume.title()),
        &place(&volume.chain),
        "",
        "",
        "",
        &volume.fingerprint(),
        "",
        "",
    ];
    out.push_str(&fields.map(csv_field).join(","));
    out.push_str("\r\n");
}

/// A section of the page; nothing where there are none.
pub(super) fn page(volumes: &[Volume]) -> String {
    if volumes.is_empty() {
        return String::new();
    }
    let mut out = "<h2>Cards, disks and file systems</h2>\n<table><thead><tr><th>Severity<th>What<th>Where\
                   <th>Known of it<th>What to do</tr></thead><tbody>\n"
        .to_owned();
    for volume in volumes {
        let severity = volume.severity().name();
        let cells = [
            severity.to_owned(),
            volume.title(),
            place(&volume.chain),
            volume.facts().join("; "),
            volume.remedy().unwrap_or_default().to_owned(),
        ];
        let cells = cells.map(|cell| format!("<td>{}</td>", html(&shown(&cell)))).concat();
        let _ = writeln!(out, "<tr class=\"{severity}\">{cells}</tr>");
    }
    out + "</tbody></table>\n"
}
