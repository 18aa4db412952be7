//! The units as systemd itself reads them: no word that it does not know, and
//! no more reach than was agreed on.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Of 100, as `systemd-analyze security` counts; a unit without hardening has
/// 96. Ours have 12 and 16, for the network that they are there for.
const EXPOSURE_MAX: &str = "20";
/// What every unit leans on, and what is no part of a package.
const OTHERS: [&str; 5] =
    ["basic.target", "multi-user.target", "network.target", "shutdown.target", "sysinit.target"];

/// Checks the unit of a package that is laid out below `root`.
pub(crate) fn check(name: &str, root: &Path) -> anyhow::Result<()> {
    let unit = format!("{name}.service");
    let folder = root.join("usr/lib/systemd/system");
    for other in OTHERS {
        std::fs::write(folder.join(other), "[Unit]\n")?;
    }
    let verified = analyze(&["verify"], root, &unit);
    let exposure = format!("--threshold={EXPOSURE_MAX}");
    let secure = verified.and_then(|said| {
        // What it does not know it only tells.
        ensure!(said.is_empty(), "{unit}: {said}");
        analyze(&["security", "--offline=true", "--no-pager", &exposure], root, &unit)
    });
    for other in OTHERS {
        std::fs::remove_file(folder.join(other))?;
    }
    let said = secure?;
    let level = said.lines().rfind(|line| line.contains("exposure level")).unwrap_or_default();
    println!("{}", level.trim_start_matches(['→', ' ']));
    Ok(())
}

fn analyze(arguments: &[&str], root: &Path, unit: &str) -> anyhow::Result<String> {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(format!("--root={}", std::path::absolute(root)?.display()))
        .arg(unit)
        .output()
        .context("systemd-analyze could not be run")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "systemd-analyze {}: {said}", arguments[0]);
    Ok(said)
}
