use std::collections::BTreeSet;

use model::wire::{Envelope, Gap, GapReason, GatewayKeys};
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Rendition, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::hour::{Hour, HourGap, HourRecording};
use seal::keyring::DeviceKeys;
use seal::keys::{KemSecret, SigningKey};
use seal::roster::{Administrators, Device, DeviceKind, Payload, Recovery, Roster, Statement, sign_next};

use super::judge::{Lists, Report, Signed, judge};

/// The beginning of an hour.
const T: Timestamp = Timestamp(1_763_838_000_000);
const ORG: [u8; 16] = [1; 16];

fn at(hour: u64) -> Timestamp {
    T.plus_ms(hour * Timestamp::HOUR)
}

fn camera() -> CameraId {
    CameraId::from_random([2; 16])
}

fn gateway() -> GatewayId {
    GatewayId::from_random([3; 16])
}

fn key() -> SigningKey {
    SigningKey::from_seed([4; 32])
}

fn admin() -> (DeviceId, DeviceKeys) {
    (DeviceId::from_random([5; 16]), DeviceKeys::from_seeds([6; 32], [7; 32]))
}

/// With the gateway.
fn roster() -> Roster {
    let (id, keys) = admin();
    let device = Device {
        id,
        person: PersonId::from_random([8; 16]),
        name: "Laptop".to_owned(),
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: T.plus_ms(30 * Timestamp::DAY),
    };
    let sheet = DeviceKeys::from_seeds([9; 32], [10; 32]);
    let recovery = Recovery {
        id: DeviceId::from_random([11; 16]),
        kem: sheet.kem.public().to_base64(),
        sign: sheet.sign.verifying_key().to_base64(),
    };
    let administrators = Administrators { k: 1, devices: BTreeSet::from([id]) };
    let statement = Statement::Genesis { name: "Shop".to_owned(), device, recovery, administrators };
    let org = OrgId::from_random(ORG);
    let genesis = Payload { org, seq: 0, previous: None, at: T, statement };
    let genesis = envelope::sign(PayloadType::Roster, seal::to_canonical(&genesis), &id, &keys.sign);
    let mut roster = Roster::from_genesis(&genesis, T).unwrap();
    let gateway = GatewayKeys {
        id: gateway(),
        name: "Shop".to_owned(),
        kem: KemSecret::from_seed([12; 32]).public().to_base64(),
        sign: key().verifying_key().to_base64(),
    };
    state(&mut roster, Statement::AddGateway { gateway });
    roster
}

fn state(roster: &mut Roster, statement: Statement) {
    let (id, keys) = admin();
    let envelope = sign_next(roster, T, statement, id, &keys.sign);
    roster.apply(&envelope, T).unwrap();
}

fn recording(hour: u64, n: u8) -> HourRecording {
    HourRecording {
        rendition: Rendition::Main,
        started_at: at(hour).plus_ms(u64::from(n) * Timestamp::MINUTE),
        duration_ms: 60_000,
        bytes: 1_000_000,
        id: Hash([hour as u8, n].repeat(16).try_into().unwrap()),
        root: Hash([n, hour as u8].repeat(16).try_into().unwrap()),
        stored: true,
    }
}

fn gap(hour: u64, minutes: u64, reason: GapReason) -> HourGap {
    let to = at(hour).plus_ms(minutes * Timestamp::MINUTE);
    HourGap { rendition: Rendition::Main, from: at(hour), to, reason }
}

/// The next of a chain, with two recordings.
fn next(chain: &[Hour], hour: u64) -> Hour {
    Hour {
        org: OrgId::from_random(ORG),
        gateway: gateway(),
        camera: camera(),
        hour: at(hour),
        number: chain.len() as u64,
        previous: chain.last().map(hash),
        made_at: at(20).plus_ms(chain.len() as u64),
        recordings: vec![recording(hour, 1), recording(hour, 2)],
        gaps: Vec::new(),
    }
}

/// One index for each of these hours.
fn chain(hours: impl IntoIterator<Item = u64>) -> Vec<Hour> {
    hours.into_iter().fold(Vec::new(), |mut chain, hour| {
        chain.push(next(&chain, hour));
        chain
    })
}

fn hash(hour: &Hour) -> Hash {
    seal::sha256(&seal::to_canonical(hour))
}

fn taken<'h>(hours: impl IntoIterator<Item = &'h Hour>) -> Signed {
    let (mut signed, roster) = (Signed::of(camera()), roster());
    hours.into_iter().for_each(|hour| signed.take(&hour.sign(&key()), &roster));
    signed
}

/// As an honest cloud lists them.
fn listed<'h>(hours: impl IntoIterator<Item = &'h Hour>) -> Lists {
    let mut lists = Lists::default();
    for hour in hours {
        let entries = hour.recordings.iter().map(|entry| (entry.rendition, entry.id, entry.root));
        lists.recordings.extend(entries);
        lists.gaps.extend(hour.gaps.iter().map(|&HourGap { rendition, from, to, reason }| Gap {
            camera: hour.camera,
            rendition,
            from,
            to,
            reason,
        }));
    }
    lists
}

/// Of the hours before the tenth, from this one on.
fn report(signed: &Signed, lists: &Lists, from: u64) -> Report {
    judge(signed, lists, (at(from), at(10)), at(24))
}

fn says(report: &Report, words: &str) {
    let said = report.in_words().join("\n");
    assert!(said.contains(words), "{words}: {said}");
}

fn wrong(report: &Report) -> String {
    report.what_is_wrong().unwrap_or_default()
}

#[test]
fn what_is_listed_as_it_was_signed_is_right() {
    let mut hours = chain(0..10);
    hours.last_mut().unwrap().gaps = vec![gap(9, 5, GapReason::Stalled)];
    let signed = taken(&hours);
    assert_eq!(signed.wanted(at(0)), None);
    let report = report(&signed, &listed(&hours), 0);
    assert_eq!(report.what_is_wrong(), None);
    says(&report, "10 of 10 hours from 2025-11-22T19:00:00Z to 2025-11-23T05:00:00Z have an index");
    says(&report, "20 recordings and 1 gaps are signed for.");
    says(
        &report,
        "The newest index shown is of the hour from 2025-11-23T04:00:00Z. Later ones can be held back",
    );
}

#[test]
fn a_recording_that_the_cloud_hides_is_noticed() {
    let mut hours = chain(0..10);
    let last = hours.last_mut().unwrap();
    (last.recordings[0].stored, last.recordings[1].stored) = (false, true);
    let (signed, whole) = (taken(&hours), listed(&hours));
    let of = |hour: usize, n: usize| {
        let entry = &hours[hour].recordings[n];
        (entry.rendition, entry.id, entry.root)
    };
    let without = |hidden| {
        let recordings = whole.recordings.iter().filter(|entry| **entry != hidden).copied().collect();
        Lists { recordings, ..Lists::default() }
    };
    let hidden = report(&signed, &without(of(3, 1)), 0);
    assert_eq!(wrong(&hidden), "1 recordings missing");
    says(&hidden, &format!("MISSING  recording  main  2025-11-22T22:02:00Z    60.0 s  {}", of(3, 1).1));
    assert!(!hidden.in_words().join("\n").contains("had not left the site"));
    // Another one under its id, or as another rendition, is another one.
    let (_, id, root) = of(3, 1);
    for false_one in [(Rendition::Main, id, Hash([9; 32])), (Rendition::Sub, id, root)] {
        let mut lists = without(of(3, 1));
        lists.recordings.insert(false_one);
        assert_eq!(wrong(&report(&signed, &lists, 0)), "1 recordings missing");
    }
    // One that had not left the site is another matter.
    let mut lists = without(of(9, 0));
    let not_sent = report(&signed, &lists, 0);
    assert_eq!(not_sent.what_is_wrong(), None);
    says(&not_sent, "1 recordings from 2025-11-23T04:01:00Z to 2025-11-23T04:01:00Z had not left the site");
    says(&not_sent, "it has them no more");
    lists.site_unreachable = true;
    says(&report(&signed, &lists, 0), "it does not answer now");
    // What is not of the time that is checked is not looked for.
    assert_eq!(report(&signed, &without(of(3, 1)), 4).what_is_wrong(), None);
}

#[test]
fn what_was_given_up_at_the_site_is_told_as_a_gap_and_not_missing() {
    let mut hours = chain(0..10);
    let mut listed_first = hours[4].recordings[0].clone();
    listed_first.stored = false;
    hours[4].recordings = vec![listed_first.clone()];
    let mut later = next(&hours, 4);
    later.recordings.clear();
    let end = listed_first.started_at.plus_ms(listed_first.duration_ms);
    later.gaps = vec![HourGap { from: listed_first.started_at, to: end, ..gap(4, 1, GapReason::DiskFull) }];
    // The chain is not what is looked at here.
    let mut lists = listed(hours.iter().chain([&later]));
    lists.recordings.remove(&(listed_first.rendition, listed_first.id, listed_first.root));
    let signed = taken([&hours[4], &later]);
    let said = report(&signed, &lists, 0);
    assert_eq!(said.what_is_wrong(), None);
    says(&said, "1 recordings are gone at the site before they left it");
    // The cloud's word for the gap is not enough.
    says(&report(&taken([&hours[4]]), &lists, 0), "1 recordings from");
    // What the store had is not given up.
    hours[4].recordings[0].stored = true;
    assert_eq!(wrong(&report(&taken([&hours[4], &later]), &lists, 0)), "1 recordings missing");
}

#[test]
fn a_gap_that_the_cloud_hides_or_changes_is_noticed() {
    let mut hours = chain(0..1);
    hours[0].gaps = vec![gap(0, 10, GapReason::DiskFull)];
    let signed = taken(&hours);
    let judged = |change: &dyn Fn(&mut Gap)| {
        let mut lists = listed(&hours);
        change(&mut lists.gaps[0]);
        report(&signed, &lists, 0).what_is_wrong()
    };
    let missing = Some("1 gaps missing".to_owned());
    assert_eq!(judged(&|_| {}), None);
    assert_eq!(judged(&|gap| gap.to = gap.to.plus_ms(1)), None, "it went on");
    assert_eq!(judged(&|gap| gap.to = gap.to.minus_ms(1)), missing);
    assert_eq!(judged(&|gap| gap.from = gap.from.plus_ms(1)), missing);
    assert_eq!(judged(&|gap| gap.reason = GapReason::Disabled), None, "told again, for another reason");
    assert_eq!(judged(&|gap| gap.rendition = Rendition::Sub), missing);
    let hidden = report(&signed, &Lists { gaps: Vec::new(), ..listed(&hours) }, 0);
    says(&hidden, "MISSING  gap  main  2025-11-22T19:00:00Z to 2025-11-22T19:10:00Z: disk full");
}

#[test]
fn an_index_that_is_kept_back_leaves_a_hole() {
    let hours = chain(0..10);
    let lists = listed(&hours);
    let mut signed = taken(hours.iter().filter(|hour| hour.number != 6));
    assert_eq!(signed.wanted(at(0)), Some(hash(&hours[6])));
    signed.answered(hash(&hours[6]), None, &roster());
    assert_eq!(signed.wanted(at(0)), None);
    let hole = report(&signed, &lists, 0);
    assert_eq!(wrong(&hole), "1 breaks in the chain of indexes");
    says(&hole, &format!("MISSING  index 6 of {}, {}: index 7,", gateway(), hash(&hours[6])));
    says(&hole, "without an index: 2025-11-23T01:00:00Z to 2025-11-23T02:00:00Z");
    // Another index in its place does not fill it.
    let mut signed = taken(hours.iter().filter(|hour| hour.number != 6));
    signed.answered(hash(&hours[6]), Some(&hours[5].sign(&key())), &roster());
    assert_eq!(wrong(&report(&signed, &lists, 0)), "1 breaks in the chain of indexes");
    // The first of the time that is checked name what was before them.
    let mut signed = taken(&hours[5..]);
    assert_eq!(signed.wanted(at(2)), Some(hash(&hours[4])));
    for hour in hours[1..5].iter().rev() {
        assert_eq!(signed.wanted(at(2)), Some(hash(hour)));
        signed.answered(hash(hour), Some(&hour.sign(&key())), &roster());
    }
    assert_eq!(signed.wanted(at(2)), None, "what is before that time is not asked for");
    assert_eq!(report(&signed, &lists, 2).what_is_wrong(), None);
}

#[test]
fn what_came_later_stands_elsewhere_in_the_chain() {
    // A gap of hour 1 rested for a while: it is signed for after hour 6. So is one of hour 8.
    let hours = chain([0, 1, 2, 3, 4, 5, 6, 1, 7, 8, 2, 9]);
    let in_time = |hour: &&Hour| hour.hour >= at(5);
    let mut signed = taken(hours.iter().filter(in_time));
    let mut asked = Vec::new();
    while let Some(wanted) = signed.wanted(at(5)) {
        let found = hours.iter().find(|hour| hash(hour) == wanted).unwrap();
        asked.push(found.number);
        signed.answered(wanted, Some(&found.sign(&key())), &roster());
    }
    asked.sort();
    assert_eq!(asked, [4, 7, 10]);
    assert_eq!(report(&signed, &listed(&hours), 5).what_is_wrong(), None);
}

#[test]
fn an_altered_index_is_refused() {
    let (hours, roster) = (chain(0..2), roster());
    let genuine = hours[0].sign(&key());
    let stranger = hours[0].sign(&SigningKey::from_seed([13; 32]));
    let mut altered = hours[0].clone();
    altered.recordings.pop();
    let altered = Envelope { payload: altered.sign(&key()).payload, ..genuine.clone() };
    let elsewhere = Hour { camera: CameraId::from_random([14; 16]), ..hours[0].clone() }.sign(&key());
    let unknown = Hour { gateway: GatewayId::from_random([15; 16]), ..hours[0].clone() }.sign(&key());
    let other = Hour { org: OrgId::from_random([16; 16]), ..hours[0].clone() }.sign(&key());
    for envelope in [stranger, altered, elsewhere, unknown, other] {
        let mut signed = taken(&hours[1..]);
        signed.take(&envelope, &roster);
        assert_eq!(wrong(&report(&signed, &listed(&hours), 1)), "1 indexes refused", "{envelope:?}");
        says(&report(&signed, &listed(&hours), 1), "REFUSED  ");
        // In answer to the chain it is a hole, too.
        signed.answered(hash(&hours[0]), Some(&envelope), &roster);
        let twice = wrong(&report(&signed, &listed(&hours), 1));
        assert_eq!(twice, "1 breaks in the chain of indexes, 2 indexes refused");
    }
    let mut signed = taken(&hours);
    signed.lost(vec!["a/name\u{1b}[2J".to_owned()]);
    says(&report(&signed, &listed(&hours), 0), "MISSING  index a/name[2J: the cloud says");
    assert_eq!(wrong(&report(&signed, &listed(&hours), 0)), "1 indexes lost by the store");
}

#[test]
fn an_index_that_does_not_follow_what_it_names_is_refused() {
    let mut hours = chain(0..3);
    hours[2].number = 7;
    let broken = report(&taken(&hours), &listed(&hours), 0);
    assert_eq!(wrong(&broken), "1 breaks in the chain of indexes");
    says(&broken, "REFUSED  index 7 of");
}

#[test]
fn a_new_chain_is_allowed_and_said() {
    let old = chain(0..8);
    let mut new = chain([3, 4, 8, 9]);
    new.iter_mut().for_each(|hour| hour.made_at = at(23));
    for n in 1..new.len() {
        new[n].previous = Some(hash(&new[n - 1]));
    }
    let signed = taken(old.iter().chain(&new));
    assert_eq!(signed.wanted(at(0)), None);
    let said = report(&signed, &listed(old.iter().chain(&new)), 0);
    assert_eq!(said.what_is_wrong(), None);
    says(&said, "20 recordings and 0 gaps are signed for.");
    says(&said, "began a new chain at 2025-11-23T18:00:00Z");
    // Its first are of other hours, and smaller: nothing leads from the old chain to them.
    let mut signed = taken(old[6..].iter().chain(&new[2..]));
    for hour in [&old[5], &new[1]] {
        signed.answered(hash(hour), Some(&hour.sign(&key())), &roster());
    }
    assert_eq!(signed.wanted(at(6)), None);
}

#[test]
fn what_a_gateway_signed_that_was_shut_out_since_is_not_checked_and_that_is_said() {
    let hours = chain(0..10);
    let mut roster = roster();
    state(&mut roster, Statement::RevokeGateway { gateway: gateway() });
    let mut signed = Signed::of(camera());
    hours.iter().for_each(|hour| signed.take(&hour.sign(&key()), &roster));
    let said = report(&signed, &Lists::default(), 0);
    assert_eq!(said.what_is_wrong(), None);
    says(&said, "10 indexes are of gateways that were shut out.");
    says(&said, "No index is shown.");
}

#[test]
fn hours_without_an_index_are_named_but_for_young_ones_and_gaps() {
    let mut hours = chain([0, 1, 6]);
    hours[1].gaps = vec![gap(1, 3 * 60, GapReason::Restarted)];
    let (signed, lists) = (taken(&hours), listed(&hours));
    let said = report(&signed, &lists, 0);
    assert_eq!(said.what_is_wrong(), None);
    // Hours 2 and 3 are within the gap.
    says(
        &said,
        "without an index: 2025-11-22T23:00:00Z to 2025-11-23T01:00:00Z\nwithout an index: 2025-11-23T02:00:00Z",
    );
    let young = judge(&signed, &lists, (at(6), at(9)), at(8).plus_ms(29 * Timestamp::MINUTE));
    assert!(!young.in_words().join("\n").contains("without an index"));
    let old = judge(&signed, &lists, (at(6), at(9)), at(8).plus_ms(30 * Timestamp::MINUTE));
    says(&old, "without an index: 2025-11-23T02:00:00Z to 2025-11-23T03:00:00Z");
}
