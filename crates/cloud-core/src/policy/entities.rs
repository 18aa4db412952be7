//! A question as the policy engine takes it: two entities, an action and a
//! context. Scopes need not be entities of their own; that a camera is in one
//! stands with the camera.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use model::Timestamp;

use super::question::{Asker, Circumstances, Object, Operation, Question};

type Attributes = HashMap<String, RestrictedExpression>;

/// The last millisecond of the last year that the engine's dates have.
const LATEST: Timestamp = Timestamp(253_402_300_799_999);

struct Names {
    scope: EntityTypeName,
    person: EntityTypeName,
    kinds: HashMap<&'static str, EntityTypeName>,
    operations: HashMap<Operation, EntityUid>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let name = |text: &str| text.parse::<EntityTypeName>().expect("a name of our schema");
    let kinds = ["Person", "Gateway", "Service", "Organisation", "Camera", "Device"];
    let action = name("Action");
    let uid = |operation: Operation| {
        EntityUid::from_type_name_and_id(action.clone(), EntityId::new(operation.as_str()))
    };
    Names {
        scope: name("Scope"),
        person: name("Person"),
        kinds: kinds.into_iter().map(|kind| (kind, name(kind))).collect(),
        operations: Operation::ALL.iter().map(|operation| (*operation, uid(*operation))).collect(),
    }
});

#[derive(Debug, thiserror::Error)]
#[error("the question does not fit the schema: {0}")]
pub struct Unfit(String);

/// With the attributes that `names` says can matter. With a schema, all is
/// checked against it.
pub(super) fn built(
    question: &Question,
    names: impl Fn(&str) -> bool,
    schema: Option<&Schema>,
) -> Result<(Request, Entities), Unfit> {
    let unfit = |error: &dyn std::fmt::Display| Unfit(error.to_string());
    let (principal, resource) = (asker(&question.asker, &names)?, object(&question.object, &names)?);
    let request = Request::new(
        principal.uid(),
        NAMES.operations[&question.operation].clone(),
        resource.uid(),
        context(&question.circumstances, &names)?,
        schema,
    );
    // A gateway that stores its own grants is both.
    let entities = if principal.uid() == resource.uid() { vec![resource] } else { vec![principal, resource] };
    let entities = Entities::from_entities(entities, schema).map_err(|error| unfit(&error))?;
    Ok((request.map_err(|error| unfit(&error))?, entities))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn scope(place: &str) -> EntityUid {
    uid(&NAMES.scope, place)
}

fn scopes(places: &BTreeSet<String>) -> RestrictedExpression {
    let member = |place: &String| RestrictedExpression::new_entity_uid(scope(place));
    RestrictedExpression::new_set(places.iter().map(member))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn entity(kind: &str, id: &str, attributes: Attributes, parents: Vec<String>) -> Result<Entity, Unfit> {
    let parents: HashSet<EntityUid> = parents.iter().map(|place| scope(place)).collect();
    Entity::new(uid(&NAMES.kinds[kind], id), attributes, parents).map_err(|error| Unfit(error.to_string()))
}

fn asker(asker: &Asker, names: impl Fn(&str) -> bool) -> Result<Entity, Unfit> {
    let (id, attributes, places) = match asker {
        Asker::Person(person) => {
            let mut attributes = named([
                ("hasDevice", RestrictedExpression::new_bool(person.has_device)),
                ("administers", RestrictedExpression::new_bool(person.administers)),
            ]);
            for (name, places) in [
                ("opens", &person.opens),
                ("views", &person.views),
                ("operates", &person.operates),
                ("audits", &person.audits),
                ("installs", &person.installs),
            ] {
                if names(name) {
                    attributes.insert(name.to_owned(), scopes(places));
                }
            }
            (&person.id, attributes, Vec::new())
        }
        Asker::Gateway { id, posture } => (
            id,
            named([("posture", text(posture.as_str()))]),
            vec!["all".to_owned(), format!("gateway:{id}")],
        ),
        Asker::Service { id, opens, permissions } => {
            let permissions = permissions.iter().map(|permission| text(super::permission_name(*permission)));
            let permissions = RestrictedExpression::new_set(permissions);
            (id, named([("opens", scopes(opens)), ("permissions", permissions)]), Vec::new())
        }
    };
    entity(asker.kind(), id, attributes, places)
}

fn object(object: &Object, names: impl Fn(&str) -> bool) -> Result<Entity, Unfit> {
    let (id, attributes) = match object {
        Object::Organisation { id, administrators_needed } => {
            let needed = RestrictedExpression::new_long(i64::from(*administrators_needed));
            (id, named([("administratorsNeeded", needed)]))
        }
        Object::Gateway { id, posture } => (id, named([("posture", text(posture.as_str()))])),
        Object::Camera { id, gateway, posture, .. } => {
            let mut attributes = named([("posture", text(posture.as_str()))]);
            if names("gateway") {
                let gateway = RestrictedExpression::new_entity_uid(uid(&NAMES.kinds["Gateway"], gateway));
                attributes.insert("gateway".to_owned(), gateway);
            }
            (id, attributes)
        }
        Object::Device { id, owner } => {
            (id, named([("owner", RestrictedExpression::new_entity_uid(uid(&NAMES.person, owner)))]))
        }
    };
    entity(object.kind(), id, attributes, object.places())
}

fn named<const N: usize>(attributes: [(&str, RestrictedExpression); N]) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn context(circumstances: &Circumstances, names: impl Fn(&str) -> bool) -> Result<Context, Unfit> {
    let Circumstances { now, second_factor, approvals, network, reason } = circumstances;
    let mut attributes = vec![
        ("weekday".to_owned(), RestrictedExpression::new_long(weekday(*now))),
        ("secondFactor".to_owned(), RestrictedExpression::new_bool(*second_factor)),
        ("approvals".to_owned(), RestrictedExpression::new_long(i64::from(*approvals))),
    ];
    if names("now") {
        attributes.push(("now".to_owned(), RestrictedExpression::new_datetime(date(*now))));
    }
    if let Some(network) = network
        && names("network")
    {
        attributes
            .push(("network".to_owned(), RestrictedExpression::new_ip(network.to_canonical().to_string())));
    }
    if let Some(reason) = reason
        && names("reason")
    {
        attributes.push(("reason".to_owned(), text(reason)));
    }
    Context::from_pairs(attributes).map_err(|error| Unfit(error.to_string()))
}

/// ISO 8601 with milliseconds, the engine's longest form.
fn date(at: Timestamp) -> String {
    let at = at.min(LATEST);
    let (year, month, day) = at.utc_date();
    let ms = at.0 % Timestamp::DAY;
    let (hour, minute) = (ms / Timestamp::HOUR, ms / Timestamp::MINUTE % 60);
    let (second, ms) = (ms / Timestamp::SECOND % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Monday is 1; 1970 began on a Thursday.
fn weekday(at: Timestamp) -> i64 {
    ((at.0 / Timestamp::DAY + 3) % 7 + 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_weekdays_of_the_context() {
        let at = Timestamp(1_763_836_805_007);
        assert_eq!(date(at), "2025-11-22T18:40:05.007Z");
        assert_eq!(weekday(at), 6);
        assert_eq!((date(Timestamp(0)).as_str(), weekday(Timestamp(0))), ("1970-01-01T00:00:00.000Z", 4));
        assert_eq!(date(Timestamp(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }
}
