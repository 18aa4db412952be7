//! `lenskeep audit`: the history, and whether it is still the one that was
//! seen before. The cloud signs its checkpoints; this computes them anew from
//! the entries, and remembers the highest.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, RequestId, Timestamp};
use seal::dating::BATCH_OPERATION;
use seal::keys::VerifyingKey;
use seal::tlog::{self, Bundle, Checkpoint, Edge, LogKey, Tile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Session, now};
use crate::home::Home;
use crate::times;
use crate::witnesses::{self, Cosigned, Outside, Shown, WitnessCommand};

/// Entries in a full bundle.
const BUNDLE: u64 = 256;
/// A witness that the roster names signs at least so often, or is missed.
const WITNESS_AGE_MAX_MS: u64 = Timestamp::DAY;
/// Longest file with a proof that is read.
const PROOF_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Who was allowed what, newest first.
    Show(Filter),
    /// Compute the log anew from its entries, and compare it with what was
    /// signed, with what was seen before, and with what the cloud shows.
    Verify {
        /// Check one entry by the file that `audit prove` wrote; needs no cloud.
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// Write the entries as lines of JSON (OCSF), oldest first, for other
    /// programs. All of the log is verified on the way; without that there is
    /// no file.
    Export {
        /// Must not exist.
        out: PathBuf,
        /// The first number that is written.
        #[arg(long, value_name = "NUMBER", default_value = "0")]
        from: u64,
    },
    /// Write a proof that an entry stands in the log.
    Prove {
        /// Its number, as `audit show` prints it.
        number: u64,
        out: PathBuf,
    },
    /// Print the key of the log, for whoever is to witness it.
    Key,
    /// Who outside the organisation signs the history too.
    #[command(subcommand)]
    Witness(WitnessCommand),
}

#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Id of a person or gateway.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Such as `live`, `playback`, `export`, `append_roster`.
    #[arg(long)]
    action: Option<String>,
    /// Also the entries that stand for recordings, about one a minute.
    #[arg(long)]
    recordings: bool,
    #[arg(long, value_name = "ID")]
    camera: Option<CameraId>,
    /// What one request caused; errors and the server's log name it.
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// RFC 3339, or a time ago such as 15m or 2h.
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    from: Option<Timestamp>,
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    to: Option<Timestamp>,
    #[arg(long, default_value = "100")]
    limit: u64,
    /// With what each was decided by: request, device, signature, policies, posture.
    #[arg(long)]
    details: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Row>,
}

#[derive(Deserialize, Serialize)]
struct Row {
    seq: u64,
    at: Timestamp,
    actor: String,
    action: String,
    resource: String,
    leaf: String,
    device: Option<DeviceId>,
    signature: Option<Hash>,
    /// Digest of the set of policies that was asked.
    policy: Option<Hash>,
    /// Digest of the posture that its conditions read.
    posture: Option<Hash>,
    request: Option<RequestId>,
}

#[derive(Deserialize)]
struct Head {
    note: String,
    key: String,
    fault: Option<String>,
    witnesses: Vec<Witnessed>,
    outside: Vec<Outside>,
}

/// What the cloud says that a gateway has signed.
#[derive(Deserialize)]
struct Witnessed {
    gateway: GatewayId,
    note: String,
    conflict: Option<String>,
}

#[derive(Deserialize)]
struct Proven {
    seq: u64,
    leaf: String,
    note: String,
    proof: Vec<Hash>,
}

/// What `audit prove` writes: all that is needed, for anybody.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofFile {
    key: String,
    number: u64,
    leaf: String,
    note: String,
    proof: Vec<Hash>,
}

/// `history.json`: the log as this device has seen it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    key: String,
    note: String,
}

pub(crate) async fn run(home: &Home, command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Show(filter) => show(&Box::pin(Session::open(home)).await?, &filter).await,
        AuditCommand::Verify { proof: Some(path) } => verify_proof(home, &path),
        AuditCommand::Verify { proof: None } => {
            verify(home, &Box::pin(Session::open(home)).await?, |_, _| Ok(())).await
        }
        AuditCommand::Key => {
            let session = Box::pin(Session::open(home)).await?;
            let head: Head = session.client.get("/api/v1/history/checkpoint").await?;
            println!("{}", log_key(home, &head.key, &session)?.verifier_key());
            Ok(())
        }
        AuditCommand::Witness(command) => {
            witnesses::run(home, &mut Box::pin(Session::open(home)).await?, command).await
        }
        AuditCommand::Export { out, from } => {
            export(home, &Box::pin(Session::open(home)).await?, &out, from).await
        }
        AuditCommand::Prove { number, out } => {
            prove(home, &Box::pin(Session::open(home)).await?, number, &out).await
        }
    }
}

async fn show(session: &Session, filter: &Filter) -> anyhow::Result<()> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &filter.limit.to_string());
    let about = filter.camera.map(|camera| camera.to_string());
    let request = filter.request.map(|request| request.to_string());
    let from = filter.from.map(|at| at.0.to_string());
    let to = filter.to.map(|at| at.0.to_string());
    // Whoever asks for an action gets it.
    let hides = !filter.recordings && filter.action.is_none() && filter.request.is_none();
    let without = hides.then(|| BATCH_OPERATION.to_owned());
    let wanted = [
        ("without", &without),
        ("actor", &filter.actor),
        ("action", &filter.action),
        ("about", &about),
        ("request", &request),
        ("from", &from),
        ("to", &to),
    ];
    for (name, value) in wanted {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let page: Page = session.client.get(&format!("/api/v1/history?{}", query.finish())).await?;
    if filter.json {
        println!("{}", serde_json::to_string_pretty(&page.entries)?);
        return Ok(());
    }
    if page.entries.is_empty() {
        println!("No entry is like that.");
    }
    for row in &page.entries {
        let Row { seq, at, actor, action, resource, .. } = row;
        println!("{seq:>8}  {}  {actor}  {action:<16}  {resource}", times::format(*at));
        for (name, value) in row.details().into_iter().filter(|_| filter.details) {
            println!("          {name:<9}  {value}");
        }
    }
    Ok(())
}

async fn export(home: &Home, session: &Session, out: &Path, from: u64) -> anyhow::Result<()> {
    ensure!(!out.exists(), "{} is there already", out.display());
    let mut name = out.file_name().context("a file's name is missing")?.to_owned();
    name.push(".part");
    let (part, failed) = (out.with_file_name(name), || format!("{} could not be written", out.display()));
    let mut file = BufWriter::new(File::create(&part).with_context(failed)?);
    let mut count = 0_u64;
    let verified = verify(home, session, |number, entry| {
        if number >= from {
            count += 1;
            let text = std::str::from_utf8(entry).context("an entry is no text")?;
            // From before there was a log: a hash, which is written as a string.
            let line = if text.starts_with('{') { text.to_owned() } else { serde_json::to_string(text)? };
            writeln!(file, "{line}").with_context(failed)?;
        }
        Ok(())
    });
    let verified = verified.await;
    let kept = verified.and_then(|()| {
        file.flush().and_then(|()| file.get_ref().sync_all()).with_context(failed)?;
        std::fs::rename(&part, out).with_context(failed)
    });
    if kept.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    kept?;
    println!("{count} entries in {}", out.display());
    Ok(())
}

/// `each` is given every entry with its number, before the end has shown
/// whether they are genuine.
async fn verify(
    home: &Home,
    session: &Session,
    mut each: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let seen = Seen::read(home)?;
    let head: Head = session.client.get("/api/v1/history/checkpoint").await?;
    let key = pinned(seen.as_ref(), &head.key, session)?;
    ensure!(!head.note.is_empty(), "the log has no checkpoint yet; try again in some seconds");
    let new = Checkpoint::verify(&head.note, &key)?;
    let old = seen.as_ref().map(|seen| Checkpoint::verify(&seen.note, &key)).transpose()?;
    if let Some(old) = &old {
        ensure!(
            old.size <= new.size,
            "the log has {} entries, and had {} when this device saw it: its end was cut off",
            new.size,
            old.size
        );
    }
    let gateways = cosigned_by_gateways(session, &head, &key)?;
    let outside = witnesses::shown_of_all(&session.roster, &head.outside, &key);
    let by_others = outside.iter().filter_map(|(_, shown)| match shown {
        Shown::Signed(signed) => Some(signed),
        _ => None,
    });
    let cosigned: Vec<&Cosigned> = gateways.iter().chain(by_others).collect();
    for Cosigned { signer, checkpoint, .. } in &cosigned {
        ensure!(
            checkpoint.size <= new.size,
            "the log has {} entries, and had {} when {signer} signed it: its end was cut off",
            new.size,
            checkpoint.size
        );
    }
    let progress = ProgressBar::new(new.size);
    progress.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} entries, {eta} left")?);
    let mut edge = Edge::default();
    for first in (0..new.size).step_by(BUNDLE as usize) {
        let width = (new.size - first).min(BUNDLE);
        let tile = Tile { level: None, index: first / BUNDLE, width: width as u16 };
        let bytes = session.client.bytes(&format!("/api/v1/history/{}", tile.path())).await?;
        let entries = Bundle::entries(&bytes, tile.width)?;
        let path = format!("/api/v1/history?before={}&limit={width}", first + width);
        let page: Page = session.client.get(&path).await?;
        compare(first, &entries, &page.entries)?;
        for entry in entries {
            each(edge.size(), entry)?;
            edge.push(entry);
            if let Some(old) = old.as_ref().filter(|old| old.size == edge.size()) {
                ensure!(
                    old.root == edge.root(),
                    "the first {} entries are not those that this device saw: the history was rewritten",
                    old.size
                );
            }
            for Cosigned { signer, checkpoint, .. } in &cosigned {
                ensure!(
                    checkpoint.size != edge.size() || checkpoint.root == edge.root(),
                    "the first {} entries are not those that {signer} signed: the cloud shows different people \
                     different histories, or rewrote it",
                    checkpoint.size
                );
            }
        }
        progress.inc(width);
    }
    progress.finish_and_clear();
    ensure!(edge.root() == new.root, "the entries are not those of the signed checkpoint");
    Seen { key: key.verifier_key(), note: head.note }.write(home)?;
    println!("{} entries, all in the log as signed", new.size);
    match old {
        Some(old) => println!("the {} that this device saw before are unchanged", old.size),
        None => println!("seen for the first time; from now on this device remembers"),
    }
    println!("{}", witnessed(session.roster.state().gateways.len(), &gateways));
    for (name, shown) in &outside {
        match shown {
            Shown::Signed(Cosigned { checkpoint, at, .. }) => {
                let size = checkpoint.size;
                println!("witnessed by {name}, up to entry {size} at {}", times::format(*at));
            }
            Shown::Objects(_) => {}
            Shown::Nothing(why) => println!("not witnessed by {name}: {why}"),
        }
    }
    for Witnessed { gateway, conflict, .. } in &head.witnesses {
        if let Some(conflict) = conflict
            && session.roster.gateway(*gateway).is_some()
        {
            bail!("but {gateway} has seen another history, and signs no more ({conflict})");
        }
    }
    for (name, shown) in &outside {
        match shown {
            Shown::Signed(signed) => ensure!(
                now().ms_since(signed.at) < WITNESS_AGE_MAX_MS,
                "but {name} has signed nothing for a day: it is not asked any more, or its word is kept from you. Ask \
                 whoever runs it"
            ),
            Shown::Objects(conflict) => {
                bail!("but {name} has seen another history, and signs no more ({conflict})")
            }
            Shown::Nothing(_) => bail!(
                "but the server shows no signature of {name}, whom the roster names: it is not asked, or its word is \
                 kept from you. Ask whoever runs it, or `lenskeep audit witness remove`"
            ),
        }
    }
    if let Some(fault) = head.fault {
        bail!("but the log stands still, and what came after is in no checkpoint: {fault}");
    }
    Ok(())
}

/// What gateways of the roster have signed; what others did counts for nothing.
fn cosigned_by_gateways(session: &Session, head: &Head, log: &LogKey) -> anyhow::Result<Vec<Cosigned>> {
    let mut found = Vec::new();
    for Witnessed { gateway, note, .. } in head.witnesses.iter().filter(|witness| !witness.note.is_empty()) {
        let Some(keys) = session.roster.gateway(*gateway) else { continue };
        let key = VerifyingKey::from_bytes(&keys.sign.0).context("a gateway's key in the roster")?;
        let checkpoint = Checkpoint::verify(note, log)?;
        let signed = Checkpoint::witnessed(note, &[LogKey { name: gateway.to_string(), key }])?;
        let at = signed.first().with_context(|| format!("{gateway} did not sign what the cloud says"))?.at;
        found.push(Cosigned { signer: gateway.to_string(), checkpoint, at });
    }
    Ok(found)
}

/// Which gateways have seen this history, in words.
fn witnessed(of: usize, cosigned: &[Cosigned]) -> String {
    let newest = cosigned.iter().max_by_key(|signed| signed.at);
    match newest {
        Some(Cosigned { checkpoint, at, .. }) => format!(
            "witnessed by {} of {of} gateways, last up to entry {} at {}",
            cosigned.len(),
            checkpoint.size,
            times::format(*at)
        ),
        None if of == 0 => "no gateway witnesses it yet".to_owned(),
        None => format!("none of {of} gateways has signed it"),
    }
}

/// What the cloud shows to people must be what the log holds.
fn compare(first: u64, entries: &[&[u8]], rows: &[Row]) -> anyhow::Result<()> {
    ensure!(rows.len() == entries.len(), "the cloud hides entries between {first} and {}", first + BUNDLE);
    for (row, entry) in rows.iter().rev().zip(entries) {
        let same = row.leaf.as_bytes() == *entry && row.is_as_logged();
        ensure!(same, "entry {} was changed in the database after it was logged", row.seq);
    }
    Ok(())
}

impl Row {
    /// What it was decided by, as far as the entry says.
    fn details(&self) -> Vec<(&'static str, String)> {
        let text = |hash: &Option<Hash>| hash.map(|hash| hash.to_string());
        [
            ("request", self.request.map(|request| request.to_string())),
            ("device", self.device.map(|device| device.to_string())),
            ("signature", text(&self.signature)),
            ("policy", text(&self.policy)),
            ("posture", text(&self.posture)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// People stand in the log by reference; all else by itself.
    fn is_as_logged(&self) -> bool {
        let Ok(leaf) = serde_json::from_str::<Value>(&self.leaf) else {
            // From before there was a log: the chain's hash alone.
            return self.leaf.parse::<Hash>().is_ok();
        };
        let same = |logged: &Value, shown: &str| match logged.as_str() {
            // Of those who were erased, nobody knows more than the log.
            Some(logged) if logged.starts_with("ref_") => shown.starts_with("usr_") || shown == logged,
            logged => logged == Some(shown),
        };
        let logged = ["request", "device", "signature", "policy", "posture"].into_iter().filter_map(|name| {
            let value = leaf["unmapped"][name].as_str()?;
            Some((name, value.to_owned()))
        });
        leaf["unmapped"]["seq"] == self.seq
            && logged.collect::<Vec<_>>() == self.details()
            && leaf["time"] == self.at.0
            && same(&leaf["api"]["operation"], &self.action)
            && same(&leaf["actor"]["uid"], &self.actor)
            && same(&leaf["resources"][0]["uid"], &self.resource)
    }
}

async fn prove(home: &Home, session: &Session, number: u64, out: &Path) -> anyhow::Result<()> {
    let head: Head = session.client.get("/api/v1/history/checkpoint").await?;
    let key = pinned(Seen::read(home)?.as_ref(), &head.key, session)?;
    let proven: Proven = session.client.get(&format!("/api/v1/history/{number}/proof")).await?;
    let Proven { seq, leaf, note, proof } = proven;
    let file = ProofFile { key: key.verifier_key(), number: seq, leaf, note, proof };
    file.check()?;
    ensure!(seq == number, "the cloud proved another entry than was asked for");
    let text = serde_json::to_string_pretty(&file)? + "\n";
    std::fs::write(out, text).with_context(|| format!("{} could not be written", out.display()))?;
    println!("{}", out.display());
    Ok(())
}

fn verify_proof(home: &Home, path: &Path) -> anyhow::Result<()> {
    let length =
        std::fs::metadata(path).with_context(|| format!("{} could not be read", path.display()))?.len();
    ensure!(length <= PROOF_BYTES_MAX, "{} is too long for a proof", path.display());
    let file: ProofFile = serde_json::from_slice(&std::fs::read(path)?)
        .with_context(|| format!("{} is no file of `lenskeep audit prove`", path.display()))?;
    let checkpoint = file.check()?;
    println!("entry {} of {} in {}:", file.number, checkpoint.size, checkpoint.origin);
    println!("{}", file.leaf);
    match Seen::read(home)? {
        Some(seen) if seen.key == file.key => println!("signed with the key that this device knows"),
        Some(_) => bail!("signed with another key than this device knows"),
        None => println!("signed with {}; compare it with a key that you trust", file.key),
    }
    Ok(())
}

impl ProofFile {
    fn check(&self) -> anyhow::Result<Checkpoint> {
        let checkpoint = Checkpoint::verify(&self.note, &LogKey::parse(&self.key)?)?;
        let leaf = tlog::leaf_hash(self.leaf.as_bytes());
        let holds = tlog::verify_inclusion(leaf, self.number, checkpoint.size, &self.proof, checkpoint.root);
        ensure!(holds, "the proof does not hold: this entry is not in the log");
        Ok(checkpoint)
    }
}

/// The key that the server offers, if it is the one that was seen first.
pub(crate) fn log_key(home: &Home, offered: &str, session: &Session) -> anyhow::Result<LogKey> {
    pinned(Seen::read(home)?.as_ref(), offered, session)
}

/// The key of this organisation's log, if this device has seen it.
pub(crate) fn known_log(home: &Home, org: OrgId) -> anyhow::Result<Option<LogKey>> {
    let Some(seen) = Seen::read(home)? else { return Ok(None) };
    let key = LogKey::parse(&seen.key)?;
    Ok(Some(key).filter(|key| key.name == format!("lenskeep/{org}")))
}

/// The log's key: the one that was seen first, for ever.
fn pinned(seen: Option<&Seen>, offered: &str, session: &Session) -> anyhow::Result<LogKey> {
    let key = LogKey::parse(offered)?;
    ensure!(
        key.name == format!("lenskeep/{}", session.file.org),
        "the cloud offers the log of somebody else"
    );
    if let Some(seen) = seen {
        ensure!(
            seen.key == offered,
            "the cloud signs its history with another key than before. If its data folder was not lost, \
             do not trust it until you know why"
        );
    }
    Ok(key)
}

impl Seen {
    fn read(home: &Home) -> anyhow::Result<Option<Self>> {
        let path = home.path().join("history.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let seen = serde_json::from_slice(&bytes);
                seen.map(Some).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} could not be read", path.display())),
        }
    }

    fn write(&self, home: &Home) -> anyhow::Result<()> {
        home.write_private("history.json", &serde_json::to_vec_pretty(self)?)
    }
}
