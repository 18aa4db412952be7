//! `lenskeep policy`: sets of policies are files. They are checked, tested,
//! asked and compared on this machine, and put in force by this device's
//! signature.

mod cases;
mod diff;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use cloud_core::policy::{Answer, Files, Policies, PolicyError};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Hash, PersonId, Timestamp};
use seal::action::Action;
use seal::role::Roles;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Session, now};
use crate::home::Home;
use crate::times;
use diff::{Change, Compared, Part};
use world::{Asked, When, World};

const WORLD_BYTES_MAX: u64 = 64 << 20;
/// Lines of a comparison that are printed.
const CHANGES_SHOWN: usize = 200;

#[derive(clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a set against the schema: names, types, and that each policy says why.
    Check { folder: PathBuf },
    /// Run the table tests beside a set (FOLDER/tests/*.toml).
    Test {
        folder: PathBuf,
        /// Another folder of tables.
        #[arg(long, value_name = "DIR")]
        tests: Option<PathBuf>,
    },
    /// Who may do what to which, and which policy says so.
    Explain {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        source: Source,
    },
    /// What a set would open and close against the one in force: every action,
    /// camera by camera, and under all circumstances that the policies tell
    /// apart, unless they are given here.
    Diff {
        /// The new set.
        folder: PathBuf,
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        source: Source,
    },
    /// The set in force.
    Show {
        /// Write its files there.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Check, test and compare a set, then put it in force with this device's signature.
    Apply {
        folder: PathBuf,
        /// For the other administrators, where it takes several.
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What is asked, and about whom. By default the set, the roster and the roles
/// of the organisation that this device belongs to.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// A folder of policies in place of the set in force, or `builtin`.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// A description of an organisation in TOML, in place of the roster.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
}

#[derive(Deserialize)]
struct InForce {
    digest: Option<Hash>,
    files: Files,
    set_at: Option<Timestamp>,
    signature: Option<Hash>,
}

#[derive(Deserialize)]
struct RoleList {
    people: Vec<RolesOf>,
    by_groups: Vec<RolesOf>,
}

#[derive(Deserialize)]
struct RolesOf {
    person: PersonId,
    roles: Roles,
}

pub(crate) async fn run(home: &Home, command: PolicyCommand) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check { folder } => check(&folder).map(drop),
        PolicyCommand::Test { folder, tests } => {
            let tests = tests.unwrap_or_else(|| folder.join("tests"));
            test(&load(&folder)?, &tests)
        }
        PolicyCommand::Explain { asked, source } => {
            let (policies, world) = gather(home, &source).await?;
            let answer = policies.ask_strictly(&world.question(&asked)?)?;
            println!("{}", verdict(&answer));
            for rule in &answer.rules {
                println!("  {}: {}", rule.id, rule.why);
            }
            if world.cameras.contains_key(&asked.to)
                && world.people.contains_key(&asked.who)
                && !world.opens(&asked.who, &asked.to)
            {
                println!(
                    "  but the roster does not let {} open {}: no policy changes that",
                    asked.who, asked.to
                );
            }
            Ok(())
        }
        PolicyCommand::Diff { folder, part, when, source } => {
            let new = load(&folder)?;
            let (old, world) = gather(home, &source).await?;
            show_changes(&compared((&old, &new), &world, &part, &when)?, &world);
            Ok(())
        }
        PolicyCommand::Show { out } => show(home, out.as_deref()).await,
        PolicyCommand::Apply { folder, reason, yes } => apply(home, &folder, &reason, yes).await,
    }
}

/// As in `allowed by viewers-watch`.
fn verdict(answer: &Answer) -> String {
    let by: Vec<&str> = answer.rules.iter().map(|rule| rule.id.as_str()).collect();
    match (answer.allowed, by.is_empty()) {
        (true, _) => format!("allowed by {}", by.join(", ")),
        (false, false) => format!("denied by {}", by.join(", ")),
        (false, true) => "denied: nothing permits it".to_owned(),
    }
}

fn check(folder: &Path) -> anyhow::Result<Policies> {
    let policies = load(folder)?;
    for warning in policies.warnings() {
        println!("warning: {warning}");
    }
    println!("{} policies, digest {}", policies.rules().len(), policies.digest());
    Ok(policies)
}

fn test(policies: &Policies, folder: &Path) -> anyhow::Result<()> {
    let outcome = table::run(policies, folder)?;
    for failure in &outcome.failures {
        println!("failed: {failure}");
    }
    let (passed, failed) = (outcome.passed, outcome.failures.len());
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "the policies do something else than the tests say");
    Ok(())
}

fn load(folder: &Path) -> anyhow::Result<Policies> {
    let mut files = Files::new();
    for path in files_in(folder, "cedar")? {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{}: the name is not UTF-8", path.display()))?;
        files.insert(name.to_owned(), read(&path, cloud_core::policy::BYTES_MAX as u64)?);
    }
    parse(files).with_context(|| folder.display().to_string())
}

fn parse(files: Files) -> anyhow::Result<Policies> {
    Policies::parse(files).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(|error: &PolicyError| format!("  {error}")).collect();
        anyhow::anyhow!("the set does not load:\n{}", told.join("\n"))
    })
}

fn files_in(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path, max: u64) -> anyhow::Result<String> {
    let size = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    ensure!(size <= max, "{} is larger than {max} bytes", path.display());
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The policies to ask and the organisation to ask about.
async fn gather(home: &Home, source: &Source) -> anyhow::Result<(Policies, World)> {
    let session = match (&source.policies, &source.world) {
        (Some(_), Some(_)) => None,
        _ => Some(Box::pin(Session::open(home)).await?),
    };
    let policies = match (&source.policies, &session) {
        (Some(path), _) if path.as_os_str() == "builtin" => Policies::builtin(),
        (Some(path), _) => load(path)?,
        (None, Some(session)) => parse(in_force(session).await?.files)?,
        (None, None) => bail!("there is no set to ask"),
    };
    let world = match (&source.world, &session) {
        (Some(path), _) => {
            World::parse(&read(path, WORLD_BYTES_MAX)?).with_context(|| path.display().to_string())?
        }
        (None, Some(session)) => world_of(session).await?,
        (None, None) => bail!("there is no organisation to ask about"),
    };
    Ok((policies, world))
}

async fn in_force(session: &Session) -> anyhow::Result<InForce> {
    session.client.get("/api/v1/policy").await
}

/// Those that administrators assigned and those that groups give, together.
#[derive(Debug, Default)]
pub(crate) struct RolesInForce {
    pub(crate) roles: BTreeMap<PersonId, Roles>,
    /// Whose groups give roles, or none.
    pub(crate) grouped: BTreeSet<PersonId>,
}

pub(crate) async fn assigned_roles(session: &Session) -> anyhow::Result<BTreeMap<PersonId, Roles>> {
    let RoleList { people, .. } = session.client.get("/api/v1/roles").await?;
    Ok(people.into_iter().map(|of| (of.person, of.roles)).collect())
}

pub(crate) async fn roles_in_force(session: &Session) -> anyhow::Result<RolesInForce> {
    let RoleList { people, by_groups } = session.client.get("/api/v1/roles").await?;
    let grouped = by_groups.iter().map(|of| of.person).collect();
    let mut roles: BTreeMap<PersonId, Roles> = BTreeMap::new();
    for RolesOf { person, roles: more } in people.into_iter().chain(by_groups) {
        roles.entry(person).or_default().extend(more);
    }
    Ok(RolesInForce { roles, grouped })
}

async fn world_of(session: &Session) -> anyhow::Result<World> {
    Ok(World::of(&session.roster, &roles_in_force(session).await?, now()))
}

fn compared(
    sets: (&Policies, &Policies),
    world: &World,
    part: &Part,
    when: &When,
) -> anyhow::Result<Compared> {
    let style = ProgressStyle::with_template("{human_pos} questions").expect("a constant template");
    let bar = ProgressBar::no_length().with_style(style);
    let compared = diff::compare(sets, world, part, when, |asked| bar.set_position(asked as u64))?;
    bar.finish_and_clear();
    Ok(compared)
}

/// A line for each thing and circumstance; what changes always, without one.
fn show_changes(compared: &Compared, world: &World) {
    let mut lines: BTreeMap<(&str, &str, bool, &str), Vec<&str>> = BTreeMap::new();
    for Change { who, what, operation, opens, circumstances } in &compared.changes {
        let line = (who.as_str(), what.as_str(), !opens, circumstances.as_str());
        lines.entry(line).or_default().push(operation.as_str());
    }
    for ((who, what, closes, circumstances), operations) in lines.iter().take(CHANGES_SHOWN) {
        let word = if *closes { "closes" } else { "opens" };
        let name = world.cameras.get(*what).map_or("", |camera| camera.name.as_str());
        let when = if circumstances.is_empty() { String::new() } else { format!("  when {circumstances}") };
        println!("{word:<7}{who}  {what} {name}  {}{when}", operations.join(", "));
    }
    if lines.len() > CHANGES_SHOWN {
        println!("… and {} more; --person, --camera and --does show a part", lines.len() - CHANGES_SHOWN);
    }
    let opens = compared.changes.iter().filter(|change| change.opens).count();
    let closes = compared.changes.len() - opens;
    println!("opens {opens}, closes {closes}; {} questions were asked", compared.questions);
}

async fn show(home: &Home, out: Option<&Path>) -> anyhow::Result<()> {
    let session = Box::pin(Session::open(home)).await?;
    let InForce { digest, files, set_at, signature } = in_force(&session).await?;
    let since = match (set_at, signature) {
        (Some(at), Some(signature)) => format!("in force since {}, signed: {signature}", times::format(at)),
        _ => "built in".to_owned(),
    };
    match digest {
        Some(digest) => println!("{digest}  {since}"),
        None => println!("the stored set does not load, and nothing is permitted; {since}"),
    }
    // The names are the cloud's, and become paths.
    let policies = parse(files)?;
    for rule in policies.rules() {
        println!("  {}: {}", rule.id, rule.why);
    }
    if let Some(out) = out {
        fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
        for (name, text) in policies.files() {
            let path = out.join(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        println!("{} files in {}", policies.files().len(), out.display());
    }
    Ok(())
}

async fn apply(home: &Home, folder: &Path, reason: &str, yes: bool) -> anyhow::Result<()> {
    let new = check(folder)?;
    let tests = folder.join("tests");
    if tests.is_dir() {
        test(&new, &tests)?;
    }
    let session = Box::pin(Session::open(home)).await?;
    let present = in_force(&session).await?;
    let world = world_of(&session).await?;
    match parse(present.files.clone()) {
        Ok(old) => match compared((&old, &new), &world, &Part::default(), &When::default()) {
            Ok(compared) => show_changes(&compared, &world),
            Err(error) => println!("what it changes is not told: {error:#} (`lenskeep policy diff`)"),
        },
        Err(error) => println!("what it changes cannot be told: {error:#}"),
    }
    ensure!(yes || asked_and_agreed()?, "nothing was changed");
    let previous = match (present.digest, present.signature) {
        (Some(digest), _) => digest,
        (None, Some(signature)) => signed_digest(&session, signature).await?,
        (None, None) => bail!("the cloud names no set in force"),
    };
    let action = Action::SetPolicy { digest: new.digest() };
    let body = json!({ "files": new.files() });
    session.order("/api/v1/policy", (previous, action), body, reason).await
}

/// Of a set that does not load: what was signed when it was put in force.
async fn signed_digest(session: &Session, signature: Hash) -> anyhow::Result<Hash> {
    #[derive(Deserialize)]
    struct Kept {
        envelope: model::wire::Envelope,
    }
    let Kept { envelope } = session.client.get(&format!("/api/v1/signatures/{signature}")).await?;
    let signed: seal::action::SignedAction =
        seal::from_canonical(&envelope.payload.0).context("the signed action")?;
    match signed.action {
        Action::SetPolicy { digest } => Ok(digest),
        _ => bail!("what was signed for the set in force is something else"),
    }
}

fn asked_and_agreed() -> anyhow::Result<bool> {
    eprint!("Put this set in force? [y/N] ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no answer; give --yes")?;
    Ok(line.trim().eq_ignore_ascii_case("y"))
}
