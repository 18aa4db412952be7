//! Configuration files: TOML into one struct per program, unknown keys refused
//! with their line and the nearest known key.

use serde::de::DeserializeOwned;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// The error names line and column, quotes the line, and suggests a key.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let suggestion = suggestion(error.message());
        ConfigError(format!("{error}{suggestion}"))
    })
}

/// "unknown field `listne`, expected one of `data`, `listen`, …" → a hint.
fn suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let Some(found) = quoted.next() else { return String::new() };
    let nearest = quoted
        .map(|known| (strsim::jaro_winkler(found, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(String::new, |(_, known)| format!("\nDid you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the parser's errors are looked at")]
    struct Example {
        listen: String,
        data: String,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
        let error = parse::<Example>("data = \"x\"\nlistne = \"y\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.ends_with("Did you mean `listen`?"), "{error}");
        let error = parse::<Example>("entirely = 1").unwrap_err().to_string();
        assert!(!error.contains("Did you mean"), "{error}");
    }
}
