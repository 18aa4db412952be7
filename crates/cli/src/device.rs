//! `lenskeep device` and `lenskeep gateway`: the first run without a browser.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use model::wire::{Envelope, GatewayKeys};
use model::{DeviceId, Hash, OrgId, PersonId, Secret, Timestamp};
use seal::enrolment;
use seal::envelope::PayloadType;
use seal::keyring::DeviceKeys;
use seal::roster::{
    Administrators, Device, DeviceKind, Payload, Recovery, Roster, Statement, statement_hash,
};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::client::{Client, Refused, Session, now, random};
use crate::home::{DeviceFile, Home, new_passphrase};
use crate::times;

/// A device lives this long without renewal.
pub(crate) const DEVICE_DAYS: u64 = 90;
/// The gateway of the same box comes at once.
const GATEWAY_WAIT: Duration = Duration::from_secs(30);
/// An enrolment ends after a day.
const CODE_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

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
    ensure!(
        !home.has_device(),
        "{} holds a device already; give --home DIR for another",
        home.path().display()
    );
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
        let gateway = take_gateway_in(&mut session, &secret, GATEWAY_WAIT).await?;
        println!("Gateway {} ({}) is taken in.", gateway.name, gateway.id);
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
        let name: String = device.name.chars().filter(|c| !c.is_control()).collect();
        let administrator = if administrators.contains(&device.id) { ", administrator" } else { "" };
        let until = times::format(device.until);
        println!("{}  {name}  of {}, until {until}{administrator}", device.id, device.person);
        println!("  {}", fingerprint(device));
    }
    let (seq, head) = roster.head();
    println!("The roster's newest statement is number {seq}: {head}");
}

pub(crate) async fn renew(session: &mut Session, device: Option<DeviceId>) -> anyhow::Result<()> {
    let device = device.unwrap_or(session.device());
    ensure!(session.roster.device(device).is_some(), "{device} is not in the roster");
    let until = now().plus_ms(DEVICE_DAYS * Timestamp::DAY);
    session.state(Statement::RenewDevice { device, until }).await?;
    println!("{device} is renewed until {}", times::format(until));
    Ok(())
}

/// What people compare where there is no code: 80 bits of SHA-256 over both
/// public keys, in groups, as the web app shows them.
pub(crate) fn fingerprint(device: &Device) -> String {
    grouped(&seal::sha256(&[device.kem.0.as_slice(), &device.sign.0].concat()).to_string())
}

/// The first 80 bits of a digest, for people.
fn grouped(digest: &str) -> String {
    let groups: Vec<&str> = (0..20).step_by(4).map(|at| &digest[at..at + 4]).collect();
    groups.join(" ")
}

/// Makes the code for a gateway on another machine and waits until it comes.
pub(crate) async fn add_gateway(session: &mut Session) -> anyhow::Result<()> {
    let status: Status = session.client.get("/api/v1/status").await?;
    let secret = enrolment::Secret::from_bytes(random());
    let code =
        enrolment::Code { secret: secret.clone(), ca: status.ca_sha256, anchor: session.roster.anchor() };
    println!("{}", code.to_text().as_str());
    eprintln!(
        "Give this code to: lenskeep-gateway enrol --cloud https://HOST:{}\nWaiting for the gateway …",
        status.gateway_port
    );
    let gateway = take_gateway_in(session, &secret, CODE_WAIT).await?;
    eprintln!("Gateway {} ({}) is taken in.", gateway.name, gateway.id);
    Ok(())
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
) -> anyhow::Result<GatewayKeys> {
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
    let statement: Envelope = session.state(Statement::AddGateway { gateway: gateway.clone() }).await?;
    let mac = secret.accept_mac(session.roster.anchor(), statement_hash(&statement)?);
    session.client.post(&format!("{path}/accept"), &json!({ "mac": mac })).await?;
    Ok(gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

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
