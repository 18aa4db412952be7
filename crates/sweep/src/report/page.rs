//! One page of HTML that needs nothing else and asks for nothing, for somebody who has to
//! act and is no programmer. It is read on a phone as well, and printed.

use std::fmt::Write as _;

use super::groups::{Group, groups};
use super::{Report, html, life, place, volumes};
use crate::date::stamp;
use crate::finding::{Finding, shown};
use crate::scan::Totals;
use crate::words::count;

/// Places of one secret that are named; other forms have all.
const PLACES_MAX: usize = 50;
/// Inputs that are named at its head.
const NAMED_MAX: usize = 20;

impl Report<'_> {
    pub(super) fn html(&self) -> String {
        let groups = groups(self.findings);
        let mut out = format!("{HEAD}<title>Credential sweep</title>\n{STYLE}<h1>Credential sweep</h1>\n");
        self.swept(&mut out);
        self.summary(groups.len(), &mut out);
        if !groups.is_empty() {
            let _ = writeln!(out, "<h2>Keys and passwords <small>{}</small></h2>", groups.len());
            out.push_str(&table(&["Severity", "What it is", "Where it stands", "Secret", "What to do"]));
            groups.iter().for_each(|group| self.row(group, &mut out));
            out.push_str("</tbody></table></div>\n");
        }
        out.push_str(&volumes::page(self.volumes));
        self.unread(&mut out);
        out.push_str("</html>\n");
        out
    }

    /// What this is a report of, and when by what it was made.
    fn swept(&self, out: &mut String) {
        let stamp = stamp(self.swept.at);
        let machine = format!("{}Z", stamp.replace(' ', "T"));
        let mut named: Vec<String> = Vec::new();
        for name in self.swept.named.iter().take(NAMED_MAX) {
            named.push(format!("<code>{}</code>", text(name)));
        }
        if let Some(more) = self.swept.named.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            named.push(format!("{more} more"));
        }
        let _ = writeln!(
            out,
            "<p class=\"more\">{} · <time datetime=\"{machine}\">{stamp} UTC</time> · lenskeep {}</p>",
            named.join(", "),
            env!("CARGO_PKG_VERSION")
        );
    }

    fn summary(&self, secrets: usize, out: &mut String) {
        let found = match self.findings.is_empty() && self.open().next().is_none() {
            true => "Nothing was found".to_owned(),
            false => self.headline(secrets),
        };
        let unread = match self.skipped.len() as u64 {
            0 => "Nothing was left unread.".to_owned(),
            some => format!(
                "<a href=\"#unread\">{} not read</a>, and may hold more.",
                count(some, "thing was", "things were")
            ),
        };
        let Totals { read, parts, .. } = self.totals;
        let _ = writeln!(
            out,
            "<p class=\"lead\">{found} in {}, {}. {unread}</p>",
            count(parts, "file or part of one", "files and parts of files"),
            count(read, "byte", "bytes")
        );
        if self.swept.is_interrupted {
            out.push_str("<p class=\"lead\"><strong>It was interrupted: this is what was found until then.</strong></p>\n");
        } else if !self.is_whole {
            out.push_str("<p class=\"lead\"><strong>Not all that was named could be read.</strong></p>\n");
        }
        self.counts(out);
    }

    /// How many there are of each severity; whoever picks one sees it alone. There is no
    /// script for that: the page's style looks at what is picked.
    fn counts(&self, out: &mut String) {
        let counts = self.by_severity();
        let has_several = counts.iter().filter(|(_, number)| *number > 0).count() > 1;
        out.push_str("<ul class=\"counts\">");
        let pick = |value: &str, is_picked: bool| {
            let checked = if is_picked { " checked" } else { "" };
            format!("<input type=\"radio\" name=\"show\" id=\"show-{value}\"{checked}>")
        };
        if has_several {
            let all: usize = counts.iter().map(|(_, number)| number).sum();
            let _ = write!(out, "<li><label>{}<b>{all}</b> all</label>", pick("all", true));
        }
        for (severity, number) in counts {
            let name = severity.name();
            let _ = match (number, has_several) {
                (0, _) => write!(out, "<li class=\"none\"><b>0</b> {name}"),
                (_, false) => write!(out, "<li class=\"{name}\"><b>{number}</b> {name}"),
                (_, true) => write!(
                    out,
                    "<li class=\"{name}\"><label>{}<b>{number}</b> {name}</label>",
                    pick(name, false)
                ),
            };
        }
        out.push_str("</ul>\n");
    }

    fn row(&self, group: &Group<'_>, out: &mut String) {
        let Some(first) = group.first() else { return };
        let severity = first.severity.name();
        let rule = &first.rule;
        let mut places: String = group.iter().take(PLACES_MAX).map(|finding| where_of(finding)).collect();
        if let Some(more) = group.len().checked_sub(PLACES_MAX).filter(|more| *more > 0) {
            let _ = write!(places, "<p class=\"more\">and {more} more</p>");
        }
        let secret = format!(
            "<code>{}</code> <span class=\"more\">{}{}</span>",
            text(&self.secret(first)),
            text(first.fingerprint.as_str()),
            text(&life(first))
        );
        let cells = [
            cell("Severity", severity),
            cell("What it is", &text(&rule.title)),
            cell("Where it stands", &places),
            cell("Secret", &secret),
            cell("What to do", &to_do(&text(&rule.opens), &text(&rule.remedy))),
        ];
        let _ = writeln!(out, "<tr class=\"{severity}\">{}</tr>", cells.concat());
    }

    fn unread(&self, out: &mut String) {
        if self.skipped.is_empty() {
            return;
        }
        let _ = writeln!(out, "<h2 id=\"unread\">Not read <small>{}</small></h2>", self.skipped.len());
        out.push_str(&table(&["Where", "Why"]));
        for (chain, why) in self.skipped {
            let cells = [cell("Where", &text(&place(chain))), cell("Why", &text(why))];
            let _ = writeln!(out, "<tr>{}</tr>", cells.concat());
        }
        out.push_str("</tbody></table></div>\n");
    }
}

/// A place, and the name beside the secret.
fn where_of(finding: &Finding) -> String {
    let location = &finding.location;
    let line = location.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let name = location.parameter.as_ref().map(|name| format!(" <code>{}</code>", text(name)));
    format!("<div>{}{line}{}</div>", text(&place(&location.chain)), name.unwrap_or_default())
}

/// What it opens, and the remedy; folded on a phone.
fn to_do(opens: &str, remedy: &str) -> String {
    format!(
        "<details><summary>What it opens, what to do</summary><p>{remedy}</p><p class=\"more\">Opens: {opens}</p></details>"
    )
}

fn text(foreign: &str) -> String {
    html(&shown(foreign))
}

/// The head of a table; a phone shows its columns one below the other.
pub(super) fn table(columns: &[&str]) -> String {
    let columns: String = columns.iter().map(|column| format!("<th scope=\"col\">{column}")).collect();
    format!("<div class=\"wide\"><table><thead><tr>{columns}</tr></thead><tbody>\n")
}

/// A cell of HTML under its column, which is no foreign text.
pub(crate) fn cell(column: &str, html: &str) -> String {
    format!("<td data-of=\"{column}\"><div>{html}</div></td>")
}

pub(crate) const HEAD: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"#;

/// Of all reports. On a narrow screen each row is a card, with the names of the columns.
pub(crate) const STYLE: &str = r"<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; --bad: #d6281f; --poor: #e07815 }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; overflow-wrap: anywhere }
h1, h2 { line-height: 1.2; margin: 2rem 0 .5rem }
h1 { font-size: 1.7rem; margin-top: 0 }
small, .more { font-weight: 400; opacity: .75 }
p.more { font-size: .87em; margin: .15rem 0 0 }
p.more:empty { display: none }
.lead { font-size: 1.07rem; max-width: 46rem; margin: .5rem 0 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { white-space: nowrap }
thead th { position: sticky; top: 0; background: Canvas; font-size: .87em }
code { font: .93em ui-monospace, monospace }
.counts { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 1rem 0 }
.counts li { border: 1px solid #8886; border-radius: .5rem; padding: .3rem .8rem }
.counts .none { opacity: .55 }
.counts label { cursor: pointer }
.counts input { margin: 0 .4rem 0 0; vertical-align: -.1em; accent-color: currentColor }
body:has(#show-critical:checked) tr:is(.high, .medium, .low, .info),
body:has(#show-high:checked) tr:is(.critical, .medium, .low, .info),
body:has(#show-medium:checked) tr:is(.critical, .high, .low, .info),
body:has(#show-low:checked) tr:is(.critical, .high, .medium, .info),
body:has(#show-info:checked) tr:is(.critical, .high, .medium, .low) { display: none }
summary { cursor: pointer }
details p { margin: 0 }
.critical td:first-child, .high td:first-child { font-weight: 700 }
.counts .critical, tr.critical { background: color-mix(in srgb, var(--bad) 14%, transparent) }
.counts .high, tr.high { background: color-mix(in srgb, var(--poor) 12%, transparent) }
@media (min-width: 44rem) { th, td { min-width: 4.5rem } }
@supports selector(::details-content) {
  @media print, (min-width: 44rem) {
    summary { display: none }
    details::details-content { content-visibility: visible; block-size: auto; opacity: 1 }
  }
}
@media (max-width: 44rem) {
  body { margin: 1rem auto }
  thead { display: none }
  table, tbody, tr, td { display: block }
  tr { border: 1px solid #8886; border-radius: .5rem; margin: 0 0 .8rem; padding: .3rem 0 }
  td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .6rem; border: 0; padding: .25rem .8rem }
  td::before { content: attr(data-of); font-weight: 400; opacity: .75; white-space: normal }
  td:first-child { white-space: normal }
}
@media print { thead th { position: static } tr { break-inside: avoid } }
</style>
";
