//! The recovery sheet: `lenskeep device recover`, when nobody is left who could
//! let a device in, and its keys for what was recorded before.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail, ensure};
use model::wire::{Envelope, ROSTER_PAGE_MAX};
use model::{DeviceId, Hash, OrgId, PersonId, Timestamp};
use seal::keyring::DeviceKeys;
use seal::login::SheetLogin;
use seal::roster::{Device, DeviceKind, RECOVERY_DELAY_MS, Roster, Statement, sign_next};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::client::{Client, now, random};
use crate::device::{DEVICE_DAYS, grouped};
use crate::home::{DeviceFile, Home, ask_secret, new_passphrase};
use crate::pairing::yes;
use crate::roster::Statements;
use crate::text::printable;
use crate::times;

#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// Address of the cloud, as people use it.
    #[arg(long)]
    cloud: Url,
    /// The organisation's, which stands beside the words on the sheet. Default: it is
    /// shown, to be compared. (LENSKEEP_SHEET_FILE names a file with the words.)
    #[arg(long, value_name = "GROUPS")]
    fingerprint: Option<String>,
    /// Whose account it is. Needed where several people have one.
    #[arg(long, value_name = "ID")]
    person: Option<PersonId>,
    /// Name of this device.
    #[arg(long, default_value = "Command line")]
    name: String,
}

#[derive(Deserialize)]
struct Proven {
    token: String,
    org: OrgId,
    people: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    person: PersonId,
    name: String,
}

/// Keys of the sheet whose words somebody types, or of
/// `LENSKEEP_SHEET_FILE`.
pub(crate) fn ask() -> anyhow::Result<DeviceKeys> {
    let words = match std::env::var_os("LENSKEEP_SHEET_FILE") {
        Some(path) => {
            let failed = || format!("LENSKEEP_SHEET_FILE: {} could not be read", path.display());
            Zeroizing::new(std::fs::read_to_string(&path).with_context(failed)?)
        }
        None => {
            let words = ask_secret("Words of the recovery sheet, with spaces between them: ");
            let words = words.context("no words; on a machine without a terminal set LENSKEEP_SHEET_FILE")?;
            Zeroizing::new(words.expose().to_owned())
        }
    };
    keys(&words)
}

fn keys(words: &str) -> anyhow::Result<DeviceKeys> {
    // Numbers are printed beside the words, so they may be copied too.
    let words = words.split_whitespace().filter(|word| word.parse::<u8>().is_err());
    let words = Zeroizing::new(words.collect::<Vec<_>>().join(" ").to_lowercase());
    let sheet = bip39::Mnemonic::parse(words.as_str()).map_err(|_| {
        anyhow::anyhow!("these are not the 24 words of a recovery sheet; look for a word that was misread")
    })?;
    let entropy = Zeroizing::new(sheet.to_entropy());
    let entropy: &[u8; 32] =
        entropy.as_slice().try_into().context("a recovery sheet has 24 words, and this has fewer")?;
    Ok(DeviceKeys::from_recovery(entropy))
}

/// Makes this device, and has the sheet sign it in as the one administrator.
pub(crate) async fn recover(home: &Home, arguments: Recover) -> anyhow::Result<()> {
    let Recover { cloud, fingerprint, person, name } = arguments;
    home.ensure_free()?;
    let sheet = ask()?;
    let client = Client::new(cloud.clone())?;
    let proven = prove(&client, &cloud, &sheet).await?;
    let (log, mut roster) = roster(&client, &proven, &sheet).await?;
    compare(&roster, fingerprint.as_deref())?;
    let person = chosen(&proven.people, person)?;

    let passphrase = new_passphrase()?;
    let keys = DeviceKeys::from_seeds(random(), random());
    let (id, at) = (DeviceId::from_random(random()), now());
    let device = Device {
        id,
        person,
        name,
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: at.plus_ms(DEVICE_DAYS * Timestamp::DAY),
    };
    let keys = seal::keyring::wrap(&keys, passphrase.expose(), random());
    let file = DeviceFile { cloud, org: proven.org, person, device: id, anchor: roster.anchor(), keys };
    // Kept before the cloud hears of it: what is signed names its keys.
    home.create_device(&file)?;
    home.append_roster(&log, at)?;
    let recovery = roster.state().recovery.id;
    let administrators = Statement::SetAdministrators { k: 1, devices: [id].into() };
    for statement in [Statement::AddDevice { device }, administrators] {
        let envelope = sign_next(&roster, at, statement, recovery, &sheet.sign);
        roster.apply(&envelope, at)?;
        let body = json!({ "token": proven.token, "envelope": envelope });
        client
            .post("/api/v1/login/sheet/statements", &body)
            .await
            .with_context(|| format!("{} is kept; to begin again, remove it", home.path().display()))?;
        home.append_roster(std::slice::from_ref(&envelope), at)?;
    }
    println!("{id} becomes the administrator on {}.", times::format(at.plus_ms(RECOVERY_DELAY_MS)));
    println!(
        "Until then every administrator that there still is can object. Its keys stay in {}.",
        home.path().display()
    );
    println!("Then `lenskeep device open-past {id} --sheet` opens to it what was recorded before.");
    Ok(())
}

async fn prove(client: &Client, cloud: &Url, sheet: &DeviceKeys) -> anyhow::Result<Proven> {
    let answer = client.post("/api/v1/login/sheet/challenge", &json!({})).await?;
    let challenge: Hash = serde_json::from_value(answer["challenge"].clone()).context("no challenge")?;
    let proof = SheetLogin::sign(challenge, cloud.origin().ascii_serialization(), &sheet.sign);
    let answer = client.post("/api/v1/login/sheet", &json!({ "envelope": proof })).await;
    let answer = answer.context("the cloud knows no organisation with this sheet")?;
    serde_json::from_value(answer).context("the answer to /api/v1/login/sheet")
}

async fn roster(
    client: &Client,
    proven: &Proven,
    sheet: &DeviceKeys,
) -> anyhow::Result<(Vec<Envelope>, Roster)> {
    let (seen_at, mut log, mut roster) = (now(), Vec::new(), None::<Roster>);
    loop {
        let after = roster.as_ref().map(|roster| roster.head().0);
        let body = json!({ "token": proven.token, "after": after });
        let answer = client.post("/api/v1/login/sheet/roster", &body).await?;
        let Statements { statements } = serde_json::from_value(answer)?;
        for envelope in &statements {
            match &mut roster {
                None => roster = Some(Roster::from_genesis(envelope, seen_at)?),
                Some(roster) => roster.apply(envelope, seen_at)?,
            }
        }
        let last = statements.len() < ROSTER_PAGE_MAX;
        log.extend(statements);
        if last {
            break;
        }
    }
    let roster = roster.context("the cloud sent no roster")?;
    let known = &roster.state().recovery;
    ensure!(
        roster.org() == proven.org && known.sign == sheet.sign.verifying_key().to_base64(),
        "the cloud shows the roster of another organisation than that of this sheet"
    );
    Ok((log, roster))
}

/// That a roster names the sheet's key proves no organisation: a server can
/// name it in another genesis.
fn compare(roster: &Roster, fingerprint: Option<&str>) -> anyhow::Result<()> {
    let shown = grouped(&roster.anchor().to_string());
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    if let Some(fingerprint) = fingerprint {
        ensure!(
            plain(fingerprint) == plain(&shown),
            "the cloud shows the organisation {shown}, and the sheet says another: do not trust whoever shows it"
        );
        return Ok(());
    }
    ensure!(
        std::io::stdin().is_terminal(),
        "the cloud shows the organisation {shown}. Compare it with the sheet, and give it as --fingerprint"
    );
    let name = printable(roster.name());
    eprintln!("The cloud shows {name}:\n  {shown}");
    ensure!(yes("Does the sheet show these groups beside the words? [y/N] ")?, "nothing was signed");
    Ok(())
}

fn chosen(people: &[Account], wanted: Option<PersonId>) -> anyhow::Result<PersonId> {
    match (wanted, people) {
        (Some(wanted), _) if people.iter().any(|account| account.person == wanted) => Ok(wanted),
        (None, [only]) => Ok(only.person),
        (None, []) => bail!("nobody has an account there any more"),
        _ => {
            let listed =
                people.iter().map(|Account { person, name }| format!("\n  {person}  {}", printable(name)));
            bail!("say whose device this is with --person, one of:{}", listed.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_as_people_copy_them() {
        let entropy = [7; 32];
        let words = bip39::Mnemonic::from_entropy(&entropy).unwrap().to_string();
        let expected = DeviceKeys::from_recovery(&entropy).sign.verifying_key().to_base64();
        let numbered: Vec<String> =
            words.split(' ').enumerate().map(|(n, word)| format!("{}  {word}\n", n + 1)).collect();
        for typed in [words.clone(), words.to_uppercase(), numbered.concat()] {
            assert_eq!(keys(&typed).unwrap().sign.verifying_key().to_base64(), expected);
        }
        let twelve = bip39::Mnemonic::from_entropy(&entropy[..16]).unwrap().to_string();
        for wrong in ["", "abandon", twelve.as_str(), &words.replacen(' ', " zoo ", 1)] {
            assert!(keys(wrong).is_err(), "{wrong}");
        }
    }
}
