//! Secrets that an administrator of this machine puts into files of their own,
//! so that a configuration file can be shown.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

/// No secret is longer, in bytes.
const LENGTH_MAX: u64 = 4_096;
/// Read by others, or written by anybody but the owner.
const TOO_OPEN: u32 = 0o027;

/// The text of a file that nobody but its owner and group can read. `key` is
/// where the configuration names it.
pub(crate) fn read(key: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let failed = || format!("{key} = {} could not be read", path.display());
    let file = File::open(path).with_context(failed)?;
    // Of the file that is open: the path may be another one by now.
    let metadata = file.metadata().with_context(failed)?;
    ensure!(metadata.is_file(), "{key} = {} is no file", path.display());
    ensure!(
        metadata.permissions().mode() & TOO_OPEN == 0,
        "{key} = {path} can be read or changed by others; run: chmod g-w,o-rwx {path}",
        path = path.display()
    );
    ensure!(metadata.len() <= LENGTH_MAX, "{key} = {} is longer than {LENGTH_MAX} bytes", path.display());
    // Of its final size from the beginning: one that grows would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LENGTH_MAX as usize + 1));
    file.take(LENGTH_MAX).read_to_string(&mut text).with_context(failed)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    ensure!(!text.is_empty(), "{key} = {} is empty", path.display());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\n").unwrap();
        let read_as = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read("mqtt.password_file", &path)
        };
        for mode in [0o644, 0o604, 0o602, 0o620, 0o660, 0o601] {
            let error = format!("{:#}", read_as(mode).unwrap_err());
            assert!(error.starts_with("mqtt.password_file = "), "{error}");
            assert!(error.contains("chmod g-w,o-rwx"), "{mode:o}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for mode in [0o600, 0o400, 0o640] {
            assert_eq!(&*read_as(mode).unwrap(), "hunter2", "{mode:o}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(format!("{:#}", read("a.b", &path).unwrap_err()).contains("could not be read"));
        for (text, words) in [("", "empty"), ("\n", "empty"), (&"x".repeat(5_000), "longer than 4096")] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = format!("{:#}", read("a.b", &path).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read("a.b", &path).is_err());
        assert!(format!("{:#}", read("a.b", folder.path()).unwrap_err()).contains("is no file"));
    }
}
