//! `lenskeep device add` and `device join`: a further device by a link, with a
//! short code that people compare (protocol.md section 1.1).

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use model::{DeviceId, Hash, OrgId, PersonId, Secret, Timestamp};
use seal::keyring::DeviceKeys;
use seal::pairing::{Nonce, Pairing};
use seal::roster::{Device, DeviceKind, Statement};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::client::{Client, Refused, Session, now, random};
use crate::device::{DEVICE_DAYS, fingerprint, fragment_part};
use crate::home::{DeviceFile, Home, new_passphrase};
use crate::text::printable;
use crate::times;

/// As long as the link is good.
const WAIT: Duration = Duration::from_secs(60 * 60);
/// As long as an invitation is good.
pub(crate) const INVITATION_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
const POLL: Duration = Duration::from_secs(1);

/// The parts of `https://cloud/device#org=…&person=…&token=…&anchor=…&pairing=…`.
struct DeviceLink {
    cloud: Url,
    org: OrgId,
    person: PersonId,
    token: Secret,
    anchor: Hash,
    pairing: Pairing,
}

impl DeviceLink {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let usage = "the link looks like https://CLOUD/device#org=…&person=…&token=…&anchor=…&pairing=…: make it \
                     on the page Devices, for a command line; copy it whole, and quote it";
        let mut cloud = Url::parse(text.trim()).context(usage)?;
        let fragment = Zeroizing::new(cloud.fragment().context(usage)?.to_owned());
        let part = |name| fragment_part(&fragment, name).context(usage);
        let link = DeviceLink {
            org: part("org")?.parse().context(usage)?,
            person: part("person")?.parse().context(usage)?,
            token: Secret::new(part("token")?),
            anchor: part("anchor")?.parse().context(usage)?,
            pairing: Pairing::parse(part("pairing")?).context(usage)?,
            cloud: {
                cloud.set_fragment(None);
                cloud.set_path("/");
                cloud
            },
        };
        Ok(link)
    }

    fn of(session: &Session, person: PersonId, token: &str, pairing: &Pairing) -> Zeroizing<String> {
        let (org, anchor) = (session.roster.org(), session.roster.anchor());
        let cloud = session.file.cloud.origin().ascii_serialization();
        let pairing = pairing.to_text();
        Zeroizing::new(format!(
            "{cloud}/device#org={org}&person={person}&token={token}&anchor={anchor}&pairing={}",
            pairing.as_str()
        ))
    }
}

#[derive(Deserialize)]
struct Asked {
    nonce: Option<Hash>,
}

/// Makes this device, asks to be let in, and waits for it.
pub(crate) async fn join(home: &Home, link: &str, name: String) -> anyhow::Result<()> {
    home.ensure_free()?;
    let DeviceLink { cloud, org, person, token, anchor, pairing } = DeviceLink::parse(link)?;
    let passphrase = new_passphrase()?;
    let keys = DeviceKeys::from_seeds(random(), random());
    let device = Device {
        id: DeviceId::from_random(random()),
        person,
        name,
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: now().plus_ms(DEVICE_DAYS * Timestamp::DAY),
    };
    let wrapped = seal::keyring::wrap(&keys, passphrase.expose(), random());
    let file = DeviceFile { cloud: cloud.clone(), org, person, device: device.id, anchor, keys: wrapped };
    // Kept before the cloud hears of it: who is let in later has lost nothing.
    home.create_device(&file)?;
    let client = Client::new(cloud)?;
    let proof = json!({ "lookup": pairing.lookup(), "mac": pairing.mac(anchor, &device) });
    let request = json!({ "device": device, "token": token, "pairing": proof });
    if let Err(error) = client.post("/api/v1/device-requests", &request).await {
        // Whoever may have been heard keeps the keys: they may be let in yet.
        if refused_with(&error, |status| (400..500).contains(&status) && status != 429) {
            home.remove_device()?;
        }
        return Err(error);
    }
    eprintln!("Waiting for an administrator to see this device …");
    eprintln!("Its fingerprint, where no code is shown: {}", fingerprint(&device));
    compared(&client, &pairing, anchor, &device).await?;
    match Session::signed_in(home, file, keys).await {
        Ok(session) => {
            println!("{} is let in at {}.", session.device(), session.roster.name());
            Ok(())
        }
        Err(error) if refused_with(&error, |status| status == 401) => {
            home.remove_device()?;
            bail!("the device was turned away; make a new link and try again")
        }
        // Let in, and the network is gone: the device is kept.
        Err(error) => Err(error),
    }
}

pub(crate) fn refused_with(error: &anyhow::Error, is: impl Fn(u16) -> bool) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| is(refused.status))
}

/// Shows the code, and comes back when the request was dealt with.
async fn compared(client: &Client, pairing: &Pairing, anchor: Hash, device: &Device) -> anyhow::Result<()> {
    let path = format!("/api/v1/device-requests/{}", device.id);
    let begun = tokio::time::Instant::now();
    let mut shown = false;
    loop {
        match client.get::<Asked>(&path).await {
            Ok(Asked { nonce: Some(nonce) }) if !shown => {
                let nonce = Nonce(nonce);
                ensure!(
                    pairing.commits_to(nonce),
                    "the answer is not of whoever made the link: somebody is in between. Make a new link"
                );
                println!("Code: {}", nonce.code(anchor, device));
                eprintln!("It must be the same on the administrator's screen; there it is confirmed.");
                shown = true;
            }
            Ok(_) => {}
            Err(error) if refused_with(&error, |status| status == 404) => return Ok(()),
            // The cloud or the way to it is away for a while.
            Err(error) => tracing::warn!("{error:#}"),
        }
        ensure!(
            begun.elapsed() < WAIT,
            "nobody has let this device in yet. It is kept, and works as soon as somebody does; to begin again, \
             remove its folder and make a new link"
        );
        tokio::time::sleep(POLL).await;
    }
}

#[derive(Deserialize)]
struct Requests {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    device: Device,
    pairing: Option<Proof>,
}

#[derive(Deserialize)]
struct Proof {
    lookup: Hash,
    mac: Hash,
}

/// Prints a link, waits for the device that comes by it, and lets it in.
pub(crate) async fn add(session: &mut Session, person: Option<PersonId>, days: u64) -> anyhow::Result<()> {
    let person = person.unwrap_or(session.file.person);
    let answer = session.client.post("/api/v1/device-links", &json!({ "person": person })).await?;
    let token = answer["token"].as_str().context("the cloud gave no token")?;
    let nonce = Nonce(Hash(random()));
    let pairing = Pairing::new(random(), nonce);
    println!("lenskeep device join '{}'", DeviceLink::of(session, person, token, &pairing).as_str());
    eprintln!("Run this on the other machine within an hour. Waiting for the device …");
    let device = compared_device(session, &pairing, nonce, WAIT).await?;
    let_in(session, device, days).await
}

/// The device that came by the link, once its owner and this person see the
/// same code; turned away if they do not.
pub(crate) async fn compared_device(
    session: &Session,
    pairing: &Pairing,
    nonce: Nonce,
    patience: Duration,
) -> anyhow::Result<Device> {
    let device = came(session, pairing, patience).await?;
    let waits = format!("/api/v1/device-requests/{}", device.id);
    session.client.post(&format!("{waits}/nonce"), &json!({ "nonce": nonce.0 })).await?;
    println!("Code: {}", nonce.code(session.roster.anchor(), &device));
    if !yes("Does the other device show this code? [y/N] ")? {
        session.client.delete(&waits).await?;
        bail!(
            "the device was turned away. If the codes differed, somebody else knows the link: make a new one"
        );
    }
    Ok(device)
}

pub(crate) async fn let_in(session: &mut Session, mut device: Device, days: u64) -> anyhow::Result<()> {
    device.until = device.until.min(now().plus_ms(days * Timestamp::DAY));
    let (id, until) = (device.id, device.until);
    let name = printable(&device.name);
    session.state(Statement::AddDevice { device }).await?;
    println!("{id} ({name}) is let in until {}; then an administrator renews it.", times::format(until));
    Ok(())
}

async fn came(session: &Session, pairing: &Pairing, patience: Duration) -> anyhow::Result<Device> {
    let (lookup, begun) = (pairing.lookup(), tokio::time::Instant::now());
    while begun.elapsed() < patience {
        let Requests { requests } = session.client.get("/api/v1/device-requests").await?;
        let ours = |request: &Request| request.pairing.as_ref().is_some_and(|proof| proof.lookup == lookup);
        if let Some(Request { device, pairing: Some(proof) }) = requests.into_iter().find(ours) {
            ensure!(
                pairing.mac_fits(session.roster.anchor(), &device, proof.mac),
                "the device's keys were not made with this link's secret: somebody is in between"
            );
            return Ok(device);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("no device came by the link")
}

pub(crate) fn yes(question: &str) -> anyhow::Result<bool> {
    eprint!("{question}");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_comes_apart_and_half_a_link_does_not() {
        let parts = [
            format!("org={}", OrgId::from_random([1; 16])),
            format!("person={}", PersonId::from_random([2; 16])),
            "token=abc".to_owned(),
            format!("anchor={}", Hash([3; 32])),
            format!("pairing={}", Pairing::new([4; 16], Nonce(Hash([5; 32]))).to_text().as_str()),
        ];
        let whole = DeviceLink::parse(&format!("https://cloud.example/device#{}", parts.join("&"))).unwrap();
        assert_eq!((whole.cloud.as_str(), whole.token.expose()), ("https://cloud.example/", "abc"));
        assert_eq!(whole.anchor, Hash([3; 32]));
        for without in 0..parts.len() {
            let mut rest = parts.to_vec();
            rest.remove(without);
            assert!(DeviceLink::parse(&format!("https://cloud.example/device#{}", rest.join("&"))).is_err());
        }
    }
}
