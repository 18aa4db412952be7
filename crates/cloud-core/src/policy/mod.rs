//! Sets of policies, in Cedar: what the roles may do, and when not. A set is
//! some files; it is loaded as a whole or not at all, checked strictly against
//! the schema, and named by its digest. Policies narrow what the roster and
//! the signatures allow (`decide` asks those first); they never widen it.

mod bounds;
mod conditions;
mod entities;
mod question;
mod selection;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use cedar_policy::{Authorizer, Decision, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use model::Hash;
use seal::action::ServicePermission;
use serde::Serialize;

use selection::Selections;

pub use conditions::Conditions;
pub use entities::Unfit;
pub use question::{Asker, Circumstances, Object, Operation, PersonAsker, Posture, Question};

pub const FILES_MAX: usize = 32;
/// All files of a set together.
pub const BYTES_MAX: usize = 128 << 10;
/// Asking is linear in the number of policies.
pub const POLICIES_MAX: usize = 200;
const FILE_NAME_CHARS_MAX: usize = 64;
const ID_CHARS_MAX: usize = 100;
const WHY_CHARS_MAX: usize = 300;

pub const SCHEMA: &str = include_str!("../../../../policies/schema.cedarschema");

/// The set that an organisation has until it sets one.
const BUILTIN: [(&str, &str); 4] = [
    ("gateways.cedar", include_str!("../../../../policies/gateways.cedar")),
    ("people.cedar", include_str!("../../../../policies/people.cedar")),
    ("posture.cedar", include_str!("../../../../policies/posture.cedar")),
    ("programs.cedar", include_str!("../../../../policies/programs.cedar")),
];

static PARSED_SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("the schema of this program is sound");
    schema
});

/// The files of a set, by name.
pub type Files = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Policies {
    files: Files,
    digest: Hash,
    selections: Selections,
    authorizer: Authorizer,
    rules: HashMap<PolicyId, Rule>,
    warnings: Vec<String>,
}

/// A policy, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rule {
    pub id: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    /// What decided: permits of a yes, forbids of a no. A no without any is
    /// one because nothing permits.
    pub rules: Vec<Rule>,
}

/// What a person can bring that turns a no into a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Reason,
    SecondFactor,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PolicyError {
    /// File, line and policy, as far as they are known.
    pub place: String,
    pub message: String,
}

/// A policy could not be evaluated, which denies: an engine that passes over a
/// prohibition that fails would permit.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    Policy(String),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// What a device signs: SHA-256 of the files as canonical JSON.
pub fn digest(files: &Files) -> Hash {
    seal::sha256(&seal::to_canonical(files))
}

impl Policies {
    pub fn builtin() -> Self {
        let files = BUILTIN.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        Self::parse(files).expect("the policies of this program are sound")
    }

    /// All or nothing, with every fault that was found.
    pub fn parse(files: Files) -> Result<Self, Vec<PolicyError>> {
        check_files(&files).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let (mut set, mut rules) = (PolicySet::new(), HashMap::new());
        for (name, text) in &files {
            match read(name, text) {
                Ok(policies) => {
                    for (rule, policy) in policies {
                        if let Err(error) = set.add(policy.clone()) {
                            errors.push(fault(name, format!("policy {}: {error}", rule.id)));
                        }
                        rules.insert(policy.id().clone(), rule);
                    }
                }
                Err(found) => errors.extend(found),
            }
        }
        if set.num_of_policies() > POLICIES_MAX {
            errors.push(fault("the set", format!("it has more than {POLICIES_MAX} policies")));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let validation = Validator::new(PARSED_SCHEMA.clone()).validate(&set, ValidationMode::Strict);
        let errors: Vec<PolicyError> = validation
            .validation_errors()
            .map(|error| fault(&format!("policy {}", error.policy_id()), error.to_string()))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let warnings = validation.validation_warnings().map(|warning| warning.to_string()).collect();
        let selections = Selections::of(&set).map_err(|error| vec![fault("the set", error.to_string())])?;
        let digest = digest(&files);
        Ok(Policies { files, digest, selections, authorizer: Authorizer::new(), rules, warnings })
    }

    pub fn digest(&self) -> Hash {
        self.digest
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// All policies, in order of their ids.
    pub fn rules(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = self.rules.values().collect();
        rules.sort();
        rules
    }

    /// Sound, but hardly meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        self.answer(question, None)
    }

    /// The same, with the question held against the schema first: for
    /// questions that people make up.
    pub fn ask_strictly(&self, question: &Question) -> Result<Answer, AskError> {
        self.answer(question, Some(&PARSED_SCHEMA))
    }

    fn answer(&self, question: &Question, schema: Option<&Schema>) -> Result<Answer, AskError> {
        let Some(selection) = self.selections.of_question(question) else {
            if schema.is_some() {
                entities::built(question, |_| true, schema)?;
            }
            return Ok(Answer { allowed: false, rules: Vec::new() });
        };
        let names = |attribute: &str| schema.is_some() || selection.names(attribute);
        let (request, entities) = entities::built(question, names, schema)?;
        let response = self.authorizer.is_authorized(&request, &selection.set, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(AskError::Policy(error.to_string()));
        }
        let mut rules: Vec<Rule> =
            response.diagnostics().reason().filter_map(|id| self.rules.get(id)).cloned().collect();
        rules.sort();
        Ok(Answer { allowed: response.decision() == Decision::Allow, rules })
    }

    /// Digest of the posture that the conditions of this question read:
    /// SHA-256 of `{"cam_…":"good"}`, whoever asks and what it is about, in
    /// canonical JSON. None if no policy that the question can concern names it.
    pub fn posture(&self, question: &Question) -> Option<Hash> {
        let selection = self.selections.of_question(question)?;
        let read = if selection.names("posture") { question.postures() } else { BTreeMap::new() };
        (!read.is_empty()).then(|| seal::sha256(&seal::to_canonical(&read)))
    }

    /// What the policies that this question can concern look at.
    pub fn conditions(&self, question: &Question) -> Conditions {
        self.selections.of_question(question).map_or_else(Conditions::default, Conditions::of)
    }

    /// What would turn the no to this question into a yes.
    pub fn missing(&self, question: &Question) -> Option<Missing> {
        let with = |change: fn(&mut Circumstances)| {
            let mut changed = question.clone();
            change(&mut changed.circumstances);
            self.ask(&changed).is_ok_and(|answer| answer.allowed)
        };
        let asked = &question.circumstances;
        let selection = self.selections.of_question(question)?;
        if asked.reason.is_none()
            && selection.names("reason")
            && with(|asked| asked.reason = Some("a reason".to_owned()))
        {
            return Some(Missing::Reason);
        }
        let helps = !asked.second_factor
            && selection.names("secondFactor")
            && with(|asked| asked.second_factor = true);
        helps.then_some(Missing::SecondFactor)
    }
}

pub(crate) fn permission_name(permission: ServicePermission) -> &'static str {
    match permission {
        ServicePermission::ListCameras => "listCameras",
        ServicePermission::ListGateways => "listGateways",
        ServicePermission::ListRecordings => "listRecordings",
        ServicePermission::ReadHistory => "readHistory",
        ServicePermission::ProvisionPeople => "provisionPeople",
    }
}

fn fault(place: &str, message: String) -> PolicyError {
    PolicyError { place: place.to_owned(), message }
}

fn check_files(files: &Files) -> Result<(), PolicyError> {
    let plain = |name: &str| {
        name.strip_suffix(".cedar").is_some_and(|stem| {
            !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        }) && name.len() <= FILE_NAME_CHARS_MAX
    };
    if let Some(name) = files.keys().find(|name| !plain(name)) {
        let name: String = name.chars().take(FILE_NAME_CHARS_MAX).filter(|c| !c.is_control()).collect();
        return Err(fault(
            &name,
            format!(
                "a file of policies is named like `people.cedar`: letters, digits, `-`, `_`, at most \
                 {FILE_NAME_CHARS_MAX} characters"
            ),
        ));
    }
    if files.is_empty() || files.len() > FILES_MAX {
        return Err(fault("the set", format!("it has {} files; 1 to {FILES_MAX} are allowed", files.len())));
    }
    let bytes: usize = files.values().map(String::len).sum();
    if bytes > BYTES_MAX {
        return Err(fault("the set", format!("it has {bytes} bytes; at most {BYTES_MAX} are allowed")));
    }
    Ok(())
}

/// The policies of one file, each under its own id.
fn read(name: &str, text: &str) -> Result<Vec<(Rule, Policy)>, Vec<PolicyError>> {
    bounds::check(text).map_err(|fault_at| {
        vec![fault(&format!("{name} line {}", fault_at.line), fault_at.error.to_string())]
    })?;
    let parsed: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let faults = errors.iter().map(|error| fault(&place(name, text, error), error.to_string()));
        faults.collect::<Vec<_>>()
    })?;
    if parsed.templates().next().is_some() {
        return Err(vec![fault(name, "templates are not supported; write the policy out".to_owned())]);
    }
    let annotated = |policy: &Policy| {
        let told = |key: &str, max: usize| {
            let text = policy.annotation(key).unwrap_or_default();
            let good = (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            good.then(|| text.to_owned()).ok_or_else(|| {
                let first = policy
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(80)
                    .collect::<String>();
                fault(
                    name,
                    format!("a policy needs `@{key}(\"…\")` of 1 to {max} printable characters: {first}"),
                )
            })
        };
        let rule = Rule { id: told("id", ID_CHARS_MAX)?, why: told("why", WHY_CHARS_MAX)? };
        let policy = policy.new_id(PolicyId::new(&rule.id));
        Ok((rule, policy))
    };
    let read: Vec<Result<(Rule, Policy), PolicyError>> = parsed.policies().map(annotated).collect();
    let faults: Vec<PolicyError> = read.iter().filter_map(|read| read.as_ref().err().cloned()).collect();
    if faults.is_empty() { Ok(read.into_iter().flatten().collect()) } else { Err(faults) }
}

/// `people.cedar line 12`, if the error says where.
fn place(name: &str, text: &str, error: &dyn Diagnostic) -> String {
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => format!("{name} line {}", before.matches('\n').count() + 1),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
