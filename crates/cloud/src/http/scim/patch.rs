//! PATCH (RFC 7644 section 3.5.2), as directories send it: with and without a
//! path, operations in any case, and truth as a text.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ScimError;

const OPERATIONS_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
pub(crate) struct Patch {
    #[serde(rename = "Operations", alias = "operations")]
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    op: String,
    path: Option<String>,
    #[serde(default)]
    value: Value,
}

/// One thing to do to one attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// `attribute` in lower case.
    Set {
        attribute: String,
        value: Value,
    },
    Add {
        attribute: String,
        value: Value,
    },
    /// `value` is null where all of it goes.
    Remove {
        attribute: String,
        value: Value,
    },
}

impl Patch {
    pub(super) fn steps(self) -> Result<Vec<Step>, ScimError> {
        if self.operations.len() > OPERATIONS_MAX {
            return Err(ScimError::new(
                StatusCode::BAD_REQUEST,
                "tooMany",
                format!("A request has at most {OPERATIONS_MAX} operations."),
            ));
        }
        let mut steps = Vec::new();
        for Operation { op, path, value } in self.operations {
            let op = op.to_ascii_lowercase();
            let parts = match path {
                Some(path) => vec![attribute(&path, value)?],
                None => match value {
                    Value::Object(values) => {
                        values.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
                    }
                    _ => return Err(path_refused()),
                },
            };
            for (attribute, value) in parts {
                steps.push(match op.as_str() {
                    "replace" => Step::Set { attribute, value },
                    "add" => Step::Add { attribute, value },
                    "remove" => Step::Remove { attribute, value },
                    _ => {
                        return Err(ScimError::new(
                            StatusCode::BAD_REQUEST,
                            "invalidSyntax",
                            "An operation is add, replace or remove.",
                        ));
                    }
                });
            }
        }
        Ok(steps)
    }
}

fn path_refused() -> ScimError {
    ScimError::new(
        StatusCode::BAD_REQUEST,
        "invalidPath",
        "A path is an attribute, or members[value eq \"ID\"].",
    )
}

/// The attribute of a path; `members[value eq "ID"]` becomes a value.
fn attribute(path: &str, value: Value) -> Result<(String, Value), ScimError> {
    let plain = path.rsplit_once(':').map_or(path, |(schema, rest)| {
        // Full names carry their schema before them.
        if schema.starts_with("urn:") && !schema.contains('[') { rest } else { path }
    });
    let Some((name, filter)) = plain.split_once('[') else { return Ok((plain.to_ascii_lowercase(), value)) };
    if !name.eq_ignore_ascii_case("members") {
        // `emails[type eq "work"].value` and its like are not kept.
        return Ok((format!("{}[]", name.to_ascii_lowercase()), value));
    }
    let filter = filter.strip_suffix(']').ok_or_else(path_refused)?;
    let (of, id) = super::filter::parse(filter).map_err(|_| path_refused())?;
    if of != "value" {
        return Err(path_refused());
    }
    Ok(("members".to_owned(), serde_json::json!([{ "value": id }])))
}

/// Truth, also as a text: Microsoft Entra ID sends `"False"`.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn any_operation_is_survived(
            op in "\\PC{0,8}|add|remove|Replace",
            path in prop::option::of("\\PC{0,30}|members\\[\\PC{0,30}|urn:\\PC{0,20}:\\PC{0,10}"),
            value in "\\PC{0,20}|[\\[{]{0,40}|\\{\"\\PC{0,8}\":true\\}",
        ) {
            let value: Value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            let _ = steps(json!([{ "op": op, "path": path, "value": value }]));
        }
    }

    fn steps(operations: Value) -> Result<Vec<Step>, ()> {
        let patch: Patch = serde_json::from_value(json!({ "Operations": operations })).map_err(|_| ())?;
        patch.steps().map_err(|_| ())
    }

    #[test]
    fn operations_come_as_directories_write_them() {
        let set = |attribute: &str, value: Value| Step::Set { attribute: attribute.to_owned(), value };
        let entra = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
        assert_eq!(steps(entra), Ok(vec![set("active", json!("False"))]));
        let okta = json!([{ "op": "replace", "value": { "active": false } }]);
        assert_eq!(steps(okta), Ok(vec![set("active", json!(false))]));
        let urn = "urn:ietf:params:scim:schemas:core:2.0:User:displayName";
        assert_eq!(
            steps(json!([{ "op": "replace", "path": urn, "value": "Ada" }])),
            Ok(vec![set("displayname", json!("Ada"))])
        );
        let remove = |value| Step::Remove { attribute: "members".to_owned(), value };
        let one = json!([{ "op": "remove", "path": "members[value eq \"usr_1\"]" }]);
        assert_eq!(steps(one), Ok(vec![remove(json!([{ "value": "usr_1" }]))]));
        assert_eq!(steps(json!([{ "op": "remove", "path": "members" }])), Ok(vec![remove(Value::Null)]));
        for bad in [
            json!([{ "op": "move", "path": "active", "value": true }]),
            json!([{ "op": "replace", "value": true }]),
            json!([{ "op": "remove", "path": "members[display eq \"Ada\"]" }]),
            json!([{ "op": "remove", "path": "members[value eq \"a\"" }]),
            json!(vec![json!({ "op": "add", "path": "active" }); OPERATIONS_MAX + 1]),
        ] {
            assert_eq!(steps(bad.clone()), Err(()), "{bad}");
        }
    }

    #[test]
    fn truth_is_a_text_as_well() {
        assert_eq!(
            [json!(true), json!("False"), json!("no")].map(|value| truth(&value)),
            [Some(true), Some(false), None]
        );
    }
}
