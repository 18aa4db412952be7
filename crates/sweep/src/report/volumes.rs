//! Cards, disks and file systems in each form of the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::page::{cell, table};
use super::{address, csv_field, html, level, message, place};
use crate::finding::{Severity, shown};
use crate::places::Places;
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

pub(super) fn json(volume: &Volume, places: &Places) -> Value {
    let mut value = serde_json::to_value(volume).expect("text and numbers are JSON");
    value["rule"] = volume.rule().into();
    value["title"] = volume.title().into();
    value["severity"] = volume.severity().name().into();
    value["fingerprint"] = fingerprint(volume, places).into();
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
pub(super) fn sarif(volume: &Volume, places: &Places) -> Value {
    let facts = volume.facts().join(". ");
    let text = format!("{} in {}. {facts}", volume.title(), place(&volume.chain));
    let mut result = json!({
        "ruleId": volume.rule(),
        "message": { "text": message(&text) },
        "partialFingerprints": { "lenskeepSweep/v1": fingerprint(volume, places) },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": address(&volume.chain, places) } },
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

pub(super) fn csv(volume: &Volume, places: &Places, out: &mut String) {
    let facts = volume.facts().join("; ");
    let fields = [
        volume.severity().name(),
        volume.rule(),
        &format!("{}; {facts}", volume.title()),
        &place(&volume.chain),
        "",
        "",
        "",
        &fingerprint(volume, places),
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
    let mut out = format!("<h2>Cards, disks and file systems <small>{}</small></h2>\n", volumes.len());
    out.push_str(&table(&["Severity", "What it is", "Where", "Known of it", "What to do"]));
    for volume in volumes {
        let severity = volume.severity().name();
        let text = |foreign: &str| html(&shown(foreign));
        let facts: String = volume.facts().iter().map(|fact| format!("<div>{}</div>", text(fact))).collect();
        let cells = [
            cell("Severity", severity),
            cell("What it is", &text(&volume.title())),
            cell("Where", &text(&place(&volume.chain))),
            cell("Known of it", &facts),
            cell("What to do", volume.remedy().unwrap_or("Nothing")),
        ];
        let _ = writeln!(out, "<tr class=\"{severity}\">{}</tr>", cells.concat());
    }
    out + "</tbody></table></div>\n"
}

fn fingerprint(volume: &Volume, places: &Places) -> String {
    volume.fingerprint(&places.name(volume.chain.first().map(String::as_str).unwrap_or_default()))
}
