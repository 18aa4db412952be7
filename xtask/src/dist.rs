//! `cargo xtask dist`: Debian packages and an archive of the programs, for
//! machines like this one, with their checksums. The same programs and the same
//! commit give the same bytes. It signs nothing and publishes nothing.

mod stage;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::install;
use crate::tasks::{build_as, run, step};
use stage::Stage;

/// Packages of the libraries that the programs may need at run time. Another one
/// would be a decision, not an accident. The last is for the demonstration
/// camera's encoder (openh264), in the command line alone.
const LIBRARIES: [&str; 3] = ["libc6", "libgcc-s1", "libstdc++6"];
const MAINTAINER: &str = "Lenskeep <lenskeep@localhost>";
/// Of Debian packages; others are built where they run.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

#[derive(Args)]
pub(crate) struct Options {
    /// How the programs are built.
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Package the programs of this folder, rather than build them.
    #[arg(long, value_name = "DIR")]
    pub(crate) binaries: Option<PathBuf>,
    /// Where the packages go. Default: `dist` in the target folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Counts packages of one version.
    #[arg(long, default_value_t = 1)]
    revision: u32,
    /// This package alone, and no archive; may stand several times.
    #[arg(long = "package", value_name = "NAME", value_parser = PACKAGES.map(|package| package.name))]
    packages: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    Dev,
    Release,
}

struct Package {
    /// Of the package and of its program.
    name: &'static str,
    section: &'static str,
    summary: &'static str,
    about: &'static str,
    /// Folder in `deploy`, for a program that runs as a service.
    service: Option<&'static str>,
}

const PACKAGES: [Package; 3] = [
    Package {
        name: "lenskeep-gateway",
        section: "video",
        summary: "records network cameras, sealed before they touch the disk",
        about: "Pulls video from the cameras of a site, seals every chunk so that only the devices\n of people open it, keeps the recordings and forwards them. Runs as a service.",
        service: Some("gateway"),
    },
    Package {
        name: "lenskeep-cloud",
        section: "video",
        summary: "server of Lenskeep: web app, index, relay and archive",
        about: "Holds users, index, relay and archive of an organisation's cameras, and no key that\n opens a picture. Runs as a service.",
        service: Some("cloud"),
    },
    Package {
        name: "lenskeep",
        section: "video",
        summary: "command line of Lenskeep, and all of it in one process",
        about: "A device of an organisation: watches, exports and verifies recordings, and lets other\n devices in. Runs cloud and gateway in one process for a trial.",
        service: None,
    },
];

/// What all packages of a run share.
struct Release {
    version: String,
    architecture: &'static str,
    /// Of the last commit, in seconds since 1970: the youngest date in a package.
    epoch: String,
    profile: Profile,
    binaries: PathBuf,
    out: PathBuf,
}

pub(crate) fn make(options: Options) -> anyhow::Result<()> {
    install::dist()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let binaries = match options.binaries {
        Some(binaries) => binaries,
        None => {
            build_as(options.profile == Profile::Release)?;
            target.join(if options.profile == Profile::Release { "release" } else { "debug" })
        }
    };
    let machine = std::env::consts::ARCH;
    let architecture = ARCHITECTURES.iter().find(|(of_rust, _)| *of_rust == machine);
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: architecture.with_context(|| format!("no packages are made for {machine}"))?.1,
        epoch: epoch()?,
        profile: options.profile,
        binaries,
        out: options.out.unwrap_or_else(|| target.join("dist")),
    };
    forget_what_was_made(&release.out)?;

    step("Checking the units (systemd-analyze)");
    let wanted = |package: &&Package| {
        options.packages.is_empty() || options.packages.iter().any(|name| name == package.name)
    };
    let stages: Vec<(&Package, Stage)> = PACKAGES
        .iter()
        .filter(wanted)
        .map(|package| Ok((package, release.stage(package)?)))
        .collect::<anyhow::Result<_>>()?;
    for (package, stage) in stages.iter().filter(|(package, _)| package.service.is_some()) {
        units::check(package.name, stage.root())?;
    }
    step("Packing");
    let mut made = Vec::new();
    for (package, stage) in &stages {
        made.push(release.debian(package, stage, options.revision)?);
    }
    if options.packages.is_empty() {
        made.push(release.archive(&stages)?);
    }
    for (_, stage) in stages {
        stage.remove()?;
    }
    checksums(&release.out, &made)?;
    println!("\nIn {}:", release.out.display());
    for name in &made {
        println!("  {:>7} KiB  {name}", std::fs::metadata(release.out.join(name))?.len() >> 10);
    }
    for (of_rust, of_debian) in ARCHITECTURES.iter().filter(|(of_rust, _)| *of_rust != machine) {
        println!(
            "Left out: {of_debian}. Programs are built for the machine that builds them: run this on {of_rust}."
        );
    }
    Ok(())
}

impl Release {
    /// A package's files as they will lie on a machine.
    fn stage(&self, package: &Package) -> anyhow::Result<Stage> {
        let name = package.name;
        let stage = Stage::new(self.out.join(".stage").join(name))?;
        let program = format!("usr/bin/{name}");
        stage.program(&self.binaries.join(name), &program)?;
        let doc = format!("usr/share/doc/{name}");
        stage.copy("deploy/copyright", &format!("{doc}/copyright"), 0o644)?;
        stage.copy("CHANGELOG.md", &format!("{doc}/CHANGELOG.md"), 0o644)?;
        stage.copy("docs/operations.md", &format!("{doc}/operations.md"), 0o644)?;
        if let Some(service) = package.service {
            let from = |file: &str| format!("deploy/{service}/{file}");
            let unit = format!("{name}.service");
            stage.copy(from(&unit), &format!("usr/lib/systemd/system/{unit}"), 0o644)?;
            stage.copy(from("sysusers.conf"), &format!("usr/lib/sysusers.d/{name}.conf"), 0o644)?;
            stage.copy(from("tmpfiles.conf"), &format!("usr/lib/tmpfiles.d/{name}.conf"), 0o644)?;
            let configuration = format!("{service}.toml");
            stage.copy(from(&configuration), &format!("etc/lenskeep/{configuration}"), 0o644)?;
        }
        Ok(stage)
    }

    fn debian(&self, package: &Package, stage: &Stage, revision: u32) -> anyhow::Result<String> {
        let Package { name, section, summary, about, service } = package;
        let version = format!("{}-{revision}", self.version);
        let mut depends = self.libraries(stage, name)?;
        depends.push("ca-certificates".to_owned());
        let installed = stage.kibibytes()?;
        if let Some(service) = service {
            // Where systemd itself is not, the parts that make user and folder.
            depends.push("systemd | systemd-standalone-sysusers".to_owned());
            depends.push("systemd | systemd-standalone-tmpfiles".to_owned());
            stage.write("DEBIAN/conffiles", &format!("/etc/lenskeep/{service}.toml\n"), 0o644)?;
            for script in ["postinst", "prerm", "postrm"] {
                let text = std::fs::read_to_string(Path::new("deploy/maintainer").join(script))?;
                stage.write(&format!("DEBIAN/{script}"), &text.replace("@PACKAGE@", name), 0o755)?;
            }
        }
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {}\nMaintainer: {MAINTAINER}\n\
             Installed-Size: {installed}\nDepends: {}\nSection: {section}\nPriority: optional\n\
             Description: {summary}\n {about}\n",
            self.architecture,
            depends.join(", "),
        );
        stage.write("DEBIAN/control", &control, 0o644)?;
        let file = format!("{name}_{version}_{}.deb", self.architecture);
        // A package for a test need not be small. One thread: their number would
        // show in the bytes.
        let squeeze: &[&str] = match self.profile {
            Profile::Dev => &["-Zgzip", "-z1"],
            Profile::Release => &["-Zxz", "--threads-max=1"],
        };
        run(Command::new("dpkg-deb")
            .arg("--root-owner-group")
            .args(squeeze)
            .arg("--build")
            .arg(stage.root())
            .arg(self.out.join(&file))
            .stdout(std::process::Stdio::null())
            .env("SOURCE_DATE_EPOCH", &self.epoch))?;
        stage.forget("DEBIAN")?;
        Ok(file)
    }

    /// Packages of the libraries that a program is linked to, with the versions
    /// that it needs, as Debian's own tool finds them.
    fn libraries(&self, stage: &Stage, name: &str) -> anyhow::Result<Vec<String>> {
        let folder = self.out.join(".stage/shlibs");
        std::fs::create_dir_all(folder.join("debian"))?;
        let stub = "Source: lenskeep\n\nPackage: lenskeep\nArchitecture: any\n";
        std::fs::write(folder.join("debian/control"), stub)?;
        let program = std::path::absolute(stage.root().join("usr/bin").join(name))?;
        let output = Command::new("dpkg-shlibdeps")
            .args(["-O", "--warnings=0"])
            .arg(format!("-e{}", program.display()))
            .current_dir(&folder)
            .output()
            .context("dpkg-shlibdeps could not be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dpkg-shlibdeps failed on {name}: {said}");
        let found = String::from_utf8(output.stdout)?;
        let found = found.trim().strip_prefix("shlibs:Depends=").unwrap_or_default();
        let libraries: Vec<String> = found.split(", ").map(str::to_owned).collect();
        for library in &libraries {
            let package = library.split(' ').next().unwrap_or_default();
            ensure!(LIBRARIES.contains(&package), "{name} is linked to {library:?}; was that meant?");
        }
        Ok(libraries)
    }

    /// All programs with their configuration, for systems without dpkg and for
    /// containers.
    fn archive(&self, stages: &[(&Package, Stage)]) -> anyhow::Result<String> {
        let folder = format!("lenskeep-{}-linux-{}", self.version, std::env::consts::ARCH);
        let whole = Stage::new(self.out.join(".stage").join(&folder))?;
        for (package, stage) in stages {
            let program = stage.root().join("usr/bin").join(package.name);
            whole.copy(&program, &format!("bin/{}", package.name), 0o755)?;
            let Some(service) = package.service else { continue };
            let unit = format!("{}.service", package.name);
            for file in ["sysusers.conf", "tmpfiles.conf", &unit, &format!("{service}.toml")] {
                whole.copy(format!("deploy/{service}/{file}"), &format!("{service}/{file}"), 0o644)?;
            }
        }
        for file in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"] {
            whole.copy(file, file, 0o644)?;
        }
        let file = format!("{folder}.tar.gz");
        let gzip = if self.profile == Profile::Dev { "gzip -n1" } else { "gzip -n9" };
        run(Command::new("tar")
            .args(["--create", "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", self.epoch))
            .arg(format!("--use-compress-program={gzip}"))
            .arg("--file")
            .arg(self.out.join(&file))
            .arg("-C")
            .arg(self.out.join(".stage"))
            .arg(&folder))?;
        whole.remove()?;
        Ok(file)
    }
}

/// An archive of before would get into the image beside that of now. Packages of
/// before stay: a downgrade needs them, and their names say which they are.
fn forget_what_was_made(out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    for entry in std::fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == ".stage" {
            std::fs::remove_dir_all(&path)?;
        } else if name.starts_with("lenskeep") && name.ends_with(".tar.gz") {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn epoch() -> anyhow::Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let output = Command::new("git").args(["log", "-1", "--format=%ct"]).output()?;
    ensure!(output.status.success(), "git log failed; outside a clone, set SOURCE_DATE_EPOCH");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn checksums(out: &Path, files: &[String]) -> anyhow::Result<()> {
    let output = Command::new("sha256sum").args(files).current_dir(out).output()?;
    ensure!(output.status.success(), "sha256sum failed: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(out.join("SHA256SUMS"), output.stdout)?;
    std::fs::remove_dir_all(out.join(".stage")).context("what was staged could not be removed")
}
