//! Which policies a question can concern at all, worked out when a set is
//! loaded: asking is linear in policies, and most of them are about another
//! action or another kind of asker. What the selected ones never name is not
//! built either.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};

use super::question::{Operation, Question};

/// Kinds of principal and resource, and the action.
type Key = (&'static str, Operation, &'static str);

const ASKERS: [&str; 3] = ["Person", "Gateway", "Service"];
const OBJECTS: [&str; 4] = ["Organisation", "Gateway", "Camera", "Device"];

#[derive(Debug, thiserror::Error)]
#[error("policy {0} cannot be taken apart")]
pub(super) struct Unselected(String);

#[derive(Debug)]
pub(super) struct Selections(HashMap<Key, Selection>);

#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) set: PolicySet,
    /// The selected policies as JSON, where no name hides behind an escape.
    text: String,
}

impl Selections {
    pub(super) fn of(policies: &PolicySet) -> Result<Self, Unselected> {
        let mut selections: HashMap<Key, Selection> = HashMap::new();
        for policy in policies.policies() {
            let unselected = |_| Unselected(policy.id().to_string());
            let text = policy.to_json().map_err(|_| Unselected(policy.id().to_string()))?.to_string();
            for asker in ASKERS.into_iter().filter(|asker| is_about_asker(policy, asker)) {
                for object in OBJECTS.into_iter().filter(|object| is_about_object(policy, object)) {
                    for operation in Operation::ALL.iter().filter(|operation| is_about(policy, **operation)) {
                        let selection = selections.entry((asker, *operation, object)).or_default();
                        selection.set.add(policy.clone()).map_err(unselected)?;
                        selection.text.push_str(&text);
                    }
                }
            }
        }
        Ok(Selections(selections))
    }

    /// None: no policy is about such a question.
    pub(super) fn of_question(&self, question: &Question) -> Option<&Selection> {
        self.0.get(&(question.asker.kind(), question.operation, question.object.kind()))
    }
}

impl Selection {
    /// Whether an attribute of this name can matter.
    pub(super) fn names(&self, attribute: &str) -> bool {
        self.text.contains(attribute)
    }
}

/// `principal in` a scope can be of any kind.
fn is_about_asker(policy: &Policy, kind: &str) -> bool {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
        PrincipalConstraint::Eq(uid) => uid.type_name().basename() == kind,
        PrincipalConstraint::Is(name) | PrincipalConstraint::IsIn(name, _) => name.basename() == kind,
    }
}

fn is_about_object(policy: &Policy, kind: &str) -> bool {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::In(_) => true,
        ResourceConstraint::Eq(uid) => uid.type_name().basename() == kind,
        ResourceConstraint::Is(name) | ResourceConstraint::IsIn(name, _) => name.basename() == kind,
    }
}

/// The schema has no groups of actions, so that `in` is one of the list.
fn is_about(policy: &Policy, operation: Operation) -> bool {
    let named = |uid: &EntityUid| uid.id().unescaped() == operation.as_str();
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(uids) => uids.iter().any(named),
        ActionConstraint::Eq(uid) => named(&uid),
    }
}
