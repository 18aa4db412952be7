//! The filters that directories use before they make somebody: one attribute,
//! `eq`, one text (RFC 7644 section 3.4.2.2). Others are refused by name.

use axum::http::StatusCode;

use super::ScimError;

const FILTER_BYTES_MAX: usize = 1_024;

/// The attribute in lower case, and the text.
pub(super) fn parse(filter: &str) -> Result<(String, String), ScimError> {
    let refused = || {
        ScimError::new(
            StatusCode::BAD_REQUEST,
            "invalidFilter",
            "A filter is an attribute, eq, and a text in quotes, as in userName eq \"ada\".",
        )
    };
    if filter.len() > FILTER_BYTES_MAX {
        return Err(refused());
    }
    let (attribute, rest) = filter.trim().split_once(char::is_whitespace).ok_or_else(refused)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(refused)?;
    if !operator.eq_ignore_ascii_case("eq") {
        return Err(refused());
    }
    // A text of JSON, and nothing after it.
    let value: String = serde_json::from_str(value.trim()).map_err(|_| refused())?;
    Ok((attribute.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is sent; what is taken is one attribute and one text.
        #[test]
        fn any_filter_is_survived(filter in "\\PC{0,40}|[a-z ]{0,8} (eq|EQ) \"?\\PC{0,20}\"?") {
            if let Ok((attribute, _)) = parse(&filter) {
                prop_assert!(!attribute.contains(char::is_whitespace));
            }
        }
    }

    #[test]
    fn one_attribute_equals_one_text() {
        let of = |filter: &str| parse(filter).ok();
        let found = |attribute: &str, value: &str| Some((attribute.to_owned(), value.to_owned()));
        assert_eq!(of("userName eq \"Ada\""), found("username", "Ada"));
        assert_eq!(of("  externalId EQ \"a \\\" b\" "), found("externalid", "a \" b"));
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName eq ada",
            "userName sw \"a\"",
            "userName eq \"a\" or active eq true",
            "userName eq \"a\" and userName eq \"b\"",
            &format!("userName eq \"{}\"", "a".repeat(FILTER_BYTES_MAX)),
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
