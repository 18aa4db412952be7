//! How fast a roster replays (docs/performance.md): 20 000 statements of an
//! organisation that renews its devices.
//! `cargo run -p seal --example roster_speed [STATEMENTS]`

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]

use std::collections::BTreeSet;
use std::time::Instant;

use model::{DeviceId, OrgId, PersonId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::roster::{Administrators, Device, DeviceKind, Payload, Recovery, Roster, Statement, sign_next};

const STATEMENTS: usize = 20_000;
const DEVICES: u16 = 1_000;
const T0: Timestamp = Timestamp(1_763_836_800_000);

fn device(n: u16, keys: &DeviceKeys) -> Device {
    let id: Vec<u8> = n.to_be_bytes().repeat(8);
    let id: [u8; 16] = id.try_into().expect("8 times 2 bytes");
    Device {
        id: DeviceId::from_random(id),
        person: PersonId::from_random(id),
        name: format!("Device {n}"),
        kind: DeviceKind::Browser,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: T0.plus_ms(80 * Timestamp::DAY),
    }
}

fn main() {
    let statements = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(STATEMENTS);
    let keys = DeviceKeys::from_seeds([1; 32], [2; 32]);
    let first = device(0, &keys);
    let payload = Payload {
        org: OrgId::from_random([3; 16]),
        seq: 0,
        previous: None,
        at: T0,
        statement: Statement::Genesis {
            name: "Figures".to_owned(),
            recovery: Recovery {
                id: DeviceId::from_random([0xff; 16]),
                kem: first.kem.clone(),
                sign: first.sign.clone(),
            },
            administrators: Administrators { k: 1, devices: BTreeSet::from([first.id]) },
            device: first.clone(),
        },
    };
    let genesis = envelope::sign(PayloadType::Roster, seal::to_canonical(&payload), &first.id, &keys.sign);
    let mut roster = Roster::from_genesis(&genesis, T0).expect("a good genesis");
    let mut log = vec![genesis];
    for n in 1..statements {
        let device = device((n % usize::from(DEVICES)) as u16, &keys);
        let statement = if n < usize::from(DEVICES) {
            Statement::AddDevice { device }
        } else {
            Statement::RenewDevice { device: device.id, until: device.until }
        };
        let envelope = sign_next(&roster, T0, statement, first.id, &keys.sign);
        roster.apply(&envelope, T0).expect("a good statement");
        log.push(envelope);
    }
    let begun = Instant::now();
    let replayed = Roster::replay(log.iter().map(|envelope| (envelope, T0))).expect("what was just written");
    let whole = begun.elapsed();
    assert_eq!(replayed.head(), roster.head());
    // What nobody can do without: one signature for each statement.
    let message = [7; 700];
    let signature = keys.sign.sign(&message);
    let begun = Instant::now();
    for _ in 0..log.len() {
        assert!(keys.sign.verifying_key().verify(&message, &signature));
    }
    let signatures = begun.elapsed();
    println!(
        "{} statements of {DEVICES} devices: replayed in {:.2} s, {:.0}/s; their signatures alone take {:.2} s: ratio {:.1}",
        log.len(),
        whole.as_secs_f64(),
        log.len() as f64 / whole.as_secs_f64(),
        signatures.as_secs_f64(),
        whole.as_secs_f64() / signatures.as_secs_f64(),
    );
}
