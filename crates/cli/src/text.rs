//! What others named, as a terminal may have it.

/// Without what would move the cursor or colour the screen.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
