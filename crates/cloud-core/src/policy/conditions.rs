//! What the conditions of policies look at, and which values they compare it
//! with: whoever compares two sets asks at values of every kind between them,
//! not at one.

use std::collections::BTreeSet;

use model::Timestamp;
use serde_json::Value;

use super::selection::Selection;

/// Of the policies that a question can concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub time: bool,
    pub weekday: bool,
    pub network: bool,
    pub second_factor: bool,
    pub posture: bool,
    pub approvals: bool,
    pub reason: bool,
    /// Times of day (milliseconds since midnight, UTC) at which an answer can change.
    pub times_of_day: BTreeSet<u64>,
    /// Dates, as the policies write them.
    pub dates: BTreeSet<String>,
    /// Addresses and ranges, as the policies write them.
    pub networks: BTreeSet<String>,
    pub numbers: BTreeSet<i64>,
    /// What a reason is compared with; a pattern without what it leaves open.
    pub texts: BTreeSet<String>,
}

impl Conditions {
    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.time |= other.time;
        self.weekday |= other.weekday;
        self.network |= other.network;
        self.second_factor |= other.second_factor;
        self.posture |= other.posture;
        self.approvals |= other.approvals;
        self.reason |= other.reason;
        self.times_of_day.extend(other.times_of_day);
        self.dates.extend(other.dates);
        self.networks.extend(other.networks);
        self.numbers.extend(other.numbers);
        self.texts.extend(other.texts);
        self
    }

    pub(super) fn of(selection: &Selection) -> Self {
        let mut found = Conditions {
            time: selection.names("now"),
            weekday: selection.names("weekday"),
            network: selection.names("network"),
            second_factor: selection.names("secondFactor"),
            posture: selection.names("posture"),
            approvals: selection.names("approvals"),
            reason: selection.names("reason"),
            ..Conditions::default()
        };
        let mut durations = BTreeSet::new();
        for policy in selection.set.policies() {
            if let Ok(json) = policy.to_json() {
                found.walk(&json["conditions"], &mut durations);
            }
        }
        if found.time {
            found.times_of_day = times_of_day(&durations, selection.names("offset"));
        }
        if !found.reason {
            found.texts.clear();
        }
        found
    }

    fn walk(&mut self, value: &Value, durations: &mut BTreeSet<i64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value, durations)),
            Value::Number(number) => self.numbers.extend(number.as_i64()),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let literal = value[0]["Value"].as_str();
                    match (name.as_str(), literal, value.as_str()) {
                        ("duration", Some(text), _) => durations.extend(milliseconds(text)),
                        ("datetime", Some(text), _) => drop(self.dates.insert(text.to_owned())),
                        ("ip", Some(text), _) => drop(self.networks.insert(text.to_owned())),
                        ("Value", _, Some(text)) => drop(self.texts.insert(text.to_owned())),
                        ("pattern", ..) => drop(self.texts.insert(literal_of(value))),
                        _ => self.walk(value, durations),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Of a pattern of `like`: its characters one by one, and wildcards between them.
fn literal_of(pattern: &Value) -> String {
    let parts = pattern.as_array().into_iter().flatten();
    parts.filter_map(|part| part["Literal"].as_str()).collect()
}

/// Midnight, where each day begins anew, and what is named. With `offset`, a time of day may be moved by any of the durations.
fn times_of_day(durations: &BTreeSet<i64>, offset: bool) -> BTreeSet<u64> {
    let day = Timestamp::DAY as i64;
    let moved = durations.iter().copied().filter(|_| offset).chain([0]);
    let moved: Vec<i64> = moved.collect();
    let named = durations.iter().copied().chain([0]);
    named.flat_map(|at| moved.iter().map(move |by| (at - by).rem_euclid(day) as u64)).collect()
}

/// Of a duration as the engine writes it: `1h30m`.
fn milliseconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = match rest {
            _ if rest.starts_with("ms") => (1, 2),
            _ if rest.starts_with('d') => (Timestamp::DAY as i64, 1),
            _ if rest.starts_with('h') => (Timestamp::HOUR as i64, 1),
            _ if rest.starts_with('m') => (Timestamp::MINUTE as i64, 1),
            _ if rest.starts_with('s') => (Timestamp::SECOND as i64, 1),
            _ => return None,
        };
        rest = &rest[length..];
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    Some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::super::{Asker, Circumstances, Object, Operation, PersonAsker, Policies, Question};
    use super::*;

    fn conditions(operation: Operation, text: &str) -> Conditions {
        let policies = Policies::parse([("own.cedar".to_owned(), text.to_owned())].into()).unwrap();
        policies.conditions(&Question {
            asker: Asker::Person(PersonAsker::default()),
            operation,
            object: Object::Organisation { id: "organisation".to_owned(), administrators_needed: 1 },
            circumstances: Circumstances {
                now: Timestamp(0),
                second_factor: false,
                approvals: 0,
                network: None,
                reason: None,
            },
        })
    }

    const TEXT: &str = r#"
        @id("a") @why("b") forbid (principal is Person, action == Action::"invite", resource)
        when { context.now.offset(duration("1h")).toTime() < duration("6h30m") || context.weekday > 5 }
        unless { context has network && context.network.isInRange(ip("192.0.2.0/24")) };
        @id("c") @why("d") forbid (principal is Person, action == Action::"approve", resource)
        when { context.now > datetime("2026-12-24") && context.approvals < 2 }
        unless { context.secondFactor && context has reason && context.reason like "ticket *" };"#;

    #[test]
    fn what_conditions_compare_with_is_found_by_action() {
        let hour = Timestamp::HOUR;
        let invite = conditions(Operation::Invite, TEXT);
        assert!(invite.time && invite.weekday && invite.network);
        assert!(!invite.second_factor && !invite.reason && !invite.approvals && !invite.posture);
        let halves = [0, 2, 11, 13, 35, 37, 46].map(|half| half * hour / 2);
        assert_eq!(invite.times_of_day, halves.into());
        assert_eq!(invite.networks, ["192.0.2.0/24".to_owned()].into());
        let approve = conditions(Operation::Approve, TEXT);
        assert!(approve.second_factor && approve.reason && approve.approvals && !approve.network);
        assert_eq!(approve.dates, ["2026-12-24".to_owned()].into());
        assert_eq!(approve.numbers, [2].into());
        assert_eq!(approve.texts, ["ticket ".to_owned()].into());
        assert_eq!(conditions(Operation::Propose, TEXT), Conditions::default());
    }

    #[test]
    fn durations_read_as_the_engine_writes_them() {
        assert_eq!(milliseconds("1d2h3m4s5ms"), Some(93_784_005));
        assert_eq!(milliseconds("-2h"), Some(-7_200_000));
        for bad in ["h", "2", "2y", "99999999999999d"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }
}
