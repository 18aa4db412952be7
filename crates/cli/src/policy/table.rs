//! Table tests of policies: `tests/*.toml` beside the files of a set. Each file
//! describes an organisation and says who may do what there.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use cloud_core::policy::Policies;
use serde::Deserialize;

use super::world::{Asked, When, World};

const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    organisation: World,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    who: String,
    does: String,
    to: String,
    allow: bool,
    /// The policy that must have decided.
    rule: Option<String>,
    at: Option<String>,
    #[serde(default)]
    second_factor: bool,
    #[serde(default)]
    approvals: u32,
    network: Option<IpAddr>,
    reason: Option<String>,
}

#[derive(Default)]
pub(super) struct Outcome {
    pub(super) passed: usize,
    pub(super) failures: Vec<String>,
}

/// Every table of the folder, in order of their names.
pub(super) fn run(policies: &Policies, folder: &Path) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for path in super::files_in(folder, "toml")? {
        let text = super::read(&path, FILE_BYTES_MAX)?;
        table(policies, &text, &mut outcome).with_context(|| path.display().to_string())?;
    }
    ensure!(
        outcome.passed + outcome.failures.len() > 0,
        "{} holds no tests; docs/policies.md says how to write them",
        folder.display()
    );
    Ok(outcome)
}

fn table(policies: &Policies, text: &str, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Table { organisation, tests } = toml::from_str(text)?;
    let world = organisation.checked()?;
    for (number, test) in tests.into_iter().enumerate() {
        let place = format!("test {}", number + 1);
        match one(policies, &world, test).with_context(|| place.clone())? {
            None => outcome.passed += 1,
            Some(failure) => outcome.failures.push(format!("{place}: {failure}")),
        }
    }
    Ok(())
}

/// What came out otherwise than expected.
fn one(policies: &Policies, world: &World, test: Test) -> anyhow::Result<Option<String>> {
    let Test { who, does, to, allow, rule, at, second_factor, approvals, network, reason } = test;
    let when = When { at, second_factor, approvals, network, reason };
    let question = world.question(&Asked { who: who.clone(), does: does.clone(), to: to.clone(), when })?;
    let answer = policies.ask_strictly(&question)?;
    let came_out = format!("{who} {does} {to} is {}", super::verdict(&answer));
    let told = |rule: &String| answer.rules.iter().any(|told| told.id == *rule);
    Ok(match rule {
        _ if answer.allowed != allow => Some(came_out),
        Some(rule) if !told(&rule) => Some(format!("{came_out}, not {rule}")),
        _ => None,
    })
}
