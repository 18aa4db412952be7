//! Which versions an advisory means.

use std::cmp::Ordering;

use super::super::version::{compare, is_plain, is_version};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Yes,
    No,
    /// The advisory says it in words.
    Unknown,
}

/// From one version to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    from: Option<Bound>,
    to: Option<Bound>,
    is_unknown: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    /// `5.10.*` is every version that begins so.
    version: String,
    is_in: bool,
}

impl Range {
    pub(super) fn all() -> Range {
        Range::default()
    }

    pub(super) fn unknown() -> Range {
        Range { is_unknown: true, ..Range::default() }
    }

    pub(super) fn exactly(version: &str) -> Range {
        match version {
            "*" => Range::all(),
            _ => Range::all().from(version, true).to(version, true),
        }
    }

    /// `*`, `0` and nothing are no bound.
    pub(super) fn from(self, version: &str, is_in: bool) -> Range {
        match version {
            "" | "*" | "0" | "unspecified" => self,
            _ if !is_plain(version) => Range::unknown(),
            _ => Range { from: Some(Bound { version: version.to_owned(), is_in }), ..self },
        }
    }

    pub(super) fn to(self, version: &str, is_in: bool) -> Range {
        match version {
            "" | "*" => self,
            _ if !is_plain(version.strip_suffix(".*").unwrap_or(version)) => Range::unknown(),
            _ => Range { to: Some(Bound { version: version.to_owned(), is_in }), ..self },
        }
    }

    /// `vers:generic/>=1.0|<2.0` (the form of package URLs), or `>=1.0 <2.0`. Each pair of
    /// bounds is a range.
    pub(super) fn parse(text: &str) -> Vec<Range> {
        let text = match text.strip_prefix("vers:") {
            Some(rest) => rest.split_once('/').map_or(rest, |(_, rest)| rest),
            None => text,
        };
        // `>= 1.0` is one part.
        let text = text.replace("= ", "=").replace("< ", "<").replace("> ", ">");
        let mut ranges = Vec::new();
        let mut open: Option<Range> = None;
        for part in text.split(['|', ',', ' ']).map(str::trim).filter(|part| !part.is_empty()).take(1000) {
            let end = part.find(|c: char| !"<>=!".contains(c)).unwrap_or(part.len());
            let (sign, version) = part.split_at(end);
            match sign {
                ">" | ">=" => {
                    ranges.extend(open.take());
                    open = Some(Range::all().from(version, sign == ">="));
                }
                "<" | "<=" => ranges.push(open.take().unwrap_or_default().to(version, sign == "<=")),
                "" | "=" if is_plain(version) || version == "*" => ranges.push(Range::exactly(version)),
                "!=" => {}
                _ => ranges.push(Range::unknown()),
            }
        }
        ranges.extend(open);
        ranges
    }

    pub(super) fn is_exact(&self) -> bool {
        self.from.is_some() && self.from == self.to
    }

    /// The first version beyond it.
    pub(super) fn fixed_in(&self) -> Option<&str> {
        let to = self.to.as_ref().filter(|to| !to.is_in)?;
        Some(&to.version)
    }

    pub(super) fn holds(&self, version: &str) -> Within {
        if self.is_unknown || !is_version(version) {
            return Within::Unknown;
        }
        let is_after = self.from.as_ref().is_none_or(|from| match compare(version, &from.version) {
            Ordering::Less => false,
            Ordering::Equal => from.is_in,
            Ordering::Greater => true,
        });
        let is_before = self.to.as_ref().is_none_or(|to| match to.version.strip_suffix(".*") {
            Some(start) => begins(version, start) || compare(version, start) == Ordering::Less,
            None => match compare(version, &to.version) {
                Ordering::Less => true,
                Ordering::Equal => to.is_in,
                // `7.7p1` is of `7.7`: OpenSSH says its patch, and few advisories do.
                Ordering::Greater => to.is_in && without_patch(version) == to.version,
            },
        });
        match is_after && is_before {
            true => Within::Yes,
            false => Within::No,
        }
    }
}

/// Without `p1` and the like at the end.
fn without_patch(version: &str) -> &str {
    match version.rsplit_once('p') {
        Some((before, patch)) if !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()) => {
            before
        }
        _ => version,
    }
}

fn begins(version: &str, start: &str) -> bool {
    version.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(ranges: &str, version: &str) -> Within {
        let ranges = Range::parse(ranges);
        let holds = |what| ranges.iter().any(|range| range.holds(version) == what);
        match (holds(Within::Yes), holds(Within::Unknown)) {
            (true, _) => Within::Yes,
            (_, true) => Within::Unknown,
            _ => Within::No,
        }
    }

    #[test]
    fn ranges_are_read_in_both_forms() {
        for (ranges, inside, outside) in [
            ("vers:generic/>=1.0|<2.0", "1.5", "2.0"),
            ("vers:intdot/<=10.12.114", "10.12.114", "10.12.115"),
            ("vers:deb/>=1|<2|>=3|<4", "3.5", "2.5"),
            ("<5.51.7.4", "5.51.7.3", "5.51.7.4"),
            (">= 1.0", "3", "0.9"),
            ("vers:semver/1.2.3", "1.2.3", "1.2.4"),
        ] {
            assert_eq!(is_in(ranges, inside), Within::Yes, "{ranges}");
            assert_eq!(is_in(ranges, outside), Within::No, "{ranges}");
        }
        assert_eq!(is_in("all versions before spring", "1.0"), Within::Unknown);
        assert_eq!(is_in("vers:all/*", "1.0"), Within::Yes);
        assert_eq!(is_in("<2.0", "git-abcdef"), Within::Unknown);
    }

    #[test]
    fn a_star_at_the_end_is_a_whole_branch() {
        let range = Range::all().from("5.10.180", true).to("5.10.*", true);
        assert_eq!(range.holds("5.10.181"), Within::Yes);
        assert_eq!(range.holds("5.10.179"), Within::No);
        assert_eq!(range.holds("5.11.1"), Within::No);
        assert_eq!(range.fixed_in(), None);
    }
}
