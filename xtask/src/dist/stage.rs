//! A folder that becomes a package: its files, with the modes that they are
//! installed with, whatever the umask of whoever builds.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::tasks::run;

pub(crate) struct Stage {
    root: PathBuf,
}

impl Stage {
    pub(crate) fn new(root: PathBuf) -> anyhow::Result<Self> {
        make_folder(&root)?;
        Ok(Stage { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn write(&self, to: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let to = self.place(to)?;
        std::fs::write(&to, text)?;
        Ok(std::fs::set_permissions(&to, Permissions::from_mode(mode))?)
    }

    pub(crate) fn copy(&self, from: impl AsRef<Path>, to: &str, mode: u32) -> anyhow::Result<()> {
        let (from, to) = (from.as_ref(), self.place(to)?);
        std::fs::copy(from, &to).with_context(|| format!("{} could not be copied", from.display()))?;
        Ok(std::fs::set_permissions(&to, Permissions::from_mode(mode))?)
    }

    /// Without what only a debugger reads.
    pub(crate) fn program(&self, from: &Path, to: &str) -> anyhow::Result<()> {
        ensure!(from.exists(), "{} is not built; leave --binaries away, and it will be", from.display());
        let to = self.place(to)?;
        run(Command::new("strip").args(["--strip-debug", "-o"]).arg(&to).arg(from))?;
        Ok(std::fs::set_permissions(&to, Permissions::from_mode(0o755))?)
    }

    pub(crate) fn kibibytes(&self) -> anyhow::Result<u64> {
        kibibytes_below(&self.root)
    }

    pub(crate) fn forget(&self, folder: &str) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.root.join(folder))?)
    }

    pub(crate) fn remove(self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.root)?)
    }

    fn place(&self, to: &str) -> anyhow::Result<PathBuf> {
        let to = self.root.join(to);
        make_folder(to.parent().context("a file has a folder")?)?;
        Ok(to)
    }
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    make_folder(path.parent().context("a folder has a folder")?)?;
    std::fs::create_dir(path)?;
    Ok(std::fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// As Debian counts: each file and folder takes a whole kibibyte at least.
fn kibibytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 1;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.metadata()?;
        sum += if file.is_dir() { kibibytes_below(&entry.path())? } else { file.len().div_ceil(1_024) };
    }
    Ok(sum)
}
