//! Canonical JSON (section 1.1): one spelling for everything that is signed.
//! Refuses a document that would be written differently from how it was read,
//! so repeated keys, unknown keys and white space have no second meaning.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    #[error("not the expected JSON: {0}")]
    Parse(#[from] serde_json::Error),
    #[error("the JSON is not in canonical form (first difference at byte {at})")]
    NotCanonical { at: usize },
}

/// The fields of `T` are written in the order of their declaration, which is
/// the order of the specification.
pub fn to_canonical<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types serialise: string keys, no failing impls")
}

pub fn from_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value: T = serde_json::from_slice(bytes)?;
    let again = to_canonical(&value);
    if again == bytes {
        return Ok(value);
    }
    let at = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(CanonicalError::NotCanonical { at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        a: u64,
        b: Option<String>,
    }

    #[test]
    fn only_one_spelling_is_read() {
        assert!(from_canonical::<Example>(br#"{"a":1,"b":null}"#).is_ok());
        for bad in [
            r#"{"a":1}"#,
            r#"{"b":null,"a":1}"#,
            r#"{"a":1,"b":null} "#,
            r#"{"a":1,"a":1,"b":null}"#,
            r#"{"a":1,"b":null,"c":0}"#,
            r#"{"a":1.0,"b":null}"#,
            r#"{"a":1,"b":"\u0041"}"#,
        ] {
            assert!(from_canonical::<Example>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
