//! Counted things in words.

/// `1 file`, `2 files`; of what does not end in `s`, `many` says how.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
