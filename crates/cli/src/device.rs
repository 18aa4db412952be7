//! `lenskeep device` and `lenskeep gateway`: the first run without a browser.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::wire::{Envelope, GatewayKeys};
use model::{DeviceId, GatewayId, Hash, OrgId, PersonId, Secret, Timestamp};
use seal::enrolment;
use seal::envelope::PayloadType;
use seal::keyring::DeviceKeys;
use seal::roster::{
    Administrators, Device, DeviceKind, Gateway, Payload, Recovery, Roster, Statement, statement_hash,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::client::{Client, Refused, Session, Stated, now, random};
use crate::home::{DeviceFile, Home, new_passphrase};
use crate::orders::Waits;
use crate::text::printable;
use crate::times;

/// A device lives this long without renewal.
pub(crate) const DEVICE_DAYS: u64 = 90;
/// The gateway of the same box comes at once.
const GATEWAY_WAIT: Duration = Duration::from_secs(30);
/// An enrolment ends after a day.
const CODE_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Holds the secret of a code until its gateway is taken in.
const ENROLLING: &str = "enrolling.json";

/// The parts of `http://localhost:8470/setup#token=…&gateway=…`.
struct SetupLink {
    cloud: Url,
    token: Secret,
    gateway: Option<enrolment::Secret>,
}

impl SetupLink {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let usage = "the link looks like http://localhost:8470/setup#token=…; copy it whole, and quote it";
        let mut url = Url::parse(text.trim()).context(usage)?;
        let fragment = Zeroizing::new(url.fragment().context(usage)?.to_owned());
        let part = |name| fragment_part(&fragment, name);
        let token = Secret::new(part("token").context(usage)?);
        let gateway = part("gateway").map(|hex| secret_from_hex(hex).context(usage)).transpose()?;
        url.set_fragment(None);
        url.set_path("/");
        Ok(SetupLink { cloud: url, token, gateway })
    }
}

/// Of `name=value&…`, as links carry it.
pub(crate) fn fragment_part<'f>(fragment: &'f str, name: &str) -> Option<&'f str> {
    let mut parts = fragment.split('&').filter_map(|part| part.split_once('='));
    parts.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn secret_from_hex(text: &str) -> Option<enrolment::Secret> {
    let mut bytes = Zeroizing::new([0; 16]);
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(enrolment::Secret::from_bytes(*bytes))
}

/// Makes the organisation, its first administrator and this device, and takes
/// the gateway of the same box in.
pub(crate) async fn set_up(
    home: &Home,
    link: &str,
    org_name: String,
    person_name: String,
) -> anyhow::Result<()> {
    home.ensure_free()?;
    let link = SetupLink::parse(link)?;
    let passphrase = new_passphrase()?;
    let keys = DeviceKeys::from_seeds(random(), random());
    let entropy = Zeroizing::new(random::<32>());
    let paper = DeviceKeys::from_recovery(&entropy);

    let (org, person) = (OrgId::from_random(random()), PersonId::from_random(random()));
    let device = DeviceId::from_random(random());
    let at = now();
    let genesis = Payload {
        org,
        seq: 0,
        previous: None,
        at,
        statement: Statement::Genesis {
            name: org_name,
            device: Device {
                id: device,
                person,
                name: "Command line".to_owned(),
                kind: DeviceKind::Cli,
                kem: keys.kem.public().to_base64(),
                sign: keys.sign.verifying_key().to_base64(),
                until: at.plus_ms(DEVICE_DAYS * Timestamp::DAY),
            },
            recovery: Recovery {
                id: DeviceId::from_random(random()),
                kem: paper.kem.public().to_base64(),
                sign: paper.sign.verifying_key().to_base64(),
            },
            administrators: Administrators { k: 1, devices: [device].into() },
        },
    };
    let envelope =
        seal::envelope::sign(PayloadType::Roster, seal::to_canonical(&genesis), &device, &keys.sign);
    let roster = Roster::from_genesis(&envelope, at)?;
    let wrapped = seal::keyring::wrap(&keys, passphrase.expose(), random());
    let file =
        DeviceFile { cloud: link.cloud.clone(), org, person, device, anchor: roster.anchor(), keys: wrapped };
    // Kept before the cloud hears of it: a crash in between costs a link, not
    // an organisation.
    home.create_device(&file)?;
    home.append_roster(std::slice::from_ref(&envelope), at)?;
    let mut client = Client::new(link.cloud)?;
    let body = json!({
        "token": link.token, "person": person, "person_name": person_name, "genesis": envelope, "passkey": null,
    });
    if let Err(error) = client.sign_in("/api/v1/setup", &body).await {
        home.remove_device()?;
        return Err(error);
    }
    println!("Organisation {org} is set up. This device: {device}");
    print_recovery_sheet(&entropy)?;
    println!("Write this beside the words, by which a new device knows the organisation again:");
    println!("  {}\n", grouped(&roster.anchor().to_string()));
    let mut session = Session::new(client, file, keys, roster, home);
    if let Some(secret) = link.gateway {
        match take_gateway_in(&mut session, &secret, GATEWAY_WAIT).await? {
            Taken::In(gateway) => println!("Gateway {} ({}) is taken in.", gateway.name, gateway.id),
            Taken::Waits(waits) => println!("{waits}"),
        }
    }
    Ok(())
}

fn print_recovery_sheet(entropy: &[u8; 32]) -> anyhow::Result<()> {
    let words = bip39::Mnemonic::from_entropy(entropy).context("recovery words")?;
    println!(
        "\nRecovery sheet. Write these 24 words on paper and keep them in a safe; they are not shown again."
    );
    println!("If every device is lost, they are the only way to let a new one in.\n");
    let words: Vec<&str> = words.words().collect();
    for (row, four) in words.chunks(4).enumerate() {
        let numbered = four.iter().enumerate().map(|(n, word)| format!("{:>2} {word:<10}", row * 4 + n + 1));
        println!("  {}", numbered.collect::<String>().trim_end());
    }
    println!();
    Ok(())
}

pub(crate) fn list(roster: &Roster) {
    let administrators = &roster.state().administrators.devices;
    for device in roster.state().devices.values() {
        let name = printable(&device.name);
        let administrator = if administrators.contains(&device.id) { ", administrator" } else { "" };
        let until = times::format(device.until);
        let state = if device.until < now() { "ended" } else { "until" };
        println!("{}  {name}  of {}, {state} {until}{administrator}", device.id, device.person);
        println!("  {}", fingerprint(device));
    }
    let ended = roster.state().devices.values().filter(|device| device.until < now()).count();
    if ended > 0 {
        println!(
            "{ended} ended: they open and sign nothing until an administrator runs `lenskeep device renew ID`."
        );
    }
    let (seq, head) = roster.head();
    println!("The roster's newest statement is number {seq}: {head}");
}

pub(crate) fn list_gateways(roster: &Roster) {
    for gateway in roster.state().gateways.values() {
        println!("{}", gateway_in_words(gateway));
    }
}

/// With the key by which others verify what it signed.
pub(crate) fn gateway_in_words(gateway: &Gateway) -> String {
    let key = STANDARD.encode(&gateway.sign.0);
    format!("{}  {}  key {key}", gateway.id, printable(&gateway.name))
}

pub(crate) async fn renew(session: &mut Session, device: Option<DeviceId>) -> anyhow::Result<()> {
    let device = device.unwrap_or(session.device());
    in_roster(&session.roster, device)?;
    let until = now().plus_ms(DEVICE_DAYS * Timestamp::DAY);
    session.state(Statement::RenewDevice { device, until }).await?;
    println!("{device} is renewed until {}", times::format(until));
    Ok(())
}

fn in_roster(roster: &Roster, device: DeviceId) -> anyhow::Result<&Device> {
    if roster.state().revoked_devices.contains(&device) {
        bail!("{device} was shut out; its owner makes a new one: `lenskeep device add`");
    }
    roster
        .device(device)
        .with_context(|| format!("{device} is not in the roster; see `lenskeep device list`"))
}

/// Shuts a device out. What it opened before stays open to it.
pub(crate) async fn revoke(session: &mut Session, device: DeviceId, force: bool) -> anyhow::Result<()> {
    in_roster(&session.roster, device)?;
    revoke_each(session, &[device].into(), force).await?;
    println!("{device} is shut out: it gets no key of what is recorded from now on, and is signed out.");
    Ok(())
}

pub(crate) async fn revoke_each(
    session: &mut Session,
    devices: &BTreeSet<DeviceId>,
    force: bool,
) -> anyhow::Result<()> {
    let Administrators { k, devices: administering } = &session.roster.state().administrators;
    let people = |of: &mut dyn Iterator<Item = &DeviceId>| {
        let owners = of.filter_map(|id| session.roster.device(*id)).map(|device| device.person);
        owners.collect::<BTreeSet<PersonId>>().len()
    };
    let remain = people(&mut administering.iter().filter(|id| !devices.contains(id)));
    ensure!(
        remain > 0,
        "no administrator would remain, and only the recovery sheet could let somebody in: make somebody else \
         an administrator first, on the page Devices"
    );
    let concerned = administering.iter().any(|id| devices.contains(id));
    ensure!(
        force || !concerned || remain >= *k as usize,
        "then {remain} administrators remain where {k} must agree: nobody could be let in any more. If a device is \
         in wrong hands, run `lenskeep device revoke --force` with its id"
    );
    for device in devices {
        session.state(Statement::RevokeDevice { device: *device }).await?;
    }
    Ok(())
}

/// Why the cloud lets a device in no more, as far as the roster that it saw
/// last says.
pub(crate) fn why_not_in_force(roster: &Roster, device: DeviceId, now: Timestamp) -> Option<String> {
    if roster.state().revoked_devices.contains(&device) {
        return Some(
            "this device was shut out, and stays so: join again with a new folder (--home DIR) and a new link of an \
             administrator"
                .to_owned(),
        );
    }
    let waits = roster.pending().map(|(_, effective_at)| effective_at).max();
    if let Some(effective_at) = waits.filter(|_| roster.device(device).is_none()) {
        return Some(format!(
            "the recovery sheet lets this device in on {}, unless an administrator objects until then",
            times::format(effective_at)
        ));
    }
    let known = roster.device(device).filter(|known| known.until < now)?;
    Some(format!(
        "this device ended on {}. An administrator whose device has not ended renews it, on the page Devices or by \
         `lenskeep device renew {device}`; nothing is lost meanwhile. If no administrator's device is left, the \
         recovery sheet lets a new one in",
        times::format(known.until)
    ))
}

/// What people compare where there is no code: 80 bits of SHA-256 over both
/// public keys, in groups, as the web app shows them.
pub(crate) fn fingerprint(device: &Device) -> String {
    grouped(&seal::sha256(&[device.kem.0.as_slice(), &device.sign.0].concat()).to_string())
}

/// The first 80 bits of a digest, for people.
pub(crate) fn grouped(digest: &str) -> String {
    let groups: Vec<&str> = (0..20).step_by(4).map(|at| &digest[at..at + 4]).collect();
    groups.join(" ")
}

/// Makes the code for a gateway on another machine and waits until it comes.
/// Whoever was interrupted, or had to wait for others, goes on with the same
/// code: the gateway waits with it.
pub(crate) async fn add_gateway(session: &mut Session) -> anyhow::Result<()> {
    let status: Status = session.client.get("/api/v1/status").await?;
    let secret = kept_secret(&session.home)?;
    let code =
        enrolment::Code { secret: secret.clone(), ca: status.ca_sha256, anchor: session.roster.anchor() };
    println!("{}", code.to_text().as_str());
    eprintln!(
        "Give this code to: lenskeep-gateway enrol --cloud https://HOST:{}\nWaiting for the gateway …",
        status.gateway_port
    );
    match take_gateway_in(session, &secret, CODE_WAIT).await? {
        Taken::In(gateway) => {
            session.home.remove_private(ENROLLING)?;
            eprintln!("Gateway {} ({}) is taken in.", gateway.name, gateway.id);
        }
        Taken::Waits(waits) => eprintln!("{waits}\nAfterwards run this command again for what is left."),
    }
    Ok(())
}

/// The secret of the code that was printed within the last day, or a new one.
fn kept_secret(home: &Home) -> anyhow::Result<enrolment::Secret> {
    if let Some(bytes) = home.read_private(ENROLLING)?
        && let Ok(kept) = serde_json::from_slice::<Enrolling>(&bytes)
        && now() < kept.made_at.plus_ms(CODE_WAIT.as_millis() as u64)
        && let Some(secret) = secret_from_hex(kept.secret.expose())
    {
        return Ok(secret);
    }
    let secret = enrolment::Secret::from_bytes(random());
    let hex: String = secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = Enrolling { secret: Secret::new(hex), made_at: now() };
    home.write_private(ENROLLING, &Zeroizing::new(serde_json::to_vec(&kept)?))?;
    Ok(secret)
}

#[derive(Serialize, Deserialize)]
struct Enrolling {
    secret: Secret,
    made_at: Timestamp,
}

enum Taken {
    In(GatewayKeys),
    Waits(Waits),
}

#[derive(Deserialize)]
struct Status {
    gateway_port: u16,
    ca_sha256: Hash,
}

#[derive(Deserialize)]
struct Announced {
    gateway: GatewayKeys,
    mac: Hash,
}

/// Protocol.md section 1, the device's side.
async fn take_gateway_in(
    session: &mut Session,
    secret: &enrolment::Secret,
    patience: Duration,
) -> anyhow::Result<Taken> {
    let lookup = secret.lookup();
    let path = format!("/api/v1/enrolments/{lookup}");
    let begun = tokio::time::Instant::now();
    let announced: Announced = loop {
        match session.client.get(&path).await {
            Ok(announced) => break announced,
            Err(error)
                if error.downcast_ref::<Refused>().is_some_and(|r| r.status == 404)
                    && begun.elapsed() < patience =>
            {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error).context("the gateway has not announced itself"),
        }
    };
    let Announced { gateway, mac } = announced;
    if !secret.gateway_mac_fits(&gateway, mac) {
        bail!("the gateway's keys were not made with this link's secret: somebody is in between");
    }
    let added = match session.roster.gateway(gateway.id) {
        Some(known) => {
            ensure!(*known == gateway, "the roster has another gateway under this id: do not go on");
            statement_of(&session.home, gateway.id)?
        }
        None => match session.stated(Statement::AddGateway { gateway: gateway.clone() }).await? {
            Stated::InForce(statement) => statement_hash(&statement)?,
            Stated::Waits(waits) => return Ok(Taken::Waits(waits)),
        },
    };
    let mac = secret.accept_mac(session.roster.anchor(), added);
    session.client.post(&format!("{path}/accept"), &json!({ "mac": mac })).await?;
    Ok(Taken::In(gateway))
}

/// Hash of the statement that added a gateway, which it is shown as proof.
fn statement_of(home: &Home, gateway: GatewayId) -> anyhow::Result<Hash> {
    let adds = |envelope: &Envelope| {
        let payload: Payload = seal::from_canonical(&envelope.payload.0).ok()?;
        let added =
            matches!(payload.statement, Statement::AddGateway { gateway: keys } if keys.id == gateway);
        added.then(|| statement_hash(envelope).ok()).flatten()
    };
    home.statements()?.iter().find_map(adds).context("the roster's log does not say when the gateway came")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_ended_or_was_shut_out_is_told_what_to_do() {
        let at = now();
        let keys = DeviceKeys::from_seeds(random(), random());
        let paper = DeviceKeys::from_seeds(random(), random());
        let id = DeviceId::from_random(random());
        let until = at.plus_ms(Timestamp::DAY);
        let device = Device {
            id,
            person: PersonId::from_random(random()),
            name: "Office".to_owned(),
            kind: DeviceKind::Cli,
            kem: keys.kem.public().to_base64(),
            sign: keys.sign.verifying_key().to_base64(),
            until,
        };
        let recovery = Recovery {
            id: DeviceId::from_random(random()),
            kem: paper.kem.public().to_base64(),
            sign: paper.sign.verifying_key().to_base64(),
        };
        let administrators = Administrators { k: 1, devices: [id].into() };
        let name = "Home".to_owned();
        let statement = Statement::Genesis { name, device, recovery, administrators };
        let org = OrgId::from_random(random());
        let genesis = seal::to_canonical(&Payload { org, seq: 0, previous: None, at, statement });
        let genesis = seal::envelope::sign(PayloadType::Roster, genesis, &id, &keys.sign);
        let mut roster = Roster::from_genesis(&genesis, at).unwrap();
        assert_eq!(why_not_in_force(&roster, id, until), None);
        let ended = why_not_in_force(&roster, id, until.plus_ms(1)).unwrap();
        assert!(
            ended.contains("ended on") && ended.contains(&format!("lenskeep device renew {id}")),
            "{ended}"
        );
        let statement = Statement::RevokeDevice { device: id };
        let revoke = seal::roster::sign_next(&roster, at, statement, id, &keys.sign);
        roster.apply(&revoke, at).unwrap();
        assert!(why_not_in_force(&roster, id, at).unwrap().contains("shut out"));
    }

    #[test]
    fn the_link_comes_apart() {
        let link = SetupLink::parse(
            "http://localhost:8470/setup#token=abc&gateway=000102030405060708090a0b0c0d0e0f",
        );
        let link = link.unwrap();
        assert_eq!((link.cloud.as_str(), link.token.expose()), ("http://localhost:8470/", "abc"));
        assert_eq!(link.gateway.unwrap().expose()[15], 15);
        for bad in ["localhost", "http://localhost/setup", "http://localhost/setup#token=a&gateway=zz"] {
            assert!(SetupLink::parse(bad).is_err(), "{bad}");
        }
    }
}
