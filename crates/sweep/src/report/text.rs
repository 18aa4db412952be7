//! For a terminal.

use std::fmt::Write as _;

use super::groups::{Group, groups};
use super::{Report, life, place, volumes};
use crate::finding::shown;
use crate::scan::Totals;
use crate::words::count;

impl Report<'_> {
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let groups = groups(self.findings);
        groups.iter().for_each(|group| self.group(group, &mut out));
        volumes::text(self.volumes, &mut out);
        for (chain, why) in self.skipped {
            let _ = writeln!(out, "skipped   {}: {}", place(chain), shown(why));
        }
        let counts: Vec<String> = self
            .by_severity()
            .into_iter()
            .filter(|(_, number)| *number > 0)
            .map(|(severity, number)| format!("{number} {}", severity.name()))
            .collect();
        let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
        let Totals { read, unpacked, parts, .. } = self.totals;
        let _ = writeln!(
            out,
            "{}{counts}; {} skipped; {}, {} read, {unpacked} unpacked",
            self.headline(groups.len()),
            self.skipped.len(),
            count(parts, "file or part", "files and parts"),
            count(read, "byte", "bytes"),
        );
        out
    }

    fn group(&self, group: &Group<'_>, out: &mut String) {
        let Some(first) = group.first() else { return };
        let _ = writeln!(out, "{:8}  {}", first.severity.name(), shown(&first.rule.title));
        for finding in group {
            let location = &finding.location;
            let line = location.line.map(|line| format!(":{line}")).unwrap_or_default();
            let name = location.parameter.as_ref().map(|name| format!("  {}", shown(name)));
            let _ = writeln!(
                out,
                "          {}{line}  (byte {}){}",
                place(&location.chain),
                location.offset,
                name.unwrap_or_default()
            );
        }
        let _ = writeln!(
            out,
            "          {}  {}{}",
            shown(&self.secret(first)),
            first.fingerprint.as_str(),
            life(first)
        );
        let _ = writeln!(out, "          opens: {}", shown(&first.rule.opens));
        let _ = writeln!(out, "          do: {}\n", shown(&first.rule.remedy));
    }
}
