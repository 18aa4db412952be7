//! Makes the filter of common passwords from a list with one password a line:
//! `cargo xtask passwords FILE`. Writes nothing but the filter.

use anyhow::Context as _;

const FILTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/common-passwords.filter");

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("name the file with the list")?;
    let list = std::fs::read(&path).with_context(|| format!("{path} could not be read"))?;
    // Lists of old leaks are not all UTF-8; such lines are nobody's here.
    let list = String::from_utf8_lossy(&list);
    let (filter, keys) = cloud::password_filter_of(&list)?;
    std::fs::write(FILTER, &filter).with_context(|| format!("{FILTER} could not be written"))?;
    eprintln!("{keys} keys, {} bytes: {FILTER}", filter.len());
    Ok(())
}
