//! A sweep's findings as text, JSON, SARIF, CSV and HTML. Secrets are redacted unless
//! they are asked for, and foreign names are escaped in each form by its own rules.

mod volumes;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::finding::{Finding, Life, Severity, shown};
use crate::scan::Totals;
use crate::volume::Volume;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    Sarif,
    Csv,
    Html,
}

/// What is written.
#[derive(Debug)]
pub struct Report<'a> {
    pub findings: &'a [Finding],
    /// Cards, disks and file systems, encrypted or open.
    pub volumes: &'a [Volume],
    /// Names and reasons.
    pub skipped: &'a [(Vec<String>, String)],
    pub totals: Totals,
    pub show_secrets: bool,
}

impl Report<'_> {
    pub fn write(&self, form: Form) -> String {
        match form {
            Form::Text => self.text(),
            Form::Json => pretty(&self.json()),
            Form::Sarif => pretty(&self.sarif()),
            Form::Csv => self.csv(),
            Form::Html => self.html(),
        }
    }

    fn secret(&self, finding: &Finding) -> String {
        match self.show_secrets {
            true => String::from_utf8_lossy(finding.secret.reveal()).into_owned(),
            false => finding.secret.redacted(finding.rule.kind),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for finding in self.findings {
            let location = &finding.location;
            let line = location.line.map(|line| format!(":{line}")).unwrap_or_default();
            let name =
                location.parameter.as_ref().map(|name| format!("  {}", shown(name))).unwrap_or_default();
            let _ = writeln!(out, "{:8}  {}", finding.severity.name(), shown(&finding.rule.title));
            let _ =
                writeln!(out, "          {}{line}  (byte {}){name}", place(&location.chain), location.offset);
            let _ = writeln!(
                out,
                "          {}  {}{}",
                shown(&self.secret(finding)),
                finding.fingerprint.as_str(),
                life(finding)
            );
            let _ = writeln!(out, "          opens: {}", shown(&finding.rule.opens));
            let _ = writeln!(out, "          do: {}\n", shown(&finding.rule.remedy));
        }
        volumes::text(self.volumes, &mut out);
        for (chain, why) in self.skipped {
            let _ = writeln!(out, "skipped   {}: {}", place(chain), shown(why));
        }
        let Totals { read, unpacked, parts, .. } = self.totals;
        let (findings, skipped) = (self.findings.len(), self.skipped.len());
        let open = match self.volumes.iter().filter(|volume| volume.severity() > Severity::Info).count() {
            0 => String::new(),
            open => format!(" {open} open cards or disks,"),
        };
        let _ = writeln!(
            out,
            "{findings} findings,{open} {skipped} skipped; {parts} files and parts, {read} bytes read, {unpacked} unpacked"
        );
        out
    }

    fn finding(&self, finding: &Finding) -> Value {
        let mut value = json!({
            "rule": finding.rule.id,
            "title": finding.rule.title,
            "severity": finding.severity,
            "fingerprint": finding.fingerprint,
            "redacted": finding.secret.redacted(finding.rule.kind),
            "life": finding.life,
            "permits": finding.permits,
            "opens": finding.rule.opens,
            "remedy": finding.rule.remedy,
            "location": finding.location,
        });
        if self.show_secrets {
            value["secret"] = self.secret(finding).into();
        }
        value
    }

    fn json(&self) -> Value {
        let skipped: Vec<Value> =
            self.skipped.iter().map(|(chain, why)| json!({ "chain": chain, "why": why })).collect();
        let findings: Vec<Value> = self.findings.iter().map(|finding| self.finding(finding)).collect();
        let volumes: Vec<Value> = self.volumes.iter().map(volumes::json).collect();
        let Totals { read, unpacked, parts, .. } = self.totals;
        json!({
            "version": 1,
            "findings": findings,
            "volumes": volumes,
            "skipped": skipped,
            "bytes_read": read,
            "bytes_unpacked": unpacked,
            "parts": parts,
        })
    }

    /// SARIF 2.1.0. A part inside a file has no address of its own: it is named in the
    /// message and as a logical location.
    fn sarif(&self) -> Value {
        let mut rules: Vec<&Finding> = self.findings.iter().collect();
        rules.sort_by_key(|finding| &finding.rule.id);
        rules.dedup_by_key(|finding| &finding.rule.id);
        let rules: Vec<Value> = rules
            .into_iter()
            .map(|finding| {
                let rule = &finding.rule;
                json!({
                    "id": rule.id,
                    "shortDescription": { "text": rule.title },
                    "fullDescription": { "text": rule.opens },
                    "help": { "text": rule.remedy },
                })
            })
            .chain(volumes::rules(self.volumes))
            .collect();
        let findings = self.findings.iter().map(|finding| self.sarif_result(finding));
        let results: Vec<Value> = findings.chain(self.volumes.iter().map(volumes::sarif)).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "lenskeep sweep", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "results": results,
            }],
        })
    }

    fn sarif_result(&self, finding: &Finding) -> Value {
        let location = &finding.location;
        let outer = location.chain.first().map(String::as_str).unwrap_or_default();
        let mut region = json!({ "byteOffset": location.offset });
        let mut physical = json!({ "artifactLocation": { "uri": uri(outer) } });
        // Offsets and lines are of the innermost part.
        if location.chain.len() == 1 {
            if let Some(line) = location.line {
                region = json!({ "startLine": line });
            }
            physical["region"] = region;
        }
        json!({
            "ruleId": finding.rule.id,
            "level": level(finding.severity),
            "message": { "text": format!("{} in {}: {}", finding.rule.title, place(&location.chain), self.secret(finding)) },
            "partialFingerprints": { "lenskeepSweep/v1": finding.fingerprint },
            "locations": [{
                "physicalLocation": physical,
                "logicalLocations": [{ "fullyQualifiedName": place(&location.chain) }],
            }],
        })
    }

    fn csv(&self) -> String {
        let mut out =
            "severity,rule,title,place,offset,line,parameter,fingerprint,secret,life\r\n".to_owned();
        for finding in self.findings {
            let location = &finding.location;
            let fields = [
                finding.severity.name().to_owned(),
                finding.rule.id.clone(),
                finding.rule.title.clone(),
                place(&location.chain),
                location.offset.to_string(),
                location.line.map(|line| line.to_string()).unwrap_or_default(),
                location.parameter.clone().unwrap_or_default(),
                finding.fingerprint.as_str().to_owned(),
                self.secret(finding),
                life(finding).trim().to_owned(),
            ];
            out.push_str(&fields.map(|field| csv_field(&field)).join(","));
            out.push_str("\r\n");
        }
        self.volumes.iter().for_each(|volume| volumes::csv(volume, &mut out));
        out
    }

    fn html(&self) -> String {
        let mut rows = String::new();
        for finding in self.findings {
            let location = &finding.location;
            let line = location.line.map(|line| format!(":{line}")).unwrap_or_default();
            let cells = [
                finding.severity.name().to_owned(),
                finding.rule.title.clone(),
                format!("{}{line}", place(&location.chain)),
                location.parameter.clone().unwrap_or_default(),
                format!("{} {}", self.secret(finding), life(finding)),
                finding.rule.remedy.clone(),
            ];
            let cells = cells.map(|cell| format!("<td>{}</td>", html(&shown(&cell)))).concat();
            let _ = writeln!(rows, "<tr class=\"{}\">{cells}</tr>", finding.severity.name());
        }
        let mut skipped = String::new();
        for (chain, why) in self.skipped {
            let _ = writeln!(skipped, "<li>{}: {}</li>", html(&place(chain)), html(&shown(why)));
        }
        PAGE.replace("{count}", &self.findings.len().to_string())
            .replace("{volumes}", &volumes::page(self.volumes))
            .replace("{rows}", &rows)
            .replace("{skipped}", &skipped)
    }
}

const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Credential sweep</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
.critical td:first-child, .high td:first-child { font-weight: 700 }
</style>
<h1>Credential sweep: {count} findings</h1>
<table><thead><tr><th>Severity<th>What<th>Where<th>Name<th>Secret<th>What to do</tr></thead><tbody>
{rows}</tbody></table>
{volumes}<h2>Not read</h2>
<ul>
{skipped}</ul>
</html>
"#;

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("text and numbers are JSON");
    text.push('\n');
    text
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The chain of names, fit for a terminal. What has none, as a file in gzip, is left out.
fn place(chain: &[String]) -> String {
    chain.iter().filter(|name| !name.is_empty()).map(|name| shown(name)).collect::<Vec<_>>().join(" › ")
}

fn life(finding: &Finding) -> String {
    let permits = finding.permits.as_ref().map(|permits| format!("  {permits}")).unwrap_or_default();
    match finding.life {
        Life::Unknown => permits,
        Life::Ended(_) => format!("{permits}  ended"),
        Life::Until(_) => format!("{permits}  still valid"),
    }
}

/// RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe.
fn csv_field(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = shown(field).replace('"', "\"\"");
    format!("\"{}{field}\"", if formula { "'" } else { "" })
}

pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A path as the address of an artifact: all but unreserved characters escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            true => uri.push(char::from(byte)),
            false => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
