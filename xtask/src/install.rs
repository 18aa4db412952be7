//! Tools that tasks need. Nothing is installed that is there already.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::tasks::{run, step};

/// Program or file that shows that a Debian package is there.
const BUILD: &[(&str, &str)] = &[("cc", "build-essential"), ("cmake", "cmake")];
/// For packages, and for judging the units in them.
const DIST: &[(&str, &str)] = &[
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("strip", "binutils"),
    ("systemd-analyze", "systemd"),
];
const TEST: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("fakeroot", "fakeroot"),
    ("ffmpeg", "ffmpeg"),
    ("initdb", "postgresql"),
    ("/usr/sbin/mosquitto", "mosquitto"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("openssl", "openssl"),
    ("pip3", "python3-pip"),
    ("/usr/sbin/rsyslogd", "rsyslog"),
    ("/usr/share/doc/rsyslog-gnutls", "rsyslog-gnutls"),
    ("gst-launch-1.0", "gstreamer1.0-tools"),
    ("/usr/lib/python3/dist-packages/gi", "python3-gi"),
    ("/usr/share/doc/gstreamer1.0-rtsp", "gstreamer1.0-rtsp"),
    ("/usr/share/doc/gir1.2-gst-rtsp-server-1.0", "gir1.2-gst-rtsp-server-1.0"),
    ("/usr/share/doc/gstreamer1.0-plugins-base", "gstreamer1.0-plugins-base"),
    ("/usr/share/doc/gstreamer1.0-plugins-good", "gstreamer1.0-plugins-good"),
    ("/usr/share/doc/gstreamer1.0-plugins-bad", "gstreamer1.0-plugins-bad"),
    ("/usr/share/doc/gstreamer1.0-plugins-ugly", "gstreamer1.0-plugins-ugly"),
    ("/usr/share/doc/gstreamer1.0-libav", "gstreamer1.0-libav"),
    // What packs the archives and images that the sweep unpacks.
    ("7zz", "7zip"),
    ("bzip2", "bzip2"),
    ("compress", "ncompress"),
    ("cpio", "cpio"),
    ("cramfsswap", "cramfsswap"),
    ("dtc", "device-tree-compiler"),
    ("/usr/sbin/mke2fs", "e2fsprogs"),
    ("gcab", "gcab"),
    ("genisoimage", "genisoimage"),
    ("genromfs", "genromfs"),
    ("img2simg", "android-sdk-libsparse-utils"),
    ("lz4", "lz4"),
    ("lzip", "lzip"),
    ("lzop", "lzop"),
    ("mcopy", "mtools"),
    ("mkimage", "u-boot-tools"),
    ("mksquashfs", "squashfs-tools"),
    ("/usr/sbin/mkfs.exfat", "exfatprogs"),
    ("/usr/sbin/mkfs.fat", "dosfstools"),
    ("/usr/sbin/mkfs.jffs2", "mtd-utils"),
    ("/usr/sbin/sfdisk", "fdisk"),
    ("xorriso", "xorriso"),
    ("xz", "xz-utils"),
    ("zip", "zip"),
    ("zstd", "zstd"),
];
/// Azurite, the store of the tests, wants a newer Node than the web app.
pub(crate) const AZURITE: &str = ".cache/azurite";
const AZURITE_PACKAGES: [&str; 2] = ["node@22", "azurite@3.37.0"];
/// A reader of transparency logs that others wrote. It names a newer Python
/// than Debian 12 has, and needs nothing of it.
const TLOG: &str = ".cache/aics-tlog";
const TLOG_PACKAGE: &str = "aics-tlog==0.2.1";
/// The libraries of the Standard Webhooks specification, which receivers use.
const WEBHOOKS: &str = ".cache/standardwebhooks";
const WEBHOOKS_PACKAGE: &str = "standardwebhooks==1.1.0";
/// A mail server that others wrote.
const SMTP: &str = ".cache/aiosmtpd";
const SMTP_PACKAGE: &str = "aiosmtpd==1.4.6";
/// A client of cameras of Axis that others wrote. It hears event streams since
/// release 68, and each since then names Python 3.14; the module that does it runs
/// on Debian 12's, as `axis_client.py` in the gateway's tests loads it.
const AXIS: &str = ".cache/axis";
const AXIS_PACKAGE: &str = "axis==74";
/// What that module imports, as the release was tested with.
const AXIS_NEEDS: [&str; 3] = ["aiohttp==3.14.1", "orjson==3.11.9", "xmltodict==1.0.4"];
/// Other programs that look for secrets, for comparing.
const KINGFISHER: &str = ".cache/kingfisher";
const KINGFISHER_PACKAGE: &str = "kingfisher-bin==2.14.0";
const DETECT_SECRETS: &str = ".cache/detect-secrets";
const DETECT_SECRETS_PACKAGE: &str = "detect-secrets==1.5.0";
const NODE_MAJOR: u32 = 20;

pub(crate) fn build() -> anyhow::Result<()> {
    debian(BUILD)?;
    node()?;
    web_packages()
}

pub(crate) fn dist() -> anyhow::Result<()> {
    debian(DIST)
}

pub(crate) fn test() -> anyhow::Result<()> {
    build()?;
    debian(DIST)?;
    debian(TEST)?;
    if !present("cargo-nextest") {
        step("Installing cargo-nextest (the test runner); this takes some minutes");
        // Unoptimised, since it waits for the tests, and without what it updates itself by, which
        // brings a TLS stack: so it is there sooner.
        run(Command::new("cargo")
            .args(["install", "cargo-nextest", "--locked", "--debug", "--no-default-features"])
            .env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    if !Path::new(AZURITE).join("node_modules/azurite/package.json").exists() {
        step("Installing Azurite (an Azure Blob Storage emulator) into .cache");
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix", AZURITE])
            .args(AZURITE_PACKAGES))?;
    }
    if !Path::new(TLOG).join("aics_tlog").exists() {
        step("Installing aics-tlog (a reader of transparency logs) into .cache");
        python(&["--ignore-requires-python", "--target", TLOG, TLOG_PACKAGE])?;
    }
    if !Path::new(WEBHOOKS).join("standardwebhooks").exists() {
        step("Installing standardwebhooks (a verifier of webhooks) into .cache");
        python(&["--no-deps", "--target", WEBHOOKS, WEBHOOKS_PACKAGE])?;
    }
    if !Path::new(SMTP).join("aiosmtpd").exists() {
        step("Installing aiosmtpd (a mail server) into .cache");
        python(&["--target", SMTP, SMTP_PACKAGE])?;
    }
    if !Path::new(DETECT_SECRETS).join("detect_secrets").exists() {
        step("Installing detect-secrets (which looks for secrets, too) into .cache");
        python(&["--target", DETECT_SECRETS, DETECT_SECRETS_PACKAGE])?;
    }
    if !Path::new(KINGFISHER).join("kingfisher").exists() {
        step("Installing Kingfisher (which looks for secrets, too) into .cache");
        python(&["--no-deps", "--target", KINGFISHER, KINGFISHER_PACKAGE])?;
    }
    if !Path::new(AXIS).join("aiohttp").exists() {
        step("Installing axis (a client of cameras of Axis) into .cache");
        python(&["--ignore-requires-python", "--no-deps", "--target", AXIS, AXIS_PACKAGE])?;
        python(&[&["--target", AXIS][..], &AXIS_NEEDS].concat())?;
    }
    Ok(())
}

fn python(arguments: &[&str]) -> anyhow::Result<()> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new("python3").args(pip).args(arguments))
}

fn debian(wanted: &[(&str, &'static str)]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(sign, _)| !present(sign)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(present("apt-get"), "please install what these Debian packages hold: {}", missing.join(" "));
    step(&format!("Installing Debian packages: {}", missing.join(" ")));
    let apt = |arguments: &[&str]| {
        let is_root = user_id()? == "0";
        let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
        if !is_root {
            command.arg("apt-get");
        }
        run(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-qq", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
}

fn user_id() -> anyhow::Result<String> {
    let output = Command::new("id").arg("-u").output().context("`id` could not be run")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn node() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().ok();
    let version =
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MAJOR => Ok(()),
        _ => {
            bail!("the web app needs Node {NODE_MAJOR} or newer (found {version:?}); see https://nodejs.org/")
        }
    }
}

/// `npm ci` when the lock file is newer than what is installed.
fn web_packages() -> anyhow::Result<()> {
    let modified = |path: &str| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let installed = modified("web/node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("web/package-lock.json") {
        return Ok(());
    }
    step("Installing the web app's packages (npm ci)");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir("web"))
}

fn present(sign: &str) -> bool {
    if sign.starts_with('/') {
        return Path::new(sign).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps PostgreSQL's server programs out of the path.
    let postgres = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path).chain(postgres.map(|entry| entry.path().join("bin")));
    folders.into_iter().any(|folder| folder.join(sign).is_file())
}
