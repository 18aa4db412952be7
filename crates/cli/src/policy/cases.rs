//! The circumstances under which two sets are compared: of everything that
//! their conditions look at, one value of each kind that they tell apart. What
//! was asked for on the command line stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cloud_core::policy::{Asker, Conditions, Object, Posture, Question};
use model::Timestamp;

use super::world::When;

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Somewhere that the policies do not name: the first that is in none of their ranges.
const ELSEWHERE: [&str; 4] = ["203.0.113.77", "198.51.100.77", "192.0.2.77", "2001:db8::77"];
/// More administrators never sign one thing.
const APPROVALS_MAX: i64 = 16;
/// Cases that are named one by one.
const NAMED_MAX: usize = 4;

/// A value of one circumstance, and how people are told of it.
#[derive(Debug)]
struct Value {
    words: String,
    set: Set,
}

#[derive(Debug)]
enum Set {
    Day(u64),
    TimeOfDay(u64),
    Network(IpAddr),
    SecondFactor(bool),
    Posture(Posture),
    Approvals(u32),
    Reason(Option<String>),
}

/// All combinations of the values of each circumstance.
#[derive(Debug)]
pub(super) struct Cases(Vec<Vec<Value>>);

impl Cases {
    pub(super) fn of(conditions: &Conditions, when: &When, now: Timestamp) -> Self {
        let mut circumstances = Vec::new();
        if when.at.is_none() && (conditions.time || conditions.weekday) {
            circumstances.push(days(conditions, now));
            circumstances.push(times_of_day(conditions));
        }
        if conditions.network && when.network.is_none() {
            circumstances.push(networks(&conditions.networks));
        }
        if conditions.second_factor && !when.second_factor {
            let value = |words: &str, given| Value { words: words.to_owned(), set: Set::SecondFactor(given) };
            circumstances
                .push(vec![value("without a second factor", false), value("with a second factor", true)]);
        }
        if conditions.posture {
            let value = |posture: Posture| Value {
                words: format!("posture {}", posture.as_str()),
                set: Set::Posture(posture),
            };
            circumstances.push(Posture::ALL.map(value).into());
        }
        if conditions.approvals && when.approvals == 0 {
            circumstances.push(approvals(&conditions.numbers));
        }
        if conditions.reason && when.reason.is_none() {
            circumstances.push(reasons(&conditions.texts));
        }
        Cases(circumstances)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(Vec::len).product()
    }

    /// Which value of each circumstance it is in this case.
    fn places(&self, mut case: usize) -> Vec<usize> {
        let place = |values: &Vec<Value>| {
            let place = case % values.len();
            case /= values.len();
            place
        };
        self.0.iter().map(place).collect()
    }

    pub(super) fn question(&self, question: &Question, case: usize) -> Question {
        let mut asked = question.clone();
        for (values, place) in self.0.iter().zip(self.places(case)) {
            let circumstances = &mut asked.circumstances;
            match &values[place].set {
                Set::Day(midnight) => {
                    circumstances.now = Timestamp(midnight + circumstances.now.0 % Timestamp::DAY);
                }
                Set::TimeOfDay(at) => {
                    circumstances.now = Timestamp(circumstances.now.0 / Timestamp::DAY * Timestamp::DAY + at);
                }
                Set::Network(address) => circumstances.network = Some(*address),
                Set::SecondFactor(given) => circumstances.second_factor = *given,
                Set::Approvals(count) => circumstances.approvals = *count,
                Set::Reason(reason) => circumstances.reason.clone_from(reason),
                Set::Posture(measured) => {
                    if let Asker::Gateway { posture, .. } = &mut asked.asker {
                        *posture = *measured;
                    }
                    if let Object::Gateway { posture, .. } | Object::Camera { posture, .. } =
                        &mut asked.object
                    {
                        *posture = *measured;
                    }
                }
            }
        }
        asked
    }

    /// These cases in words; nothing if it is always so.
    pub(super) fn words(&self, cases: &[usize]) -> String {
        if cases.len() == self.count() {
            return String::new();
        }
        let places: Vec<Vec<usize>> = cases.iter().map(|case| self.places(*case)).collect();
        let of =
            |circumstance: usize| places.iter().map(|place| place[circumstance]).collect::<BTreeSet<_>>();
        let found: Vec<BTreeSet<usize>> = (0..self.0.len()).map(of).collect();
        if found.iter().map(BTreeSet::len).product::<usize>() == cases.len() {
            return self.named(&found);
        }
        let named = places.iter().take(NAMED_MAX).map(|place| {
            let one: Vec<BTreeSet<usize>> = place.iter().map(|place| BTreeSet::from([*place])).collect();
            self.named(&one)
        });
        let named: Vec<String> = named.collect();
        let more = places.len().saturating_sub(NAMED_MAX);
        let rest = if more > 0 { format!(", and in {more} more cases") } else { String::new() };
        format!("{}{rest}", named.join("; or "))
    }

    /// One set of values for each circumstance; those that do not matter are left out.
    fn named(&self, found: &[BTreeSet<usize>]) -> String {
        let told = self.0.iter().zip(found).filter(|(values, found)| found.len() < values.len());
        let told = told.map(|(values, found)| {
            let words: Vec<&str> = found.iter().map(|place| values[*place].words.as_str()).collect();
            words.join(" or ")
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Today, a week where weekdays count, and around each date that is named.
fn days(conditions: &Conditions, now: Timestamp) -> Vec<Value> {
    let midnight = |at: Timestamp| at.0 / Timestamp::DAY * Timestamp::DAY;
    let mut days = BTreeMap::new();
    for date in &conditions.dates {
        let Some(at) = instant(date) else { continue };
        let day = midnight(at);
        days.insert(day.saturating_sub(Timestamp::DAY), format!("the day before {date}"));
        days.insert(day, format!("on the day of {date}"));
        days.insert(day + Timestamp::DAY, format!("the day after {date}"));
    }
    let today = midnight(now);
    let week = if conditions.weekday { 7 } else { 1 };
    for day in (0..week).map(|number| today + number * Timestamp::DAY) {
        // 1970 began on a Thursday.
        let weekday = WEEKDAYS[((day / Timestamp::DAY + 3) % 7) as usize];
        let words = if conditions.weekday { weekday } else { "today" };
        days.entry(day).or_insert_with(|| words.to_owned());
    }
    days.into_iter().map(|(day, words)| Value { words, set: Set::Day(day) }).collect()
}

/// The middle of each stretch between two times at which an answer can change.
fn times_of_day(conditions: &Conditions) -> Vec<Value> {
    let mut bounds = conditions.times_of_day.clone();
    let timed = conditions.dates.iter().filter_map(|date| instant(date));
    bounds.extend(timed.map(|at| at.0 % Timestamp::DAY));
    bounds.insert(0);
    let bounds: Vec<u64> = bounds.into_iter().collect();
    let clock = |at: u64| format!("{:02}:{:02}", at / Timestamp::HOUR, at / Timestamp::MINUTE % 60);
    let stretch = |(place, from): (usize, &u64)| {
        let to = bounds.get(place + 1).copied().unwrap_or(Timestamp::DAY);
        let middle = (from + to) / 2;
        Value { words: format!("{}–{} UTC", clock(*from), clock(to)), set: Set::TimeOfDay(middle) }
    };
    bounds.iter().enumerate().map(stretch).collect()
}

/// Of a date in a policy: `2026-12-24`, `2026-12-24T18:00:00Z`, `…+0100`.
fn instant(date: &str) -> Option<Timestamp> {
    let text = match date.len() {
        10 => format!("{date}T00:00:00Z"),
        length if date.is_ascii() && matches!(date.as_bytes()[length - 5], b'+' | b'-') => {
            format!("{}:{}", &date[..length - 2], &date[length - 2..])
        }
        _ => date.to_owned(),
    };
    crate::times::parse(&text).ok()
}

/// Both ends of each range, and somewhere else.
fn networks(ranges: &BTreeSet<String>) -> Vec<Value> {
    let ranges: Vec<(u128, u128, bool)> = ranges.iter().filter_map(|range| bounds(range)).collect();
    let mut ends = BTreeSet::new();
    for (first, last, is_v4) in &ranges {
        ends.extend([address(*first, *is_v4), address(*last, *is_v4)]);
    }
    let outside = ELSEWHERE.iter().filter_map(|text| text.parse::<IpAddr>().ok()).find(|elsewhere| {
        let (at, v4) = number(*elsewhere);
        !ranges.iter().any(|(first, last, is_v4)| *is_v4 == v4 && (*first..=*last).contains(&at))
    });
    let value = |words, address| Value { words, set: Set::Network(address) };
    let mut values: Vec<Value> = ends.into_iter().map(|end| value(format!("from {end}"), end)).collect();
    values.extend(outside.map(|outside| value(format!("from elsewhere ({outside})"), outside)));
    values
}

/// First and last address, and whether it is IPv4.
fn bounds(range: &str) -> Option<(u128, u128, bool)> {
    let (start, length) =
        range.split_once('/').map_or((range, None), |(start, length)| (start, Some(length)));
    let (at, is_v4) = number(start.parse().ok()?);
    let bits: u32 = if is_v4 { 32 } else { 128 };
    let length = length.map_or(Some(bits), |text| text.parse().ok()).filter(|length| *length <= bits)?;
    let open = bits - length;
    let mask = if open == 128 { u128::MAX } else { (1 << open) - 1 };
    Some((at & !mask, at | mask, is_v4))
}

fn number(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), true),
        IpAddr::V6(address) => (address.into(), false),
    }
}

fn address(number: u128, is_v4: bool) -> IpAddr {
    if is_v4 { IpAddr::V4((number as u32).into()) } else { IpAddr::V6(number.into()) }
}

/// None, one, and around each number that stands in the policies.
fn approvals(numbers: &BTreeSet<i64>) -> Vec<Value> {
    let around = numbers.iter().flat_map(|number| [number - 1, *number, number + 1]);
    let counts: BTreeSet<i64> = around.chain([0, 1, 2]).filter(|n| (0..=APPROVALS_MAX).contains(n)).collect();
    let value =
        |count: i64| Value { words: format!("with {count} approvals"), set: Set::Approvals(count as u32) };
    counts.into_iter().map(value).collect()
}

fn reasons(texts: &BTreeSet<String>) -> Vec<Value> {
    let value =
        |words: String, reason: Option<&str>| Value { words, set: Set::Reason(reason.map(str::to_owned)) };
    let mut values =
        vec![value("without a reason".to_owned(), None), value("with a reason".to_owned(), Some("a reason"))];
    let postures = Posture::ALL.map(Posture::as_str);
    let texts = texts.iter().filter(|text| !text.is_empty() && !postures.contains(&text.as_str()));
    values.extend(texts.map(|text| value(format!("with the reason “{text}”"), Some(text))));
    values
}
