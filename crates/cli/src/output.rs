//! Standard output for what a command is there for: a report that nobody got is no success.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;

/// Prints all of it. Whoever stops reading has read enough; a disk that is full is an error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the report could not be written"),
    }
}
