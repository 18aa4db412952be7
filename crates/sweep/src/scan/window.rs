//! The rules over one window, and over what decoders make of it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::covered::Covered;
use super::{DECODED_FREE, DECODED_RATIO, Hits, Notice, Origin, Run, Window, is_zero, label, named};
use crate::confirm::{self, Match};
use crate::decode::{self, Decoded, Marks};
use crate::defaults::Tried;
use crate::finding::{Digest32, Finding, Fingerprint, Location, Secret, Severity, digest};
use crate::rules::{Kind, Rule};
use crate::table;
use crate::unpack;
use crate::validate::{Check, Found, Verdict, is_placeholder, validate};

struct Candidate {
    rule: Arc<Rule>,
    matched: Match,
    verdict: Verdict,
    /// What is told, if it is not what stands there.
    told: Option<Vec<u8>>,
}

/// Where literals lead that are names.
#[derive(Default)]
struct Leads {
    /// That may head a column.
    columns: Vec<usize>,
    /// Of passwords, or tags of documents: what stands around them may be read in another way.
    names: Vec<usize>,
}

/// Stretches that a rule has taken, by where they begin.
#[derive(Default)]
struct Taken(BTreeMap<usize, usize>);

impl Taken {
    fn touches(&self, range: &Range<usize>) -> bool {
        self.0.range(..range.end).next_back().is_some_and(|(_, end)| *end > range.start)
    }
}

impl Window<'_> {
    /// Where `at` is in what was not decoded, as far as it can be told: the window, and
    /// where in its bytes.
    fn outer(&self, at: usize) -> (&Window<'_>, usize) {
        match &self.origin {
            Some(origin) => origin.window.outer(origin.at + decode::line_start(origin.steps, at)),
            None => (self, at),
        }
    }
}

impl Run<'_> {
    /// The number of the line in which `at` lies, from one. What is asked for lies near
    /// what was asked for before.
    fn line(&mut self, window: &Window<'_>, at: usize) -> u64 {
        let ends =
            |from: usize, to: usize| memchr::memchr_iter(b'\n', &window.bytes[from..to]).count() as u64;
        let (before, lines) = self.counted;
        let lines = match at >= before {
            true => lines + ends(before, at),
            false => lines - ends(at, before),
        };
        self.counted = (at, lines);
        window.lines + lines + 1
    }

    pub(super) fn window(&mut self, window: &Window<'_>) {
        self.scanned += window.own.len() as u64;
        if is_zero(&window.bytes[window.own.clone()]) {
            return;
        }
        self.texts.clear();
        // What is decoded may hold containers, with windows of their own.
        let outer = std::mem::take(&mut self.counted);
        self.text(window);
        self.counted = outer;
    }

    /// A part from its start to its end, for what its name says of it.
    pub(super) fn named(&mut self, bytes: &[u8]) {
        // What was packed alone is called like its packet.
        let name = self.chain.iter().rev().find(|name| !name.is_empty());
        let settings = name.map(|name| named::settings(name, bytes)).unwrap_or_default();
        settings.into_iter().for_each(|decoded| self.alone(bytes, decoded));
    }

    /// What a part holds that was read as a whole.
    pub(super) fn alone(&mut self, bytes: &[u8], decoded: Decoded) {
        self.texts.clear();
        let outer = std::mem::take(&mut self.counted);
        let (own, hits) = (0..bytes.len(), Hits::default());
        self.decoded(
            &Window { bytes, own, hits: &hits, base: 0, lines: 0, origin: None, inner: None },
            decoded,
        );
        self.counted = outer;
    }

    fn text(&mut self, window: &Window<'_>) {
        let mut leads = Leads::default();
        let mut candidates = self.literals(window, &mut leads);
        let marks = Marks::new(window.bytes, window.own.clone());
        let runs = self.runs(window, &marks, &mut candidates);
        let taken = self.report(window, candidates);
        if self.depth >= self.sweep.limits.depth || self.stopped {
            return;
        }
        for run in runs.into_iter().filter(|run| !taken.touches(run)) {
            if let Some(decoded) = decode::decode_run(window.bytes, run, unpack::begins) {
                self.decoded(window, decoded);
            }
        }
        let mut texts = Vec::new();
        let mut end = 0;
        for column in leads.columns {
            if column >= end {
                end = table::rows(window.bytes, column, &mut |row| texts.push(row));
            }
        }
        texts.drain(..).for_each(|decoded| self.decoded(window, decoded));
        // Without a byte beyond ASCII, no line is in Windows-1252, and nothing is packed.
        let forms = [decode::markup, decode::latin, decode::packed];
        let count = if window.bytes.is_ascii() { 1 } else { forms.len() };
        for form in &forms[..count] {
            let mut end = 0;
            for at in &leads.names {
                if *at >= end
                    && let Some(decoded) = form(window.bytes, &window.own, *at)
                {
                    end = decoded.place.end;
                    self.decoded(window, decoded);
                }
            }
        }
        decode::utf16(window.bytes, &marks, |decoded| texts.push(decoded));
        decode::utf32(window.bytes, &marks, |decoded| texts.push(decoded));
        texts.drain(..).for_each(|decoded| self.decoded(window, decoded));
        decode::escapes(window.bytes, &marks, |decoded| texts.push(decoded));
        decode::apart(window.bytes, &marks, |decoded| texts.push(decoded));
        decode::headers(window.bytes, &marks, |decoded| texts.push(decoded));
        decode::dumps(window.bytes, &marks, |decoded| texts.push(decoded));
        decode::numbers(window.bytes, &marks, |decoded| texts.push(decoded));
        texts.drain(..).for_each(|decoded| self.decoded(window, decoded));
    }

    /// What the rules say of their literals, and where those lead.
    fn literals(&mut self, window: &Window<'_>, leads: &mut Leads) -> Vec<Candidate> {
        let rules = self.sweep.rules;
        let bytes = window.bytes;
        let mut candidates = Vec::new();
        // Of most texts that decoders give.
        if window.hits.literals.is_empty() {
            return candidates;
        }
        let mut searched = 0;
        // Where the last match of each rule ended: its other literals tell of it again.
        let mut ends = vec![0; rules.iter().count()];
        for (at, literal) in &window.hits.literals {
            let at = *at as usize;
            if !window.own.contains(&at) {
                continue;
            }
            if rules.is_name[usize::from(*literal)] {
                leads.names.push(at);
            }
            for (number, own) in &rules.of_literal[usize::from(*literal)] {
                let rule = rules.rule(*number);
                if at < ends[usize::from(*number)] {
                    continue;
                }
                if rule.checks.contains(&Check::Table) {
                    leads.columns.push(at);
                    continue;
                }
                if rule.checks.contains(&Check::Markup) {
                    continue;
                }
                if !rule.may_match(bytes, usize::from(*own), at) {
                    continue;
                }
                searched += (at.min(rule.before) + (bytes.len() - at).min(rule.after)) as u64;
                let Some(matched) = confirm::confirm(rule, bytes, at) else { continue };
                let end = matched.secret.end;
                let candidate = self.judge(rule, bytes, matched);
                // What was none may have one in it.
                ends[usize::from(*number)] = if candidate.is_some() { end } else { at + 1 };
                candidates.extend(candidate);
            }
        }
        self.totals.searched += searched;
        candidates
    }

    /// Runs of base64, after those that a rule knows by their length.
    fn runs(&self, window: &Window<'_>, marks: &Marks, candidates: &mut Vec<Candidate>) -> Vec<Range<usize>> {
        let rules = self.sweep.rules;
        let mut runs = Vec::new();
        decode::base64_runs(window.bytes, marks, |run| {
            for rule in rules.of_runs.iter().map(|number| rules.rule(*number)) {
                if rule.base64_run == Some(run.len()) {
                    let matched = Match { whole: run.clone(), secret: run.clone(), name: None };
                    candidates.extend(self.judge(rule, window.bytes, matched));
                }
            }
            runs.push(run);
        });
        runs
    }

    fn judge(&self, rule: &Arc<Rule>, bytes: &[u8], matched: Match) -> Option<Candidate> {
        let found = Found {
            secret: &bytes[matched.secret.clone()],
            before: &bytes[matched.whole.start.saturating_sub(160)..matched.whole.start],
            from: &bytes[matched.whole.start..],
            now: self.sweep.now,
        };
        let verdict = validate(&rule.checks, &found)?;
        if rule.kind == Kind::Password && decode::is_quoted(bytes, &matched.secret) {
            return None;
        }
        let told = match rule.kind {
            _ if rule.pair => verdict.identity.clone(),
            Kind::Password => decode::password(found.secret),
            _ => None,
        };
        if told.as_deref().is_some_and(|told| !rule.pair && is_placeholder(told)) {
            return None;
        }
        Some(Candidate { rule: rule.clone(), matched, verdict, told })
    }

    /// Tells of those that do not overlap; the rule that knows more comes first, then of
    /// general ones that of greater severity.
    fn report(&mut self, window: &Window<'_>, mut candidates: Vec<Candidate>) -> Taken {
        let (mut taken, mut special) = (Taken::default(), Taken::default());
        if candidates.is_empty() {
            return special;
        }
        candidates.sort_by_key(|Candidate { rule, matched, .. }| {
            // Of general ones, several often know the same.
            let graver = std::cmp::Reverse(rule.general.then_some(rule.severity));
            // What a pair of user and password is, nobody knows better.
            (rule.general, !rule.pair, graver, matched.secret.start)
        });
        candidates.retain(|Candidate { rule, matched, .. }| {
            let secret = &matched.secret;
            if secret.is_empty() || taken.touches(secret) {
                return false;
            }
            taken.0.insert(secret.start, secret.end);
            if !rule.general {
                special.0.insert(secret.start, secret.end);
            }
            true
        });
        candidates.sort_by_key(|candidate| candidate.matched.secret.start);
        let (mut lines, mut counted) = (window.lines, 0);
        for candidate in candidates {
            let at = candidate.matched.secret.start;
            lines += memchr::memchr_iter(b'\n', &window.bytes[counted..at]).count() as u64;
            counted = at;
            self.found(window, candidate, lines + 1);
        }
        special
    }

    fn found(&mut self, window: &Window<'_>, candidate: Candidate, line: u64) {
        let Candidate { rule, matched, verdict, told } = candidate;
        let secret = told.as_deref().unwrap_or(&window.bytes[matched.secret.clone()]);
        // In addresses it stands with escapes, and is told of once.
        let plain = || (rule.kind == Kind::Password).then(|| decode::percent(secret)).flatten();
        let identity = verdict.identity.clone().or_else(plain).unwrap_or_else(|| secret.to_vec());
        let digest = digest(rule.family(), &identity);
        let marks = [window.inner, self.told_since];
        let told_inside =
            marks.into_iter().flatten().min().is_some_and(|mark| self.found.get(&digest) >= Some(&mark));
        if told_inside || !self.seen.insert((digest, self.place())) {
            return;
        }
        self.found.insert(digest, self.totals.findings);
        self.totals.findings += 1;
        let (outer, at) = window.outer(matched.secret.start);
        let line = if window.origin.is_some() { self.line(outer, at) } else { line };
        let offset = outer.base + at as u64;
        let verdict = self.with_default(&rule, digest, &identity, verdict);
        // A file in UTF-16 from its beginning has lines, too.
        let of_file = |origin: &super::Origin<'_>| {
            origin.window.base + origin.at as u64 <= 2 && !origin.steps.is_empty()
        };
        let is_text = window.origin.as_ref().is_some_and(of_file)
            || !outer.bytes[at.saturating_sub(64)..at].contains(&0);
        let line = is_text.then_some(line);
        let parameter = label::of(window.bytes, &matched);
        let finding = Finding {
            severity: verdict.severity.unwrap_or(rule.severity),
            fingerprint: Fingerprint::new(rule.kind, rule.family(), &identity),
            secret: Secret::new(secret),
            life: verdict.life,
            permits: verdict.permits,
            location: Location { chain: self.chain.clone(), offset, line, parameter },
            rule,
        };
        self.tell(Notice::Found(finding));
    }

    /// A hash of a password that everybody knows is as good as the password.
    fn with_default(&mut self, rule: &Rule, name: Digest32, hash: &[u8], verdict: Verdict) -> Verdict {
        if rule.kind != Kind::Hash {
            return verdict;
        }
        match self.defaults.try_all(name, hash) {
            Tried::Default => Verdict {
                severity: Some(Severity::Critical),
                permits: Some("the hash is of a well-known default password".to_owned()),
                ..verdict
            },
            Tried::Spent => {
                if self.defaults.tell() {
                    self.skipped("more hashes than are tried with default passwords");
                }
                verdict
            }
            Tried::Other => verdict,
        }
    }

    fn decoded(&mut self, window: &Window<'_>, decoded: Decoded) {
        let Decoded { encoding, place, bytes, steps } = decoded;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        if self.stopped || !self.texts.insert(hasher.finish()) {
            return;
        }
        let allowed = self.scanned.saturating_mul(DECODED_RATIO).saturating_add(DECODED_FREE);
        if self.totals.decoded > allowed {
            return;
        }
        self.totals.decoded += bytes.len() as u64;
        if self.totals.decoded > allowed {
            self.skipped("more encodings inside each other than are followed");
            return;
        }
        let origin = Origin { window, at: place.start, steps: &steps };
        self.chain.push(["(", encoding, ")"].concat());
        self.depth += 1;
        let mut covered = Covered::new(self.totals.findings);
        let hits = self.hits(&bytes, 0..bytes.len());
        self.containers(&bytes, &bytes, 0, bytes.len(), &hits, &mut covered);
        self.text(&Window {
            bytes: &bytes,
            own: 0..bytes.len(),
            hits: &hits,
            base: 0,
            lines: 0,
            origin: Some(origin),
            inner: None,
        });
        self.depth -= 1;
        self.chain.pop();
    }
}
