//! A report for people: text for a terminal, and one page of HTML that needs nothing
//! else. Names in it are foreign, and escaped for where they stand.

use std::fmt::Write as _;

use super::compare::{Change, Comparison};
use super::report::{BinaryKind, Report, Service, Source};
use crate::date::day;
use crate::finding::{Severity, shown};
use crate::report::{HEAD, STYLE, cell, html};
use crate::words::count;

/// Of the lists that can be long, on a page; the JSON has all.
const ROWS_MAX: usize = 2000;

/// A cell of a table. Text is escaped when it is written.
type Row = Vec<String>;

struct Section {
    title: &'static str,
    /// What stands there if there is nothing.
    empty: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Row>,
}

impl Report {
    /// For a terminal: what is to be mended, and counts of the rest.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", shown(&self.heading()));
        let _ = writeln!(out, "{} bytes, SHA-256 {}\n", self.image.bytes, self.image.sha256);
        let listed = [self.started(), self.unread()];
        for section in self.to_mend().into_iter().chain(listed) {
            let _ = writeln!(out, "{} ({})", section.title, section.rows.len());
            for row in &section.rows {
                let cells: Vec<String> =
                    row.iter().filter(|cell| !cell.is_empty()).map(|cell| shown(cell)).collect();
                let _ = writeln!(out, "  {}", cells.join("  "));
            }
            if section.rows.is_empty() {
                let _ = writeln!(out, "  {}", section.empty);
            }
            out.push('\n');
        }
        let number = |many: usize, one: &str, several: &str| count(many as u64, one, several);
        let _ = writeln!(
            out,
            "{}, {}, {}, {}, {}, {}; {} not read",
            number(self.files.len(), "file", "files"),
            number(self.binaries.len(), "program or library", "programs and libraries"),
            number(self.components.len(), "component", "components"),
            number(self.services.len(), "service", "services"),
            number(self.accounts.len(), "account", "accounts"),
            number(self.certificates.len(), "certificate", "certificates"),
            self.skipped.len()
        );
        out
    }

    /// One page that needs nothing else, and asks for nothing.
    pub fn html(&self) -> String {
        let heading = html(&shown(&self.heading()));
        let mut out = String::from(HEAD);
        let _ = writeln!(out, "<title>Firmware audit: {heading}</title>\n{STYLE}<h1>{heading}</h1>");
        let image = &self.image;
        let _ = writeln!(
            out,
            "<p>{} · {} bytes, {} unpacked · SHA-256 <code>{}</code></p>",
            html(&shown(&image.name)),
            image.bytes,
            image.unpacked,
            image.sha256
        );
        counts(&mut out, self);
        for section in self.to_mend().into_iter().chain(self.inventory()) {
            section.html(&mut out);
        }
        out.push_str("</html>\n");
        out
    }

    fn heading(&self) -> String {
        let product = &self.product;
        let known = [&product.vendor, &product.model, &product.version];
        let known: Vec<&str> = known.into_iter().flatten().map(String::as_str).collect();
        match known.is_empty() {
            true => self.image.name.clone(),
            false => known.join(" "),
        }
    }

    fn to_mend(&self) -> Vec<Section> {
        let issues = self
            .issues
            .iter()
            .map(|issue| row([issue.severity.name(), &issue.title, &issue.place, &issue.remedy]));
        let credentials = self.credentials.iter().map(|found| {
            let line = found.line.map(|line| format!(":{line}")).unwrap_or_default();
            let place = format!("{}{line}", found.place);
            row([found.severity.name(), &found.title, &place, &found.redacted, &found.remedy])
        });
        let vulnerabilities = self.vulnerabilities.iter().map(|found| {
            let what = format!("{} {}", found.component, found.version);
            let exploited = if found.is_exploited { "used in attacks" } else { "" };
            let fixed =
                found.fixed_in.as_ref().map(|version| format!("fixed in {version}")).unwrap_or_default();
            row([found.severity.name(), &found.id, &what, exploited, &fixed, &found.title])
        });
        vec![
            Section {
                title: "To mend",
                empty: "Nothing was found.",
                columns: &["Severity", "What", "Where", "What to do"],
                rows: issues.collect(),
            },
            Section {
                title: "Keys and passwords",
                empty: "None was found.",
                columns: &["Severity", "What", "Where", "Secret", "What to do"],
                rows: credentials.collect(),
            },
            Section {
                title: "Known vulnerabilities",
                empty: "None, by the advisories that were given.",
                columns: &["Severity", "Vulnerability", "In", "Attacks", "Mended", "What"],
                rows: vulnerabilities.collect(),
            },
        ]
    }

    fn inventory(&self) -> Vec<Section> {
        let components = self.components.iter().map(|component| {
            let source = match component.source {
                Source::Packages => "list of packages",
                Source::Words => "words in a program",
            };
            row([&component.name, &component.version, source, &component.place])
        });
        let accounts = self.accounts.iter().map(|account| {
            let uid = account.uid.map(|uid| uid.to_string()).unwrap_or_default();
            row([
                &account.name,
                &uid,
                account.shell.as_deref().unwrap_or_default(),
                &account.password,
                &account.place,
            ])
        });
        let certificates = self.certificates.iter().map(|of| {
            let bits = of.key_bits.map(|bits| format!("{bits} bits")).unwrap_or_default();
            row([&of.subject, &of.issuer, &day(of.not_after), &format!("{} {bits}", of.signature), &of.place])
        });
        let binaries =
            self.binaries.iter().filter(|binary| binary.kind != BinaryKind::Object).map(|binary| {
                let kind = if binary.kind == BinaryKind::Library { "library" } else { "program" };
                row([&binary.place, kind, &binary.machine, &binary.hardening.defences().join(", ")])
            });
        let signatures = self.signatures.iter().map(|signature| row([&signature.kind, &signature.place]));
        let not_compared = self.not_compared.iter().map(|line| row([line.as_str()]));
        let section = |title, empty, columns, rows| Section { title, empty, columns, rows };
        vec![
            section(
                "Components",
                "None was recognised.",
                &["Component", "Version", "By", "Where"],
                components.collect(),
            ),
            self.started(),
            section(
                "Accounts",
                "No list of accounts was found.",
                &["Name", "User id", "Shell", "Password", "Where"],
                accounts.collect(),
            ),
            section(
                "Certificates",
                "None was found.",
                &["Subject", "Issuer", "Until", "Signature and key", "Where"],
                certificates.collect(),
            ),
            section(
                "Programs and libraries",
                "None was found.",
                &["Where", "Kind", "Machine", "Defences"],
                binaries.collect(),
            ),
            section(
                "Signatures of the update",
                "None of a known form was found.",
                &["Form", "Where"],
                signatures.collect(),
            ),
            section(
                "Versions that advisories name in words",
                "None.",
                &["Advisory and component"],
                not_compared.collect(),
            ),
            self.unread(),
        ]
    }

    fn started(&self) -> Section {
        let row_of = |service: &Service| {
            let speaks = if service.is_plain { "in clear" } else { "" };
            row([&service.name, &format!("{}:{}", service.place, service.line), speaks])
        };
        Section {
            title: "Started services",
            empty: "No start script names a known one.",
            columns: &["Service", "Where", "Speaks"],
            rows: self.services.iter().map(row_of).collect(),
        }
    }

    fn unread(&self) -> Section {
        Section {
            title: "Not read",
            empty: "Nothing was told as not read.",
            columns: &["Where", "Why"],
            rows: self.skipped.iter().map(|skipped| row([&skipped.place, &skipped.why])).collect(),
        }
    }
}

impl Section {
    fn html(&self, out: &mut String) {
        let _ = writeln!(out, "<h2>{} <small>{}</small></h2>", self.title, self.rows.len());
        if self.rows.is_empty() {
            let _ = writeln!(out, "<p>{}</p>", self.empty);
            return;
        }
        let columns: String =
            self.columns.iter().map(|column| format!("<th scope=\"col\">{column}")).collect();
        let _ = writeln!(out, "<div class=\"wide\"><table><thead><tr>{columns}</tr></thead><tbody>");
        for row in self.rows.iter().take(ROWS_MAX) {
            let class = row.first().and_then(|name| Severity::parse(name)).map_or("", Severity::name);
            let cells = self.columns.iter().zip(row);
            let cells: String = cells.map(|(column, text)| cell(column, &html(&shown(text)))).collect();
            let _ = writeln!(out, "<tr class=\"{class}\">{cells}</tr>");
        }
        out.push_str("</tbody></table></div>\n");
        if let Some(more) = self.rows.len().checked_sub(ROWS_MAX + 1) {
            let _ = writeln!(out, "<p>And {} more, which the report in JSON has.</p>", more + 1);
        }
    }
}

/// How much there is of each severity, before all else.
fn counts(out: &mut String, report: &Report) {
    let severities = report.issues.iter().map(|issue| issue.severity);
    let severities = severities
        .chain(report.credentials.iter().map(|found| found.severity))
        .chain(report.vulnerabilities.iter().map(|found| found.severity));
    let severities: Vec<Severity> = severities.collect();
    out.push_str("<ul class=\"counts\">");
    for severity in Severity::ALL.into_iter().rev() {
        let count = severities.iter().filter(|other| **other == severity).count();
        let name = severity.name();
        let _ = write!(out, "<li class=\"{name}\"><b>{count}</b> {name}");
    }
    out.push_str("</ul>\n");
}

fn row<const N: usize>(cells: [&str; N]) -> Row {
    cells.map(str::to_owned).to_vec()
}

impl Comparison {
    /// For a terminal: what changed, the new lines with `+`, the old ones with `-`.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n  to {}\n", shown(&self.older), shown(&self.newer));
        let lists: [(&str, &Change); 8] = [
            ("To mend", &self.issues),
            ("Keys and passwords", &self.credentials),
            ("Known vulnerabilities", &self.vulnerabilities),
            ("Started services", &self.services),
            ("Accounts", &self.accounts),
            ("Components", &self.components),
            ("Defences of programs", &self.hardening),
            ("Files", &self.files),
        ];
        for (title, change) in lists {
            let _ = writeln!(out, "\n{title}: {} new, {} gone", change.added.len(), change.removed.len());
            for (sign, lines) in [('+', &change.added), ('-', &change.removed)] {
                for line in lines {
                    let _ = writeln!(out, "  {sign} {}", shown(line));
                }
            }
        }
        let _ = writeln!(
            out,
            "\n{} other than before",
            count(self.files_changed.len() as u64, "file is", "files are")
        );
        out
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_795_824_000, "2026-11-28"),
            (-86_400, "1969-12-31"),
        ] {
            assert_eq!(super::day(seconds), expected);
        }
    }
}
